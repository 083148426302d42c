"""``calotype generate``: pictures from prompts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calotype.cli.asked import Scheduler, Seeds, Size, Wanted, prompts_of, wanted_pictures
from calotype.cli.names import Names
from calotype.cli.said import as_json_option, say_json
from calotype.core.errors import CorruptFile, InvalidArgument, MissingFile

if TYPE_CHECKING:
    import torch
    from PIL import Image

DEFAULT_MODEL = "pocket-sd"
POCKET = Path(__file__).parents[1] / "pocket"
DTYPES = ("float32", "float16", "bfloat16")
FILE = click.Path(exists=True, dir_okay=False)


@dataclass(frozen=True)
class Request:
    """What was asked for, beside prompts, seeds and names."""

    model: str
    revision: str | None
    variant: str | None
    image: str | None
    mask: str | None
    strength: float | None
    negative: str | None
    steps: int | None
    guidance: float | None
    size: tuple[int, int] | None
    scheduler: str | None
    dtype: str | None
    device: str | None
    batch: int

    def __post_init__(self) -> None:
        for name in ("strength", "mask"):
            if getattr(self, name) is not None and self.image is None:
                raise click.UsageError(f"--{name} needs --image: the picture that it is about.")


@click.command()
@click.argument("prompt", required=False)
@click.option("--prompts", type=click.File(encoding="utf-8"), help="A file with a prompt in each line; - is stdin.")
@click.option(
    "-o", "--output", default="out.png", show_default=True, help="A name: {index}, {seed}, {prompt} are filled in."
)
@click.option("-m", "--model", default=DEFAULT_MODEL, show_default=True, help="A folder, or a repository on the Hub.")
@click.option("--revision", help="The branch, tag or commit of the repository.")
@click.option("--variant", help="The variant of the weights, such as fp16.")
@click.option("--image", type=FILE, help="Begin with this picture.")
@click.option("--strength", type=float, help="How far to leave it: from 0 (keeps it) to 1 (ignores it).")
@click.option("--mask", type=FILE, help="Repaint only what is white in this picture.")
@click.option("--negative", help="What to steer away from.")
@click.option("--steps", type=int, help="How many steps from noise to picture.")
@click.option("--guidance", type=float, help="How strongly to follow the prompt.")
@click.option("--seed", "seeds", type=Seeds(), help="A seed, or several: 1,2,3. Without one: a new one.")
@click.option("-n", "--count", type=click.IntRange(1, 10_000), help="How many pictures of each prompt.")
@click.option("--size", type=Size(), help="Width and height: 512x768.")
@click.option("--scheduler", type=Scheduler(), metavar="NAME", help="Another scheduler, such as EulerDiscrete.")
@click.option("--dtype", type=click.Choice(DTYPES), help="Default: float32 on a CPU, float16 elsewhere.")
@click.option("--device", help="Such as cpu, cuda or cuda:1. Default: an accelerator if there is one.")
@click.option("--batch", type=click.IntRange(1, 1_000), default=1, show_default=True, help="How many pictures at once.")
@click.option("--overwrite", is_flag=True, help="Overwrite files; otherwise a number is added to names.")
@click.option("--no-metadata", is_flag=True, help="Write pixels alone, not how they were made.")
@as_json_option
def generate(
    prompt: str | None,
    prompts: Any,
    output: str,
    seeds: tuple[int, ...] | None,
    count: int | None,
    overwrite: bool,
    no_metadata: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Make pictures of PROMPT; - reads prompts from standard input, one in each line."""
    request = Request(**asked)
    pictures = wanted_pictures(prompts_of(prompt, prompts), seeds or (), count)
    names = Names(output, overwrite)
    names.check(pictures)
    made = 0
    try:
        for line in make(request, pictures, names, not no_metadata):
            made += 1
            say_json(line) if as_json else click.echo(line["file"])
            if line["blocked"]:
                click.echo(f"{line['file']} is black: the safety checker blocked it.", err=True)
    except KeyboardInterrupt:
        click.echo(f"Stopped: {made} of {len(pictures)} pictures are written.", err=True)
        raise


def make(request: Request, pictures: list[Wanted], names: Names, metadata: bool) -> Iterator[dict[str, Any]]:
    """Make and write the pictures; yields what to say of each once its file is there."""
    shown = {name: opened(path) for name, path in (("image", request.image), ("mask_image", request.mask)) if path}
    from calotype.cli.recipes import common_facts, recipe
    from calotype.core import progress
    from calotype.core.picture_files import recipe_options, write_picture

    pipe = loaded(request)
    arguments = arguments_for(request, shown, pipe.vae_scale_factor)
    for name in arguments.keys() & pipe.argument_rules.keys():  # before a recipe is made of them
        pipe.argument_rules[name](name, arguments[name])
    facts = common_facts(pipe, request.model, request.revision, arguments)
    for picture in pictures if metadata else ():  # refused now, not when its picture is made
        recipe_options(names.template, recipe(facts, picture, (99_999, 99_999)))
    batches = [pictures[place : place + request.batch] for place in range(0, len(pictures), request.batch)]
    with progress.bar(total=0, unit="step", disable=not sys.stderr.isatty()) as bar:
        for number, batch in enumerate(batches):
            told = {"prompt": [one.prompt for one in batch], "generator": [one.seed for one in batch]}
            with pipe.stream(**told, **arguments) as steps:
                for step in steps:
                    bar.total = step.total * len(batches)
                    bar.update(step.total * number + step.index + 1 - bar.n)
                output = steps.output
            flagged = output.nsfw_content_detected or [None] * len(batch)
            for one, made, blocked in zip(batch, output.images, flagged, strict=True):
                path = names.give(one)
                write_picture(path, made, recipe(facts, one, made.size), metadata=metadata)
                told = {"file": str(path), "prompt": one.prompt, "seed": one.seed, "size": [*made.size]}
                bar.clear()  # what is said now gets a line of its own
                yield {**told, "blocked": blocked}


def loaded(request: Request) -> Any:
    """The pipeline for the task, where and as it is to run."""
    if request.model == DEFAULT_MODEL and not os.path.isdir(request.model) and not (POCKET / DEFAULT_MODEL).is_dir():
        raise MissingFile(
            f"-m {DEFAULT_MODEL}",
            "the small model that is to ship with calotype",
            "none of its files: it is not there yet",
            "Name another with -m: a folder, or a repository on the Hub.",
        )
    import torch

    from calotype.core.names import public
    from calotype.pipelines import auto

    task = auto.AutoPipelineForInpainting if request.mask else auto.AutoPipelineForImage2Image
    device = device_for(request.device)
    dtype = request.dtype or ("float32" if device.type == "cpu" else "float16")
    options = {"revision": request.revision, "variant": request.variant}
    pipe = (task if request.image else auto.AutoPipelineForText2Image).from_pretrained(
        request.model, torch_dtype=getattr(torch, dtype), **{key: value for key, value in options.items() if value}
    )
    if request.scheduler:
        pipe.scheduler = public(f"{request.scheduler}Scheduler").from_config(pipe.scheduler.config)
    return pipe.to(device)


def device_for(asked: str | None) -> torch.device:
    """The device that was asked for, if this machine has it; an accelerator, if there is one, otherwise."""
    import torch

    if asked is None:
        available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        return torch.device(next(name for name, there in available.items() if there))
    try:
        return torch.empty(0, device=asked).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InvalidArgument("--device", "a device of this machine", repr(asked), str(error).splitlines()[0]) from None


def opened(path: str) -> Image.Image:
    """The picture in a file, decoded and upright."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            return ImageOps.exif_transpose(file)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CorruptFile(path, "a picture", str(error)[:200]) from None


def arguments_for(request: Request, shown: dict[str, Image.Image], factor: int) -> dict[str, Any]:
    """The arguments of the call that are the same for every picture."""
    told: dict[str, Any] = {
        "negative_prompt": request.negative,
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance,
        "strength": request.strength,
    }
    size = request.size
    if request.image and request.size:
        shown = {"image": shown["image"].resize(request.size), **{k: v for k, v in shown.items() if k != "image"}}
    if request.mask and size is None:
        width, height = shown["image"].size
        size = width - width % factor, height - height % factor
    if size and (request.mask or not request.image):
        told["width"], told["height"] = size
    return {name: value for name, value in told.items() if value is not None} | shown
