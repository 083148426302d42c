"""What the finished pipeline can do, by the judge, on prompts whose combinations were never in training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calotype import StableDiffusionPipeline
from calotype.core.atomic import write_atomic
from training.captions import plain
from training.judge import Verdict, judge
from training.recipes.diffusion import ABOUT
from training.studio import Studio, log, write_card
from training.world import Scene, scene

PROMPTS, AT_ONCE = 200, 25  # of each kind; pictures in one call


def evaluate(studio: Studio) -> None:
    """Draw 200 prompts with one thing and 200 with two, and write what was right into a file and the model card."""
    folder = studio.folder("pocket-sd")
    pipe = StableDiffusionPipeline.from_pretrained(folder).to(studio.device)
    pipe.set_progress_bar_config(disable=True)
    measured: dict[str, float | str] = {}
    for things, kind in ((1, "one thing"), (2, "two things")):
        rng = studio.rng(3, things)
        scenes = [scene(rng, things, unseen=True) for _ in range(PROMPTS)]
        measured |= told(kind, [judge(*pair) for pair in zip(drawn(pipe, scenes), scenes, strict=True)])
    for name, value in measured.items():
        log.info("%s: %.3f", name, value)
    write_atomic(folder.parent / "evaluation.json", [json.dumps(measured, indent=2).encode()])
    write_card(folder, "pocket-sd", ABOUT, measured, ["stable-diffusion", "text-to-image", "pocket"])


def drawn(pipe: StableDiffusionPipeline, scenes: Sequence[Scene], **options: Any) -> NDArray[np.uint8]:
    """Pictures of the scenes' captions; picture i is the picture of seed i."""
    pictures = list[NDArray[np.uint8]]()
    for first in range(0, len(scenes), AT_ONCE):
        part = [plain(one) for one in scenes[first : first + AT_ONCE]]
        seeds = list(range(first, first + len(part)))
        images = pipe(part, generator=seeds, output_type="np", **options).images
        pictures.append((np.asarray(images) * 255).round().astype(np.uint8))
    return np.concatenate(pictures)


def told(kind: str, verdicts: Sequence[Verdict]) -> dict[str, float | str]:
    """How often each fact was right, from 0 to 1."""

    def share(hits: Sequence[bool]) -> float:
        return sum(hits) / len(hits)

    return {
        f"{kind}: count": share([one.count for one in verdicts]),
        f"{kind}: colour": share([one.colour for one in verdicts]),
        f"{kind}: shape": share([one.shape for one in verdicts]),
        f"{kind}: place": share([one.place for one in verdicts]),
        f"{kind}: ground": share([one.ground for one in verdicts]),
        f"{kind}: colour, shape and place": share([one.bound for one in verdicts]),
    }
