"""What a network's output means: the clean sample, the noise, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from ..core.errors import InvalidArgument
from .grid import Point

Estimate = Callable[[torch.Tensor, torch.Tensor, Point], torch.Tensor]

CLEAN: dict[str, Estimate] = {
    "epsilon": lambda out, x, p: (x - p.sigma * out) / p.alpha,
    "sample": lambda out, x, p: out,
    "v_prediction": lambda out, x, p: (x * p.alpha - out * (p.sigma * p.size)) / p.size**2,
    "flow_prediction": lambda out, x, p: x - p.sigma * out,
}
"""The clean sample that the network's output means."""

NOISE: dict[str, Estimate] = {
    "epsilon": lambda out, x, p: out,
    "sample": lambda out, x, p: (x - p.alpha * out) / p.sigma,
    "v_prediction": lambda out, x, p: (x * p.sigma + out * (p.alpha * p.size)) / p.size**2,
    "flow_prediction": lambda out, x, p: x + p.alpha * out,
}
"""The noise that the network's output means."""

PREDICTED = dict.fromkeys(("vp", "ve"), ("epsilon", "sample", "v_prediction")) | {
    "flow": ("epsilon", "sample", "flow_prediction")
}
"""What a network can mean in each space: a velocity is another thing along a flow."""


def learned_half(output: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The prediction of a network that tells variances in a second set of channels."""
    if output.shape[1] != 2 * x.shape[1]:
        raise InvalidArgument("model_output", f"{2 * x.shape[1]} channels, variances learned", str(output.shape[1]))
    return output[:, : x.shape[1]]


def learned_range(told: torch.Tensor, small: float, large: float) -> torch.Tensor:
    """The standard deviation that a network tells as a share of the way, in the logarithm, from small to large."""
    share = (told + 1) / 2
    return torch.exp(share * math.log(large) + (1 - share) * math.log(max(small, 1e-10)))


def threshold(denoised: torch.Tensor, ratio: float, most: float) -> torch.Tensor:
    """Dynamic thresholding (arXiv 2205.11487, section 2.3): items cut at their own quantile, scaled into [-1, 1]."""
    bound = denoised.abs().flatten(1).quantile(ratio, dim=1).clamp(1.0, most)
    bound = bound.reshape(-1, *[1] * (denoised.ndim - 1))
    return denoised.clamp(-bound, bound) / bound
