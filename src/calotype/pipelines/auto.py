"""AutoPipelines: from a task and a checkpoint to the class that does it."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, ClassVar, NoReturn

from calotype.core import assembly
from calotype.core.errors import InvalidArgument
from calotype.core.names import public
from calotype.core.pipeline import DiffusionPipeline

# family -> task -> class name
FAMILIES: dict[str, dict[str, str]] = {
    "stable-diffusion": {
        "text2img": "StableDiffusionPipeline",
        "img2img": "StableDiffusionImg2ImgPipeline",
        "inpaint": "StableDiffusionInpaintPipeline",
    },
    "stable-diffusion-controlnet": {
        "text2img": "StableDiffusionControlNetPipeline",
        "img2img": "StableDiffusionControlNetImg2ImgPipeline",
        "inpaint": "StableDiffusionControlNetInpaintPipeline",
    },
    "stable-diffusion-xl": {
        "text2img": "StableDiffusionXLPipeline",
        "img2img": "StableDiffusionXLImg2ImgPipeline",
        "inpaint": "StableDiffusionXLInpaintPipeline",
    },
    "stable-diffusion-xl-controlnet": {
        "text2img": "StableDiffusionXLControlNetPipeline",
        "img2img": "StableDiffusionXLControlNetImg2ImgPipeline",
        "inpaint": "StableDiffusionXLControlNetInpaintPipeline",
    },
    "kandinsky": {
        "text2img": "KandinskyCombinedPipeline",
        "img2img": "KandinskyImg2ImgCombinedPipeline",
        "inpaint": "KandinskyInpaintCombinedPipeline",
    },
    "kandinsky22": {
        "text2img": "KandinskyV22CombinedPipeline",
        "img2img": "KandinskyV22Img2ImgCombinedPipeline",
        "inpaint": "KandinskyV22InpaintCombinedPipeline",
    },
}

# classes that do half of a task, and the ones that do it whole: they load the other half from where the files say
HALVES: dict[str, str] = {
    whole.replace("Combined", ""): whole
    for tasks in FAMILIES.values()
    for whole in tasks.values()
    if "Combined" in whole
}


def family_of(class_name: str, where: str) -> str:
    """The family that a pipeline class belongs to."""
    whole = HALVES.get(class_name, class_name)
    for family, tasks in FAMILIES.items():
        if whole in tasks.values():
            return family
    known = ", ".join(sorted(name for tasks in FAMILIES.values() for name in tasks.values()))
    raise InvalidArgument(f"{where}: class", f"a pipeline of a family with tasks: {known}", class_name)


def with_controlnet(family: str, wanted: bool, where: str) -> str:
    """The family whose pipelines have, or have not, a ControlNet beside the components of this one."""
    chosen = family.removesuffix("-controlnet") + ("-controlnet" if wanted else "")
    if chosen not in FAMILIES:
        known = ", ".join(name for name in FAMILIES if name.endswith("-controlnet"))
        raise InvalidArgument(f"{where}: controlnet", f"none, or one of the families {known}", f"{family} with one")
    return chosen


class AutoPipeline:
    """Never made itself: ``from_pretrained`` and ``from_pipe`` give the pipeline of this task."""

    config_name: ClassVar[str] = "model_index.json"
    task: ClassVar[str]

    def __init__(self) -> NoReturn:
        name = type(self).__name__
        raise OSError(
            f"{name} is not made by its constructor: use {name}.from_pretrained(...) or {name}.from_pipe(...)"
        )

    @classmethod
    def class_for(cls, class_name: str, where: str, controlled: bool | None = None) -> type[DiffusionPipeline]:
        """The class that does this task with the components of a pipeline of this class name.

        ``controlled`` says whether it has a ControlNet; None leaves that as it is.
        """
        family = family_of(class_name, where)
        tasks = FAMILIES[family if controlled is None else with_controlnet(family, controlled, where)]
        if cls.task not in tasks:
            raise InvalidArgument(
                cls.__name__, f"a family that does {cls.task}", f"{class_name}, which does {', '.join(tasks)}"
            )
        return public(tasks[cls.task])

    @classmethod
    def from_pretrained(cls, pretrained_model_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """The pipeline of this task from a folder or a Hub repository of any class of its family."""
        controlled = takes_controlnet(kwargs)
        return assembly.load(partial(cls.class_for, controlled=controlled), pretrained_model_or_path, kwargs)

    @classmethod
    def from_pipe(cls, pipeline: DiffusionPipeline, **kwargs: Any) -> Any:
        """The pipeline of this task with the components of another one, shared, not copied."""
        controlled = takes_controlnet(kwargs)
        return cls.class_for(type(pipeline).__name__, "pipeline", controlled).from_pipe(pipeline, **kwargs)


def takes_controlnet(kwargs: dict[str, Any]) -> bool | None:
    """Whether a ControlNet is given, or None in its place, which is taken out; None where nothing is said."""
    if "controlnet" not in kwargs:
        return None
    if kwargs["controlnet"] is None:
        del kwargs["controlnet"]
        return False
    return True


class AutoPipelineForText2Image(AutoPipeline):
    """Text to image, with whichever pipeline the checkpoint is for."""

    task = "text2img"


class AutoPipelineForImage2Image(AutoPipeline):
    """Image to image, with whichever pipeline the checkpoint is for."""

    task = "img2img"


class AutoPipelineForInpainting(AutoPipeline):
    """Inpainting, with whichever pipeline the checkpoint is for."""

    task = "inpaint"
