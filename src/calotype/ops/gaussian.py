"""The normal distribution that an encoder describes by its mean and the logarithm of its variance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from calotype.ops.random import Generators, randn_tensor


class DiagonalGaussianDistribution:
    """Independent normal distributions, one per latent; ``deterministic`` ones have no variance."""

    def __init__(self, parameters: Tensor, deterministic: bool = False) -> None:
        self.parameters = parameters  # (batch, 2 * channels, height, width): means, then log variances
        self.deterministic = deterministic
        self.mean, logvar = parameters.chunk(2, dim=1)
        self.logvar = logvar.clamp(-30.0, 20.0)

    @cached_property
    def std(self) -> Tensor:
        return torch.zeros_like(self.mean) if self.deterministic else (0.5 * self.logvar).exp()

    @cached_property
    def var(self) -> Tensor:
        return torch.zeros_like(self.mean) if self.deterministic else self.logvar.exp()

    def sample(self, generator: Generators = None) -> Tensor:
        """Latents drawn from the distribution."""
        noise = randn_tensor(self.mean.shape, generator, self.mean.device, self.mean.dtype)
        return self.mean + self.std * noise

    def mode(self) -> Tensor:
        """The likeliest latents."""
        return self.mean

    def kl(self, other: DiagonalGaussianDistribution | None = None) -> Tensor:
        """How far this is from the other distribution (the standard one if None), in nats per item."""
        if self.deterministic:
            return torch.zeros(1)
        if other is None:
            far = self.mean**2 + self.var - 1.0 - self.logvar
        else:
            far = (self.mean - other.mean) ** 2 / other.var + self.var / other.var - 1.0 - self.logvar + other.logvar
        return 0.5 * far.sum(dim=[1, 2, 3])

    def nll(self, sample: Tensor, dims: Sequence[int] = (1, 2, 3)) -> Tensor:
        """How unlikely a sample is: the negative logarithm of its density."""
        if self.deterministic:
            return torch.zeros(1)
        unlikely = math.log(2.0 * math.pi) + self.logvar + (sample - self.mean) ** 2 / self.var
        return 0.5 * unlikely.sum(dim=list(dims))
