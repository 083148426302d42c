"""How long does a pipeline take from the disk's cache to being usable?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from benchmarks.question import LIBRARIES, Goal, Place, Question, fresh, library

GOALS = {"float32": Goal(0.65), "bfloat16": Goal()}
COMPONENTS = ("AutoencoderKL", "CLIPTextModel", "CLIPTokenizer", "PNDMScheduler", "UNet2DConditionModel")


def seconds(side: str, folder: str, dtype: str) -> float:
    """Seconds of ``from_pretrained`` in a process that has imported the classes and nothing else."""
    import torch

    for name in COMPONENTS:  # the peer's pipeline imports them or their kin, ours leaves it to the loading
        getattr(library(side), name, None)
    pipeline = library(side).StableDiffusionPipeline
    warm(Path(folder))
    start = perf_counter()
    pipeline.from_pretrained(folder, torch_dtype=getattr(torch, dtype), safety_checker=None)
    return perf_counter() - start


def warm(folder: Path) -> None:
    """Read every file once: machines that give their cache back in between would measure the disk."""
    buffer = bytearray(2**24)
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass


def questions(place: Place) -> Iterator[Question]:
    for dtype, goal in GOALS.items():
        sides = {side: fresh(seconds, side, str(place.folder), dtype) for side in LIBRARIES}
        yield Question(f"load SD 1.5, fp32 files to {dtype}", "s", sides, goal)
