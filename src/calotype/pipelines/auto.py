"""AutoPipelines: from a task and a checkpoint to the class that does it."""

from __future__ import annotations

import os
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
}


def family_of(class_name: str, where: str) -> str:
    """The family that a pipeline class belongs to."""
    for family, tasks in FAMILIES.items():
        if class_name in tasks.values():
            return family
    known = ", ".join(sorted(name for tasks in FAMILIES.values() for name in tasks.values()))
    raise InvalidArgument(f"{where}: class", f"a pipeline of a family with tasks: {known}", class_name)


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
    def class_for(cls, class_name: str, where: str) -> type[DiffusionPipeline]:
        """The class that does this task with the components of a pipeline of this class name."""
        tasks = FAMILIES[family_of(class_name, where)]
        if cls.task not in tasks:
            raise InvalidArgument(
                cls.__name__, f"a family that does {cls.task}", f"{class_name}, which does {', '.join(tasks)}"
            )
        return public(tasks[cls.task])

    @classmethod
    def from_pretrained(cls, pretrained_model_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """The pipeline of this task from a folder or a Hub repository of any class of its family."""
        return assembly.load(cls.class_for, pretrained_model_or_path, kwargs)

    @classmethod
    def from_pipe(cls, pipeline: DiffusionPipeline, **kwargs: Any) -> Any:
        """The pipeline of this task with the components of another one, shared, not copied."""
        return cls.class_for(type(pipeline).__name__, "pipeline").from_pipe(pipeline, **kwargs)


class AutoPipelineForText2Image(AutoPipeline):
    """Text to image, with whichever pipeline the checkpoint is for."""

    task = "text2img"


class AutoPipelineForImage2Image(AutoPipeline):
    """Image to image, with whichever pipeline the checkpoint is for."""

    task = "img2img"


class AutoPipelineForInpainting(AutoPipeline):
    """Inpainting, with whichever pipeline the checkpoint is for."""

    task = "inpaint"
