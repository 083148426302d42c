"""From a request to the pipeline that answers it, where and as it is to run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from calotype.adapters.single_file import family_class
from calotype.cli.request import Request
from calotype.core import assembly
from calotype.core.devices import reached
from calotype.core.errors import InvalidArgument
from calotype.core.links import names_a_file
from calotype.core.names import MODULES, component_class, public
from calotype.generation.film import ChunkStream
from calotype.pipelines import auto


def loaded(request: Request) -> Any:
    """The pipeline for the task, on its device and in its type."""
    task = auto.AutoPipelineForInpainting if request.mask else auto.AutoPipelineForImage2Image
    chosen = task if request.image else auto.AutoPipelineForText2Image
    if names_a_file(request.model):
        options = {"revision": request.revision, "variant": request.variant}
        kind: Any = chosen.class_for(family_class(request.model, options), request.model)
        return _placed(request, kind.from_single_file, "float16")
    return _placed(request, partial(_chosen, partial(_picture_class, chosen)), "float16")


def loaded_film(request: Request) -> Any:
    """The same for films."""
    if names_a_file(request.model):
        raise InvalidArgument("-m", "a folder or a repository, as films are made of", request.model)
    # float16 is too narrow for the text encoder
    return _placed(request, partial(_chosen, _film_class), "bfloat16")


def _placed(request: Request, load: Callable[..., Any], wide: str) -> Any:
    """The pipeline, loaded in the type that was asked for, or that accelerators are usually given."""
    device = device_for(request.device)
    dtype = request.dtype or ("float32" if device.type == "cpu" else wide)
    given = {name: value for name in ("revision", "variant") if (value := getattr(request, name))}
    pipe = load(request.model, torch_dtype=getattr(torch, dtype), **given)
    if request.scheduler:
        scheduler = component_class("diffusers", f"{request.scheduler}Scheduler", "--scheduler")
        pipe.scheduler = scheduler.from_config(pipe.scheduler.config)
    return pipe.to(device)


def _chosen(choose: assembly.Choice, model: str, **options: Any) -> Any:
    return assembly.load(choose, model, options)


def _picture_class(chosen: type[auto.AutoPipeline], name: str, where: str) -> Any:
    if makes_films(name):
        raise InvalidArgument(f"{where}: class", "a pipeline that makes pictures", name, "calotype video makes films.")
    return chosen.class_for(name, where)


def _film_class(name: str, where: str) -> Any:
    if not makes_films(name):
        fix = "calotype generate makes pictures."
        raise InvalidArgument(f"{where}: class", "a pipeline that makes films", name, fix)
    return public(name)


def makes_films(name: str) -> bool:
    """Whether this is the name of a pipeline that makes films."""
    known = name in MODULES and name.endswith("Pipeline")
    return known and issubclass(getattr(public(name), "stream_kind", object), ChunkStream)  # JAX's hand nothing out


def device_for(asked: str | None) -> torch.device:
    """The device that was asked for, if this machine has it; an accelerator, if there is one, otherwise."""
    if asked is None:
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if device_here(name)))
    return reached("--device", asked)


def device_here(kind: str) -> bool:
    """Whether this machine has a device of this kind that networks can run on."""
    return {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}.get(kind, False)
