"""``calotype bench``: how fast this machine makes pictures with this model."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from typing import Any

import click

from calotype.cli.asked import Wanted
from calotype.cli.env import environment
from calotype.cli.generate import DEFAULT_MODEL
from calotype.cli.options import conditions
from calotype.cli.request import Request, arguments_for
from calotype.cli.said import as_json_option, bytes_said, say_json, say_table


@click.command()
@click.option("-m", "--model", default=DEFAULT_MODEL, show_default=True, help="As for generate.")
@click.option("--steps", type=click.IntRange(2, 1_000), default=20, show_default=True, help="Steps to a picture.")
@conditions
@click.option("--rounds", type=click.IntRange(1, 1_000), default=3, show_default=True, help="Calls that are measured.")
@as_json_option
def bench(rounds: int, as_json: bool, **asked: Any) -> None:
    """Measure steps, pictures, loading and memory: the median of several calls, after one that is not counted."""
    facts = measured(Request(**asked), rounds)
    if as_json:
        say_json(facts)
        return
    say_table((name, _said(name, value)) for name, value in facts.items() if value is not None)


def _said(name: str, value: Any) -> str:
    if name.startswith("peak"):
        return bytes_said(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def measured(request: Request, rounds: int) -> dict[str, Any]:
    """The figures, and under which conditions they were taken."""
    from calotype.cli.loading import loaded

    machine = environment()
    began = time.perf_counter()
    pipe = loaded(request)
    load = time.perf_counter() - began
    arguments = arguments_for(request, {}, pipe)
    calls = [_call(pipe, request.batch, arguments, _waiting(pipe.device)) for _ in range(rounds + 1)][1:]
    steps = [step for call in calls for step in call["steps"]]
    whole = median(call["seconds"] for call in calls)
    return {
        "model": request.model,
        "device": ", ".join(filter(None, [pipe.device.type, machine["accelerators"] if _is_cuda(pipe) else None])),
        "threads": machine["threads"],
        "dtype": str(pipe.dtype).removeprefix("torch."),
        "scheduler": type(pipe.scheduler).__name__,
        "size": "x".join(map(str, calls[0]["size"])),
        "batch": request.batch,
        "steps": arguments["num_inference_steps"],
        "rounds": rounds,
        "torch": machine["torch"],
        "seconds to load": load,
        "seconds a step": median(steps),
        "seconds a call": whole,
        "pictures a minute": 60 * request.batch / whole,
        "peak memory of the process": _peak(),
        "peak memory of the accelerator": _accelerator_peak(pipe),
    }


def _call(pipe: Any, batch: int, arguments: dict[str, Any], wait: Callable[[], None]) -> dict[str, Any]:
    """One call, timed as a whole and between its steps; the first step pays for what comes before it."""
    from calotype.cli.running import called

    pictures = [Wanted(place, "a photograph of a lighthouse", place) for place in range(batch)]
    ticks: list[float] = []
    began = time.perf_counter()
    with pipe.stream(**called(pictures, arguments)) as steps:
        for _ in steps:
            wait()
            ticks.append(time.perf_counter())
        output = steps.output
    seconds = time.perf_counter() - began
    between = [after - before for before, after in pairwise(ticks)]
    return {"seconds": seconds, "steps": between, "size": output.images[0].size}


def _is_cuda(pipe: Any) -> bool:
    return pipe.device.type == "cuda"


def _waiting(device: Any) -> Callable[[], None]:
    """What waits until the device has done all that it was told."""
    import torch

    queues = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}
    return queues.get(device.type, lambda: None)


def _peak() -> int | None:
    """The most memory that this process has held, of main memory, in bytes; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _accelerator_peak(pipe: Any) -> int | None:
    import torch

    return torch.cuda.max_memory_allocated(pipe.device) if _is_cuda(pipe) else None
