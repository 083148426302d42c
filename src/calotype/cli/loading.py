"""From a request to the pipeline that answers it, where and as it is to run."""

from __future__ import annotations

from typing import Any

import torch

from calotype.adapters.single_file import family_class
from calotype.cli.request import Request
from calotype.core.devices import reached
from calotype.core.links import names_a_file
from calotype.core.names import component_class
from calotype.pipelines import auto


def loaded(request: Request) -> Any:
    """The pipeline for the task, on its device and in its type."""
    task = auto.AutoPipelineForInpainting if request.mask else auto.AutoPipelineForImage2Image
    device = device_for(request.device)
    dtype = request.dtype or ("float32" if device.type == "cpu" else "float16")
    options = {"revision": request.revision, "variant": request.variant}
    chosen = task if request.image else auto.AutoPipelineForText2Image
    load: Any = chosen.from_pretrained
    if names_a_file(request.model):
        load = chosen.class_for(family_class(request.model, options), request.model).from_single_file  # pyright: ignore
    given = {key: value for key, value in options.items() if value}
    pipe = load(request.model, torch_dtype=getattr(torch, dtype), **given)
    if request.scheduler:
        scheduler = component_class("diffusers", f"{request.scheduler}Scheduler", "--scheduler")
        pipe.scheduler = scheduler.from_config(pipe.scheduler.config)
    return pipe.to(device)


def device_for(asked: str | None) -> torch.device:
    """The device that was asked for, if this machine has it; an accelerator, if there is one, otherwise."""
    if asked is None:
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if device_here(name)))
    return reached("--device", asked)


def device_here(kind: str) -> bool:
    """Whether this machine has a device of this kind that networks can run on."""
    return {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}.get(kind, False)
