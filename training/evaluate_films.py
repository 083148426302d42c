"""What the finished pocket films can do, by the judge, on prompts whose combinations were never in training."""

from __future__ import annotations

import json
from typing import Any

from calotype import HeliosPipeline
from calotype.core.atomic import write_atomic
from training import film_exams
from training.exams import Marks
from training.recipes import helios
from training.studio import Studio, log, write_card

PROMPTS, LONG, CHANGED = 60, 10, 30  # films; a long one is a minute
ALONE: dict[str, Any] = {"guidance_scale": 1.0}


def evaluate_films(studio: Studio) -> None:
    """Examine the pipeline, and write what was right into a file and the model card."""
    pipe = HeliosPipeline.from_pretrained(studio.folder(helios.NAME)).to(studio.device)
    pipe.set_progress_bar_config(disable=True)
    measured = {
        **_told("unseen prompts", film_exams.prompts(pipe, PROMPTS)),
        **_told("unseen prompts, no guidance", film_exams.prompts(pipe, PROMPTS, **ALONE)),
        **_told("a minute", film_exams.drift(pipe, LONG)),
        **_told("third chunk of a new prompt", film_exams.changes(pipe, CHANGED)),
    }
    for fact, mark in measured.items():
        log.info("%s: %s: %.3f", helios.NAME, fact, mark)
    write_atomic(studio.folder("evaluation-films.json"), [json.dumps(measured, indent=2).encode()])
    write_card(studio.folder(helios.NAME), helios.NAME, helios.ABOUT, measured, ["helios", "text-to-video", "pocket"])


def _told(kind: str, marks: Marks) -> Marks:
    return {f"{kind}: {fact}": mark for fact, mark in marks.items()}
