"""What the finished pocket films can do, by the judge, on prompts whose combinations were never in training."""

from __future__ import annotations

import json
from typing import Any

from calotype import HeliosPipeline, HeliosPyramidPipeline
from calotype.core.atomic import write_atomic
from training import film_exams
from training.exams import Marks
from training.recipes import helios, helios_distilled
from training.studio import Studio, log, write_card

PROMPTS, LONG, CHANGED, UNTOLD = 60, 10, 30, 30  # films; a long one is a minute
ALONE: dict[str, Any] = {"guidance_scale": 1.0}


def evaluate_films(studio: Studio) -> None:
    """Examine the pipelines that there are, and write what was right into a file and their model cards."""
    measured = dict[str, Marks]()
    for recipe, kind in ((helios, HeliosPipeline), (helios_distilled, HeliosPyramidPipeline)):
        folder = studio.folder(recipe.NAME)
        if folder.is_dir():
            measured[recipe.NAME] = marks = examined(kind.from_pretrained(folder).to(studio.device))
            write_card(folder, recipe.NAME, recipe.ABOUT, marks, helios.TAGS)
    write_atomic(studio.folder("evaluation-films.json"), [json.dumps(measured, indent=2).encode()])


def examined(pipe: Any) -> Marks:
    """How often the films of a pipeline are right, with what its calls mean by themselves."""
    pipe.set_progress_bar_config(disable=True)
    distilled = isinstance(pipe, HeliosPyramidPipeline)
    measured = {
        **_told("unseen prompts", film_exams.prompts(pipe, PROMPTS)),
        **({} if distilled else _told("unseen prompts, no guidance", film_exams.prompts(pipe, PROMPTS, **ALONE))),
        **_told("a minute", film_exams.drift(pipe, LONG)),
        **_told("third chunk of a new prompt", film_exams.changes(pipe, CHANGED)),
        **_told("later chunks, untold", film_exams.untold(pipe, UNTOLD)),
    }
    for fact, mark in measured.items():
        log.info("%s: %s: %.3f", type(pipe).__name__, fact, mark)
    return measured


def _told(kind: str, marks: Marks) -> Marks:
    return {f"{kind}: {fact}": mark for fact, mark in marks.items()}
