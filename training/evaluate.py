"""What the finished pocket models can do, by the judge, on prompts whose combinations were never in training."""

from __future__ import annotations

import json
from typing import Any

from calotype import (
    KandinskyV22CombinedPipeline,
    KandinskyV22Pipeline,
    KandinskyV22PriorPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
)
from calotype.core.atomic import write_atomic
from calotype.models.controlnet import ControlNetModel
from training import exams
from training.recipes import controlnet, diffusion, inversion, ip_adapter, kandinsky, lora, prior
from training.recipes.pocket import pocket_sd
from training.studio import Studio, log, write_card

PROMPTS, FEWER = 200, 50  # for the model itself; for what it can do beside
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def evaluate(studio: Studio) -> None:
    """Examine the pipeline and its adapters, and write what was right into a file and the model cards."""
    pipe = pocket_sd(studio)
    measured = {
        diffusion.NAME: _drawing(pipe),
        controlnet.NAME: _control(studio, pipe),
        lora.NAME: _colours(studio, pipe),
        inversion.NAME: _word(studio, pipe),
        ip_adapter.NAME: _picture(studio, pipe),
        prior.NAME: _imagined(studio),
        kandinsky.NAME: _decoded(studio),
    }
    for name, marks in measured.items():
        for fact, mark in marks.items():
            log.info("%s: %s: %.3f", name, fact, mark)
    write_atomic(studio.folder("evaluation.json"), [json.dumps(measured, indent=2).encode()])
    for recipe, kind in (
        (diffusion, "text-to-image"),
        (controlnet, "controlnet"),
        (lora, "lora"),
        (inversion, "word"),
        (ip_adapter, "ip-adapter"),
        (prior, "kandinsky"),
        (kandinsky, "kandinsky"),
    ):
        needs = prior.NAME if recipe is kandinsky else None
        write_card(
            studio.folder(recipe.NAME), recipe.NAME, recipe.ABOUT, measured[recipe.NAME], [kind, "pocket"], needs
        )


def _drawing(pipe: Any) -> exams.Marks:
    redrawn = StableDiffusionImg2ImgPipeline.from_pipe(pipe)
    repainted = StableDiffusionInpaintPipeline.from_pipe(pipe)
    for other in (redrawn, repainted):
        other.set_progress_bar_config(disable=True)
    return {
        **_told("one thing", exams.prompts(pipe, PROMPTS)),
        **_told("one thing, no guidance", exams.prompts(pipe, FEWER, guidance_scale=1.0)),
        **_told("two things", exams.prompts(pipe, PROMPTS, things=2)),
        **_told("a negative prompt names the ground", exams.negatives(pipe, FEWER)),
        **_told("strength 0.3", exams.strengths(redrawn, FEWER, 0.3)),
        **_told("strength 0.9", exams.strengths(redrawn, FEWER, 0.9)),
        **_told("inpainting", exams.repainted(repainted, FEWER)),
    }


def _control(studio: Studio, pipe: Any) -> exams.Marks:
    net = ControlNetModel.from_pretrained(studio.folder(controlnet.NAME)).to(studio.device)
    hinted = StableDiffusionControlNetPipeline.from_pipe(pipe, controlnet=net)
    hinted.set_progress_bar_config(disable=True)
    return {
        **_told("with the outline", exams.hints(hinted, FEWER)),
        **_told("without", exams.hints(hinted, FEWER, controlnet_conditioning_scale=0.0)),
    }


def _colours(studio: Studio, pipe: Any) -> exams.Marks:
    without = exams.opposites(pipe, FEWER)
    pipe.load_lora_weights(studio.folder(lora.NAME))
    marks = exams.opposites(pipe, FEWER)
    pipe.unload_lora_weights()
    return {**_told("with the LoRA", marks), **_told("without", without)}


def _word(studio: Studio, pipe: Any) -> exams.Marks:
    without = exams.moons(pipe, FEWER, word="thing")
    pipe.load_textual_inversion(studio.folder(inversion.NAME))
    marks = exams.moons(pipe, FEWER)
    pipe.unload_textual_inversion()
    return {**_told("with the word", marks), **_told("without", without)}


def _picture(studio: Studio, pipe: Any) -> exams.Marks:
    pipe.load_ip_adapter(studio.folder(ip_adapter.NAME))
    marks = exams.pictured(pipe, FEWER)
    pipe.set_ip_adapter_scale(0)
    without = exams.pictured(pipe, FEWER)
    pipe.unload_ip_adapter()
    return {**_told("with the picture", marks), **_told("without", without)}


def _decoded(studio: Studio) -> exams.Marks:
    pipe = kandinsky_of(studio)
    return {
        **_told("one thing", exams.prompts(pipe, PROMPTS)),
        **_told("two things", exams.prompts(pipe, FEWER, things=2)),
        **_mixing("prompts", pipe),
        **_mixing("a prompt and a picture", pipe, pictured=True),
    }


def _imagined(studio: Studio) -> exams.Marks:
    first = KandinskyV22PriorPipeline.from_pretrained(studio.folder(prior.NAME))
    first.set_progress_bar_config(disable=True)
    return _told("cosine of what it imagines and what CLIP sees", exams.imagined(first, PROMPTS))


def _mixing(kind: str, pipe: Any, pictured: bool = False) -> exams.Marks:
    """How facts pass from the first of two to the second."""
    return {
        f"{kind} mixed, {share:.0%} of the second: {fact}": mark
        for share in SHARES
        for fact, mark in exams.mixed(pipe, FEWER, share, pictured).items()
    }


def kandinsky_of(studio: Studio) -> Any:
    """The finished prior and decoder in one pipeline."""
    first = KandinskyV22PriorPipeline.from_pretrained(studio.folder(prior.NAME))
    then = KandinskyV22Pipeline.from_pretrained(studio.folder(kandinsky.NAME))
    parts = {f"prior_{name}": part for name, part in first.components.items()}
    pipe = KandinskyV22CombinedPipeline(**then.components, **parts).to(studio.device)
    pipe.register_to_config(_usual_arguments=kandinsky.USUAL)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _told(kind: str, marks: exams.Marks) -> exams.Marks:
    return {f"{kind}: {'colour, shape and place' if fact == 'bound' else fact}": mark for fact, mark in marks.items()}
