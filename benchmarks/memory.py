"""How much memory do loading and a call take at their peak?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

from benchmarks.question import LIBRARIES, Goal, Place, Question, fresh, library

MB = 1e6


class Peak:
    """The most memory that this process held within a ``with``, beyond what it held before.

    ``resident`` is the kernel's own high-water mark (VmHWM, reset through clear_refs) and counts mapped files;
    ``anonymous`` leaves them out: RssAnon, looked at every 2 milliseconds.
    """

    def __enter__(self) -> Peak:
        Path("/proc/self/clear_refs").write_text("5")
        self._before = {name: _held(name) for name in ("VmRSS", "RssAnon")}
        self._highest, self._over = 0.0, Event()
        self._watch = Thread(target=self._look)
        self._watch.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._watch.join()
        self.whole = _held("VmHWM")  # what was held before too
        self.resident = self.whole - self._before["VmRSS"]
        self.anonymous = self._highest - self._before["RssAnon"]

    def _look(self) -> None:
        while not self._over.wait(0.002):
            self._highest = max(self._highest, _held("RssAnon"))


def _held(name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / MB


def load(side: str, folder: str, dtype: str, kind: str) -> float:
    """Peak MB of ``from_pretrained``."""
    import torch

    pipeline = library(side).StableDiffusionPipeline
    with Peak() as peak:
        pipe = pipeline.from_pretrained(folder, torch_dtype=getattr(torch, dtype), safety_checker=None)
    del pipe
    return getattr(peak, kind)


def call(side: str, folder: str, picture: str, kind: str) -> float:
    """Peak MB of loading in bfloat16 and one step of a call."""
    import torch

    pipeline = library(side).StableDiffusionPipeline
    sizes = {"height": int(picture), "width": int(picture)}
    with Peak() as peak:
        pipe = pipeline.from_pretrained(folder, torch_dtype=torch.bfloat16, safety_checker=None)
        pipe("cat", num_inference_steps=1, **sizes)
    return getattr(peak, kind)


def questions(place: Place) -> Iterator[Question]:
    folder = str(place.folder)
    result = sum(path.stat().st_size for path in place.folder.rglob("*.safetensors")) / 2 / MB
    cast = {side: fresh(load, side, folder, "bfloat16", "resident") for side in LIBRARIES}
    yield Question("peak of loading fp32 files to bfloat16", "MB", cast, Goal(), rounds=2, warm=0)
    against = {"ours": cast["ours"], "result": lambda: result}
    yield Question("peak of loading fp32 files to bfloat16, result", "MB", against, Goal(1.1), rounds=2, warm=0)
    for kind in ("resident", "anonymous"):
        sides = {side: fresh(load, side, folder, "float32", kind) for side in LIBRARIES}
        yield Question(f"peak of loading in float32, {kind}", "MB", sides, Goal(), rounds=2, warm=0)
    sides = {side: fresh(call, side, folder, str(place.picture), "resident") for side in LIBRARIES}
    yield Question(f"peak of loading and a call, {place.picture} pixels, bfloat16", "MB", sides, Goal(), 2, 0)
