"""How long until the library can be used?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
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
    """Seconds from nothing to the first picture of a tiny pipeline: the imports, and the kernels' own first time."""
    start = perf_counter()
    pipe = library(side).StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipe("cat", height=32, width=32, num_inference_steps=1)
    return perf_counter() - start


def modules(side: str, folder: str) -> list[str]:
    """Everything that is imported when a first call is over, in order."""
    first_call(side, folder)
    return list(sys.modules)


def imports_of_a_call(side: str, folder: str) -> float:
    """Seconds of importing everything that a first call imports, wherever it does so."""
    names = fresh(modules, side, folder)()
    start = perf_counter()
    for name in names:
        with suppress(Exception):  # torch's registries stand among the modules and cannot be imported
            import_module(name)
    return perf_counter() - start


def questions(place: Place) -> Iterator[Question]:
    yield Question("import the package", "s", {side: fresh(package, side) for side in LIBRARIES}, Goal())
    classes = {side: fresh(pipeline, side) for side in LIBRARIES}
    yield Question("import StableDiffusionPipeline", "s", classes, Goal())
    calls = {side: fresh(first_call, side, str(place.tiny)) for side in LIBRARIES}
    yield Question("import, load and call a tiny pipeline", "s", calls, Goal())
    against = {"ours": fresh(imports_of_a_call, "ours", str(place.tiny)), "torch": fresh(torch)}
    yield Question("imports of a first call, beside torch's", "s", against, Goal(plus=0.4))
