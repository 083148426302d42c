"""Between the latents that are sent and those that a VAE works with: the factors that a request tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calotype.remote.wire import DecodeQuery, EncodeQuery

if TYPE_CHECKING:
    import torch


def unscaled(latents: torch.Tensor, query: DecodeQuery, network: Any) -> torch.Tensor:
    """The latents as the network's decoder reads them, in float32 where it is."""
    import torch

    latents = latents.to(network.device, torch.float32)
    mean, factor = query.shift_factor or 0.0, query.scaling_factor or 1.0
    if query.do_scaling and query.scaling_factor is None:
        mean, factor = own(network, latents.ndim)
    return latents if isinstance(factor, float) and (mean, factor) == (0.0, 1.0) else latents / factor + mean


def scaled(latents: torch.Tensor, query: EncodeQuery) -> torch.Tensor:
    """Latents by the factors that were sent, if any was."""
    latents = latents if not query.shift_factor else latents - query.shift_factor
    return (latents if query.scaling_factor is None else latents * query.scaling_factor).contiguous()


def own(network: Any, ndim: int) -> tuple[Any, Any]:
    """The mean and the factor that this VAE was trained with."""
    from calotype.generation.decoding import scale

    if network.config.get("latents_mean") and network.config.get("latents_std"):
        return scale(network, network.device, ndim)
    return network.config.get("shift_factor") or 0.0, network.config.scaling_factor
