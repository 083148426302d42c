"""Two pieces of work in one process, held to the same result."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor

from benchmarks.question import Goal, Question

# the largest difference that is "the same picture", relative to the largest value
TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 5e-2}


def race(name: str, work: dict[str, Callable[[], Tensor]], rounds: int) -> Question:
    """A question about seconds, once both sides were seen to come to the same result; that is the warm round too."""
    with torch.inference_mode():
        ours, theirs = (each() for each in work.values())
    far = ((ours.float() - theirs.float()).abs().max() / theirs.float().abs().max()).item()
    if not far <= TOLERANCES[ours.dtype]:
        raise AssertionError(f"{name}: the results are {far:.1e} apart")
    return Question(name, "s", {side: _timed(each) for side, each in work.items()}, Goal(), rounds, warm=0)


def _timed(work: Callable[[], Tensor]) -> Callable[[], float]:
    def run() -> float:
        start = perf_counter()
        with torch.inference_mode():
            work()
        return perf_counter() - start

    return run
