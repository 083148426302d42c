"""What is asked of a model, and the pictures and arguments that its pipeline is called with."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from calotype.core.errors import CorruptFile, UnknownArgument

if TYPE_CHECKING:
    from PIL import Image

DTYPES = ("float32", "float16", "bfloat16")
SYNTAXES = ("a1111", "compel")

# options of the command line that are arguments of a pipeline under another name
OPTIONS = {
    "negative": "negative_prompt",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "strength": "strength",
    "prompt_syntax": "prompt_syntax",
}


@dataclass(frozen=True)
class Request:
    """What was asked for, beside prompts, seeds and names."""

    model: str
    revision: str | None = None
    variant: str | None = None
    image: str | None = None
    mask: str | None = None
    strength: float | None = None
    negative: str | None = None
    prompt_syntax: str | None = None
    steps: int | None = None
    guidance: float | None = None
    size: tuple[int, int] | None = None
    scheduler: str | None = None
    dtype: str | None = None
    device: str | None = None
    batch: int = 1

    def __post_init__(self) -> None:
        for name in ("strength", "mask"):
            if getattr(self, name) is not None and self.image is None:
                raise click.UsageError(f"--{name} needs --image: the picture that it is about.")


def opened(path: str) -> Image.Image:
    """The picture in a file, decoded and upright."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            return ImageOps.exif_transpose(file)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CorruptFile(path, "a picture", str(error)[:200]) from None


def arguments_for(request: Request, shown: dict[str, Image.Image], pipe: Any) -> dict[str, Any]:
    """The arguments of the call that are the same for every picture."""
    takes = [*inspect.signature(type(pipe).__call__).parameters, *pipe.beside_signature]
    given = {option: value for option in OPTIONS if (value := getattr(request, option)) is not None}
    for option, value in given.items():
        if OPTIONS[option] not in takes:
            where = f"--{option.replace('_', '-')}"
            raise UnknownArgument(where, f"nothing, as {type(pipe).__name__} takes no {OPTIONS[option]}", repr(value))
    told: dict[str, Any] = {OPTIONS[option]: value for option, value in given.items()}
    size = request.size
    if request.image and request.size:
        shown = {"image": shown["image"].resize(request.size), **{k: v for k, v in shown.items() if k != "image"}}
    sized = "height" in takes  # others make pictures as large as theirs
    if sized and request.image and size is None:
        width, height = shown["image"].size
        size = width - width % pipe.vae_scale_factor, height - height % pipe.vae_scale_factor
    if sized and size:
        told["width"], told["height"] = size
    return told | shown
