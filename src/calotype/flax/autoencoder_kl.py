"""The autoencoder between pixels and latents in JAX."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from calotype.flax.layers import Params
from calotype.flax.model import FlaxModelMixin
from calotype.flax.names import Spelling
from calotype.models.autoencoder_kl import OLD_NAMES, AutoencoderKL

# Flax's files kept the first names of attention layers.
FIRST_NAMES = {new.replace(".", "_"): old for old, new in OLD_NAMES.items()}


class FlaxDiagonalGaussianDistribution(NamedTuple):
    """Independent normal distributions, one per latent."""

    mean: Array  # (batch, channels, height, width)
    std: Array

    def sample(self, key: Array) -> Array:
        """Latents drawn from the distribution."""
        batch, channels, height, width = self.mean.shape
        # the peer's latents have their channels last where it draws: "same picture"
        drawn = jax.random.normal(key, (batch, height, width, channels), self.mean.dtype)
        return self.mean + self.std * drawn.transpose(0, 3, 1, 2)

    def mode(self) -> Array:
        """The likeliest latents."""
        return self.mean


class FlaxAutoencoderKLOutput(NamedTuple):
    """What the encoder makes of pictures: a distribution of latents."""

    latent_dist: FlaxDiagonalGaussianDistribution


class FlaxDecoderOutput(NamedTuple):
    """What the decoder makes of latents."""

    sample: Array  # (batch, channels, height, width), in [-1, 1] or a little beyond


class FlaxAutoencoderKL(FlaxModelMixin):
    """Pixels to a normal distribution of latents and back."""

    twin = AutoencoderKL
    spelling = Spelling(words=FIRST_NAMES)

    def encode(self, sample: Array, *, params: Params) -> FlaxAutoencoderKLOutput:
        """The distribution of latents of pictures (batch, channels, height, width) in [-1, 1]."""
        run, net = self.run(params), self.network
        moments = run(net.encoder, jnp.asarray(sample, self.dtype).transpose(0, 2, 3, 1))
        moments = moments if net.quant_conv is None else run(net.quant_conv, moments)
        mean, logvar = jnp.split(moments.transpose(0, 3, 1, 2), 2, axis=1)
        return FlaxAutoencoderKLOutput(
            FlaxDiagonalGaussianDistribution(mean, jnp.exp(0.5 * jnp.clip(logvar, -30.0, 20.0)))
        )

    def decode(self, latents: Array, *, params: Params) -> FlaxDecoderOutput:
        """The pictures of latents (batch, channels, height, width)."""
        run, net = self.run(params), self.network
        x = jnp.asarray(latents, self.dtype).transpose(0, 2, 3, 1)
        x = x if net.post_quant_conv is None else run(net.post_quant_conv, x)
        return FlaxDecoderOutput(run(net.decoder, x).transpose(0, 3, 1, 2))

    def __call__(self, sample: Array, *, params: Params) -> FlaxDecoderOutput:
        """Pictures there and back, by way of the likeliest latents."""
        return self.decode(self.encode(sample, params=params).latent_dist.mode(), params=params)
