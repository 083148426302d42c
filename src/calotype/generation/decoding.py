"""Pixels become latents, and latents pixels."""

from __future__ import annotations

import copy
import logging
from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from calotype.core.offload import ENTRANCES
from calotype.generation.checks import check_finite

logger = logging.getLogger("calotype.generation.decoding")


def latents_of(vae: Any, pixels: torch.Tensor, generator: Any = None, upcast: bool = False) -> torch.Tensor:
    """A sample of the latents of pictures, each from its own generator where there is a list of them.

    With ``upcast`` in float32, where the VAE's config asks for it.
    """
    if upcast and vae.config.force_upcast and vae.dtype != torch.float32:
        vae = in_full(vae, pixels.device)
    mean, factor = scale(vae, pixels.device, pixels.ndim)
    pixels = pixels.to(vae.dtype)
    several: bool = isinstance(generator, list)
    pairs = zip(pixels.split(1), generator, strict=True) if several else [(pixels, generator)]
    return (torch.cat([vae.encode(each).latent_dist.sample(source) for each, source in pairs]) - mean) * factor


def decoded(vae: Any, latents: torch.Tensor, generator: Any = None, upcast: bool = False) -> torch.Tensor:
    """Pixels in [-1, 1]; what overflows in half precision is decoded again in full, and refused if it still does.

    With ``upcast`` a VAE whose config asks for it is not tried in float16 first.
    """
    if upcast and vae.config.force_upcast and vae.dtype == torch.float16:
        vae = in_full(vae, latents.device)
    pixels = _decoded(vae, latents, generator)
    if torch.isfinite(pixels).all():
        return pixels
    if vae.dtype in (torch.float16, torch.bfloat16):
        logger.warning("the VAE overflowed in %s: decoding again in float32", vae.dtype)
        pixels = _decoded(in_full(vae, latents.device), latents, generator)
    check_finite("decoded picture", pixels)
    return pixels


def _decoded(vae: Any, latents: torch.Tensor, generator: Any) -> torch.Tensor:
    mean, factor = scale(vae, latents.device, latents.ndim)
    drawing = {} if generator is None else {"generator": generator}
    return vae.decode(latents.to(vae.dtype) / factor + mean, return_dict=False, **drawing)[0]


def scale(vae: Any, device: torch.device, ndim: int = 4) -> tuple[torch.Tensor | float, torch.Tensor | float]:
    """The mean of a VAE's own latents, and the factor that then gives them the spread of noise; films have 5 axes."""
    config, axes = vae.config, [1] * (ndim - 2)
    if config.latents_mean is None or config.latents_std is None:
        return 0.0, config.scaling_factor
    mean, std = (
        torch.tensor(values, device=device, dtype=vae.dtype).reshape(1, -1, *axes)
        for values in (config.latents_mean, config.latents_std)
    )
    return mean, config.get("scaling_factor", 1.0) / std


def in_full(network: nn.Module, device: torch.device) -> Any:
    """A float32 twin of a network, with none of its hooks: others may be using the network now."""

    def full(tensor: torch.Tensor | None) -> torch.Tensor | None:
        return None if tensor is None else tensor.to(device, torch.float32 if tensor.is_floating_point() else None)

    twin = copy.copy(network)
    vars(twin).update(
        _parameters={name: full(tensor) for name, tensor in network._parameters.items()},
        _buffers={name: full(tensor) for name, tensor in network._buffers.items()},
        _modules={name: None if part is None else in_full(part, device) for name, part in network._modules.items()},
        _forward_hooks=OrderedDict(),
        _forward_pre_hooks=OrderedDict(),
    )
    for name in ENTRANCES:
        vars(twin).pop(name, None)
    return twin
