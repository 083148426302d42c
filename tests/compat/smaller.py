"""What the harness does to a guide's world, never to its words: fewer steps, smaller sizes, and ``cuda`` is the CPU.

It is read into the process in which a guide's blocks run, before them.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

import torch

import calotype
from calotype.core.model import ModelMixin
from calotype.core.pipeline import DiffusionPipeline

FEWER = {"num_inference_steps": 2, "prior_num_inference_steps": 2, "height": 64, "width": 64}


def shrink_calls() -> None:
    """Every pipeline that is called walks two steps to a picture of 64 x 64."""
    for name in calotype.__all__:
        kind = getattr(calotype, name)
        if isinstance(kind, type) and issubclass(kind, DiffusionPipeline) and "__call__" in vars(kind):
            kind.__call__ = _shrunk(kind.__call__)


def _shrunk(call: Any) -> Any:
    known = {name: value for name, value in FEWER.items() if name in inspect.signature(call).parameters}

    @functools.wraps(call)  # ``begin`` goes with it
    def shrunk(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.set_progress_bar_config(disable=True)
        return call(self, *args, **kwargs | known)

    return shrunk


def without_cuda() -> None:
    """Who asks for ``cuda`` is given the CPU."""

    class Kind(type(torch.Generator)):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, drawing)

    drawing = torch.Generator

    class Generator(drawing, metaclass=Kind):
        def __new__(cls, device: Any = "cpu") -> Any:
            return drawing("cpu")

    torch.Generator = Generator  # pyright: ignore
    for kind in (DiffusionPipeline, ModelMixin):
        kind.to = _moved(kind.to)


def _moved(to: Any) -> Any:
    @functools.wraps(to)
    def moved(self: Any, *args: Any, **kwargs: Any) -> Any:
        kept = [place for place in args if place != "cuda"]
        return to(self, *kept, **kwargs) if kept or kwargs else self

    return moved
