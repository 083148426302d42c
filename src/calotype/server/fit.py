"""Does a request fit a VAE and the limits? Asked before any memory is taken for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calotype.core.errors import InvalidArgument
from calotype.remote.heads import Head, Pairs, TooLarge
from calotype.remote.wire import DecodeQuery
from calotype.server.limits import Limits

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Facts:
    """What a request must fit: a VAE's name, its channels, and how many pixels a side a latent stands for."""

    name: str
    latents: int
    pictures: int  # channels that it encodes
    pixels: int  # channels that it decodes
    factor: int
    frames: int | None = None  # that a latent of a film stands for; None: it makes pictures


def check_names(pairs: Pairs, known: Sequence[str]) -> None:
    """Refuse what the query says that nothing here reads."""
    for name, _ in pairs:
        if name not in known:
            raise InvalidArgument(name[:40], f"one of {', '.join(known)}", "another name")


def check_body(head: Head, limits: Limits, most: int | None = None) -> None:
    most = limits.max_body if most is None else most
    if head.nbytes > most:
        raise TooLarge("shape", f"at most {most} bytes", f"{head.nbytes}")


def check_sides(shape: Sequence[int], facts: Facts) -> None:
    """Refuse sides that are no whole number of latents."""
    uneven = next((side for side in shape[-2:] if side % facts.factor), None)
    if uneven is not None:
        raise InvalidArgument("shape", f"sides that {facts.factor} divides", str(uneven))


def check_size(name: str, count: int, height: int, width: int, limits: Limits) -> None:
    """Refuse pictures that are too large, or too many."""
    if max(height, width) > limits.max_side:
        raise TooLarge(name, f"pictures of at most {limits.max_side} pixels a side", f"{width}x{height}")
    if count * height * width > limits.max_pixels:
        raise TooLarge(name, f"at most {limits.max_pixels} pixels", f"{count} pictures of {width}x{height}")


def check_film(name: str, shape: tuple[int, ...], limits: Limits) -> None:
    """Refuse films (batch, channel, frame, height, width) that are too large, too long, or too many."""
    count, _, frames, height, width = shape
    if max(height, width) > limits.max_side:
        raise TooLarge(name, f"frames of at most {limits.max_side} pixels a side", f"{width}x{height}")
    if count * frames > limits.max_frames:
        raise TooLarge(name, f"at most {limits.max_frames} frames", f"{count * frames}")
    if count * frames * height * width > limits.max_film_pixels:
        raise TooLarge(name, f"at most {limits.max_film_pixels} pixels", f"{count * frames} frames of {width}x{height}")


def check_numbers(tensor: torch.Tensor) -> None:
    import torch

    if not torch.isfinite(tensor).all():
        raise InvalidArgument("body", "finite numbers", "NaN or infinity")


def unpacked(query: DecodeQuery, facts: Facts) -> tuple[int, int, int, int]:
    """The shape of the latents as the VAE reads them; height and width, where they are told, must be theirs."""
    shape, told = query.head.shape, {"height": query.height, "width": query.width}
    if len(shape) == 4 and shape[1] == facts.latents:
        for (name, side), latents in zip(told.items(), shape[2:], strict=True):
            if side is not None and side != latents * facts.factor:
                raise InvalidArgument(name, f"{latents * facts.factor}, as the latents' {latents} say", str(side))
        return (shape[0], shape[1], shape[2], shape[3])
    if len(shape) == 3 and shape[2] == 4 * facts.latents:
        patch = 2 * facts.factor
        for name, side in told.items():
            if not side or side % patch:
                raise InvalidArgument(name, f"a multiple of {patch}", str(side))
        high, wide = (query.height or 0) // patch, (query.width or 0) // patch
        if high * wide != shape[1]:
            raise InvalidArgument("shape", f"{high * wide} patches, for {query.width}x{query.height}", str(shape[1]))
        return (shape[0], facts.latents, 2 * high, 2 * wide)
    wanted = f"(batch, {facts.latents}, height, width), or (batch, patches, {4 * facts.latents}) packed"
    raise InvalidArgument("shape", f"{wanted}, for {facts.name}", str(list(shape)))
