"""Arguments are checked once, at the door: a table of what each may be, and the rules that tie several together."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import torch

from calotype.core.errors import InvalidArgument, NotFinite
from calotype.generation.images import LONGEST_SIDE, OUTPUT_TYPES

log = logging.getLogger("calotype.generation")

LONGEST_PROMPT = 32_768  # characters

Rule = Callable[[str, Any], None]


def count(low: int, high: int) -> Rule:
    """A whole number in this range; True is not a number."""

    def rule(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) <= high:
            raise InvalidArgument(name, f"a whole number from {low} to {high}", repr(value))

    return rule


def number(low: float = -math.inf, high: float = math.inf, meaning: str = "") -> Rule:
    """A finite number in this range."""
    told = (
        "a finite number"
        if math.isinf(low)
        else f"a number from {low:g} {'up' if math.isinf(high) else f'to {high:g}'}"
    )

    def rule(name: str, value: Any) -> None:
        if (
            isinstance(value, bool)
            or not isinstance(value, Real)
            or not math.isfinite(float(value))
            or not low <= float(value) <= high
        ):
            raise InvalidArgument(name, told + meaning, repr(value))

    return rule


def among(choices: Sequence[str]) -> Rule:
    """One of these words."""

    def rule(name: str, value: Any) -> None:
        if value not in choices:
            raise InvalidArgument(name, f"one of {', '.join(choices)}", repr(value))

    return rule


def or_none(rule: Rule) -> Rule:
    """What the rule says, or None."""
    return lambda name, value: None if value is None else rule(name, value)


def pair(low: float) -> Rule:
    """Two finite numbers, such as a height and a width, or how far from the top and from the left."""

    def rule(name: str, value: Any) -> None:
        if not isinstance(value, (tuple, list)) or len(value) != 2:  # pyright: ignore[reportUnknownArgumentType]
            raise InvalidArgument(name, "two numbers", repr(value))
        for i, each in enumerate(value):
            number(low)(f"{name}[{i}]", each)

    return rule


def floats(name: str, value: Any) -> None:
    """A finite tensor of floats."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        found = str(value.dtype) if isinstance(value, torch.Tensor) else type(value).__name__
        raise InvalidArgument(name, "a tensor of floats", found)
    check_finite(name, value)


def attention_options(name: str, value: Any) -> None:
    """Options for attention processors, by name; what is a number is finite."""
    if not isinstance(value, dict):
        raise InvalidArgument(name, "a dict of options for attention processors", type(value).__name__)
    for key, option in value.items():
        if isinstance(option, float):
            number()(f"{name}[{key!r}]", option)


def flag(name: str, value: Any) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise InvalidArgument(name, "True or False", repr(value))


RULES: dict[str, Rule] = {
    "num_inference_steps": count(1, 10_000),
    "num_images_per_prompt": count(1, 1_000),
    "callback_steps": or_none(count(1, 10_000)),
    "padding_mask_crop": or_none(count(0, LONGEST_SIDE)),
    "clip_skip": or_none(count(0, 1_000)),
    "prior_num_inference_steps": count(2, 10_000),
    "guidance_scale": number(),
    "prior_guidance_scale": number(),
    "guidance_rescale": number(0, 1),
    "eta": number(0, 1),
    "denoising_start": or_none(number(0, 1)),
    "denoising_end": or_none(number(0, 1)),
    "strength": number(0, 1, " (0 keeps the image, 1 ignores it)"),
    "guess_mode": flag,
    "output_type": among(OUTPUT_TYPES),
    "original_size": or_none(pair(0)),
    "target_size": or_none(pair(0)),
    "crops_coords_top_left": pair(-LONGEST_SIDE),
    "negative_original_size": or_none(pair(0)),
    "negative_target_size": or_none(pair(0)),
    "negative_crops_coords_top_left": pair(-LONGEST_SIDE),
    "aesthetic_score": number(),
    "negative_aesthetic_score": number(),
    "latents": or_none(floats),
    "masked_image_latents": or_none(floats),
    "cross_attention_kwargs": or_none(attention_options),
    "prompt_syntax": or_none(among(("a1111", "compel"))),
}


def check_side(name: str, side: Any, factor: int) -> int:
    """A whole, positive multiple of what the VAE divides by."""
    whole = isinstance(side, Integral) and not isinstance(side, bool)
    if not whole or not factor <= int(side) <= LONGEST_SIDE or int(side) % factor:
        near = f"{max(factor, min(LONGEST_SIDE, round(int(side) / factor) * factor))}" if whole else ""
        fix = f"The nearest is {near}." if near else ""
        raise InvalidArgument(name, f"a multiple of {factor} from {factor} to {LONGEST_SIDE} pixels", repr(side), fix)
    return int(side)


def check_size(height: Any, width: Any, factor: int) -> tuple[int, int]:
    """Both sides are as the VAE needs them."""
    return check_side("height", height, factor), check_side("width", width, factor)


def check_shape(name: str, tensor: torch.Tensor | None, shape: tuple[int, ...], spreads: bool = False) -> None:
    """A tensor of this shape, if there is one; what ``spreads`` may also have a batch size that divides this one."""
    if tensor is None:
        return
    batch = len(tensor) if tensor.ndim else 0
    fits = batch == shape[0] or (spreads and batch and shape[0] % batch == 0)
    if not fits or tuple(tensor.shape[1:]) != shape[1:]:
        raise InvalidArgument(name, f"shape {shape}", f"shape {tuple(tensor.shape)}")


def check_texts(name: str, texts: Any) -> list[str]:
    """One text or a list of them, as a list."""
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, (list, tuple)) or not texts:
        raise InvalidArgument(name, "a text or a list of texts, not empty", repr(texts)[:80])
    for i, text in enumerate(texts):
        where = f"{name}[{i}]" if len(texts) > 1 else name
        if not isinstance(text, str):
            raise InvalidArgument(where, "a text (str)", type(text).__name__)
        if len(text) > LONGEST_PROMPT:
            raise InvalidArgument(where, f"at most {LONGEST_PROMPT:,} characters", f"{len(text):,}")
        if not text.isascii():
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as fault:
                raise InvalidArgument(where, "valid Unicode", f"a lone surrogate at character {fault.start}") from fault
    return list(texts)


def check_embeds(name: str, embeds: Any, width: int | None, like: torch.Tensor | None = None) -> None:
    """Text states (batch, tokens, width), finite, of the shape of their counterpart."""
    shape = f"(batch, tokens, {width or 'width'})"
    if not isinstance(embeds, torch.Tensor):
        raise InvalidArgument(name, f"a tensor {shape}", type(embeds).__name__)
    if embeds.ndim != 3 or not embeds.numel() or (width and embeds.shape[-1] != width):
        raise InvalidArgument(name, f"shape {shape}", f"shape {tuple(embeds.shape)}")
    if like is not None and embeds.shape != like.shape:
        raise InvalidArgument(name, f"the shape of prompt_embeds, {tuple(like.shape)}", f"shape {tuple(embeds.shape)}")
    check_finite(name, embeds)


def check_finite(name: str, tensor: torch.Tensor) -> None:
    if not torch.isfinite(tensor).all():
        raise NotFinite(name, "finite numbers", "NaN or infinity")


def check_safety(pipe: Any, checker: Any, extractor: Any, wanted: bool = True) -> None:
    """Tell that a pipeline has no safety checker, though one is wanted; refuse one without its extractor."""
    if checker is None and wanted:
        log.warning("%s has no safety checker: look at pictures before you show them to others", type(pipe).__name__)
    if checker is not None and extractor is None:
        fix = "Or pass safety_checker=None."
        raise InvalidArgument("feature_extractor", "one, as there is a safety_checker", "None", fix)


def check_prompts(
    prompt: Any, negative_prompt: Any, prompt_embeds: Any, negative_prompt_embeds: Any, width: int | None = None
) -> int:
    """A prompt or its embeddings, a negative one of the same batch or none; the number of prompts."""
    for name, text, embeds in (
        ("prompt", prompt, prompt_embeds),
        ("negative_prompt", negative_prompt, negative_prompt_embeds),
    ):
        if text is not None and embeds is not None:
            raise InvalidArgument(f"{name}, {name}_embeds", "one of the two", "both")
    if prompt is None and prompt_embeds is None:
        raise InvalidArgument("prompt", "a text, or prompt_embeds", "neither")
    if prompt_embeds is not None:
        check_embeds("prompt_embeds", prompt_embeds, width)
    batch: int = len(prompt_embeds if prompt_embeds is not None else check_texts("prompt", prompt))
    if negative_prompt is not None:
        negatives = len(check_texts("negative_prompt", negative_prompt))
        if negatives not in (1, batch):
            raise InvalidArgument("negative_prompt", f"one text, or {batch} as there are prompts", f"{negatives}")
    if negative_prompt_embeds is not None:
        check_embeds("negative_prompt_embeds", negative_prompt_embeds, width, prompt_embeds)
        if len(negative_prompt_embeds) != batch:
            raise InvalidArgument(
                "negative_prompt_embeds", f"a batch of {batch}, as prompt", f"{len(negative_prompt_embeds)}"
            )
    return batch


def counted(prompt: str | Sequence[str] | None, prompt_embeds: torch.Tensor | None) -> int:
    """How many prompts these are that were checked."""
    if prompt_embeds is not None:
        return len(prompt_embeds)
    return 1 if isinstance(prompt, str) else len(prompt or ())


def as_generator(generator: Any, batch: int) -> Any:
    """Where noise is drawn from: a generator, one for each picture, none, or a seed (an int), which makes a new one."""
    if generator is None or isinstance(generator, torch.Generator):
        return generator
    if isinstance(generator, (list, tuple)):
        made = [as_generator(each, 1) for each in generator]
        if len(made) != batch or not all(isinstance(each, torch.Generator) for each in made):
            raise InvalidArgument(
                "generator, or seeds", f"one generator, or a list of {batch}, one for each picture", f"{len(made)}"
            )
        return made
    if isinstance(generator, int) and not isinstance(generator, bool) and 0 <= generator < 2**64:
        return torch.Generator().manual_seed(generator)
    raise InvalidArgument(
        "generator", "a torch.Generator, a list of them, or a seed from 0 to 2**64 - 1", repr(generator)
    )
