"""How long until the library can be used?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from time import perf_counter

from benchmarks.question import LIBRARIES, Goal, Place, Question, fresh, library


def package(side: str) -> float:
    """Seconds of importing the package; ours must do it without torch."""
    start = perf_counter()
    library(side)
    seconds = perf_counter() - start
    if side == "ours" and "torch" in sys.modules:
        raise AssertionError(f"import {LIBRARIES[side]} imported torch")
    return seconds


def pipeline(side: str) -> float:
    """Seconds of importing a pipeline's class."""
    start = perf_counter()
    _ = library(side).StableDiffusionPipeline
    return perf_counter() - start


def torch() -> float:
    """Seconds of importing torch alone."""
    start = perf_counter()
    import_module("torch")
    return perf_counter() - start


def first_call(side: str, folder: str) -> float:
    """Seconds from nothing to the first picture of a tiny pipeline: every import that a call makes, and little more."""
    start = perf_counter()
    pipe = library(side).StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipe("cat", height=32, width=32, num_inference_steps=1)
    return perf_counter() - start


def questions(place: Place) -> Iterator[Question]:
    yield Question("import the package", "s", {side: fresh(package, side) for side in LIBRARIES}, Goal())
    classes = {side: fresh(pipeline, side) for side in LIBRARIES}
    yield Question("import StableDiffusionPipeline", "s", classes, Goal())
    calls = {side: fresh(first_call, side, str(place.tiny)) for side in LIBRARIES}
    yield Question("imports and a first tiny call", "s", calls, Goal())
    against = {"ours": calls["ours"], "torch": fresh(torch)}
    yield Question("imports and a first tiny call, beside torch", "s", against, Goal(plus=0.4))
