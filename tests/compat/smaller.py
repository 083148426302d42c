"""What the harness does to a guide's world, never to its words.

Fewer steps, smaller sizes, ``cuda`` is the CPU, and the web is on this machine.

It is read into the process in which a guide's blocks run, before them.
"""

from __future__ import annotations

import functools
import http.client
import inspect
import re
import sys
import urllib.request
from types import ModuleType
from typing import Any

import requests
import torch
from PIL import Image

import calotype
from calotype.core.model import ModelMixin
from calotype.core.pipeline import DiffusionPipeline

FEWER = {"num_inference_steps": 2, "prior_num_inference_steps": 2, "height": 64, "width": 64}


def begin(web: str, config: str) -> None:
    """All of it; ``web`` is where the pictures are, ``config`` a folder that tells how small single files are."""
    shrink_calls()
    without_cuda()
    web_from(web)
    sys.modules["torchvision"] = ModuleType("torchvision")  # a block imports its ``transforms``, and uses nothing of it
    sys.modules["torchvision"].transforms = ModuleType("torchvision.transforms")  # pyright: ignore
    for kind in (calotype.StableDiffusionPipeline, calotype.StableDiffusionXLPipeline):
        kind.from_single_file = functools.partial(kind.from_single_file, config=config)


def typed(block: str) -> str:
    """What one types to have what a block shows: without the marks of the interpreter, if it has them."""
    return re.sub(r"^(>>>|\.\.\.) ?", "", block, flags=re.MULTILINE) if block.startswith(">>> ") else block


def web_from(url: str) -> None:
    """Every address of the web leads to the same one below ``url``."""

    def opened(self: Any, req: Any) -> Any:
        moved = urllib.request.Request(f"{url}/{req.host}{req.selector}")
        moved.timeout = req.timeout
        return self.do_open(http.client.HTTPConnection, moved)

    got = requests.get
    requests.get = lambda address, **options: got(address.replace("https:/", url, 1), **options)
    urllib.request.HTTPSHandler.https_open = opened


def shrink_calls() -> None:
    """Every pipeline that is called walks two steps to a picture of 64 x 64."""
    for name in calotype.__all__:
        if name.startswith("Flax"):  # to look at them would be to import JAX
            continue
        kind = getattr(calotype, name)
        if isinstance(kind, type) and issubclass(kind, DiffusionPipeline) and "__call__" in vars(kind):
            kind.__call__ = _shrunk(kind.__call__)


def _shrunk(call: Any) -> Any:
    known = {name: value for name, value in FEWER.items() if name in inspect.signature(call).parameters}

    @functools.wraps(call)  # ``begin`` goes with it
    def shrunk(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.set_progress_bar_config(disable=True)
        if isinstance(kwargs.get("image"), Image.Image):
            kwargs["image"] = kwargs["image"].resize((64, 64))
        fewer = dict(known)
        if "strength" in kwargs:  # at least one step is walked
            fewer["num_inference_steps"] = max(2, round(1 / kwargs["strength"]))
        return call(self, *args, **kwargs | fewer)

    return shrunk


def shrink_jax(block: str) -> None:
    """The same for the pipeline of JAX, if this block has it."""
    if "Flax" not in block:
        return
    kind: Any = calotype.FlaxStableDiffusionImg2ImgPipeline
    prepare, call = kind.prepare_inputs, kind.__call__

    def prepared(self: Any, prompt: Any, image: Any) -> Any:
        return prepare(self, prompt, [each.resize((64, 64)) for each in image])

    def shrunk(self: Any, **kwargs: Any) -> Any:
        return call(self, **kwargs | {name: value for name, value in FEWER.items() if name in kwargs})

    kind.prepare_inputs, kind.__call__ = prepared, shrunk


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
