"""The check that comes after a picture, with CLIP's image encoder in JAX; the verdict is the twin's."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch
from jax import Array

from calotype.flax.layers import Params
from calotype.flax.model import FlaxModelMixin, as_tensor
from calotype.flax.names import Spelling
from calotype.models.safety_checker import StableDiffusionSafetyChecker, is_finite, too_close


class FlaxStableDiffusionSafetyChecker(FlaxModelMixin):
    """Which pictures are too close to a concept that should not be shown, or could not be judged."""

    twin = StableDiffusionSafetyChecker
    library = "stable_diffusion"
    weights_name = "flax_model.msgpack"
    spelling = Spelling(joined=False)

    @functools.cached_property
    def seen(self) -> Callable[[Array, Params], Array]:
        """Where CLIP sees pictures, compiled."""
        net = self.network

        def embeds(pixels: Array, params: Params) -> Array:
            run = self.run(params)
            return run(net.visual_projection, run(net.vision_model.vision_model, pixels.transpose(0, 2, 3, 1)))

        return jax.jit(embeds)

    def __call__(self, clip_input: Array, *, params: Params) -> list[bool]:
        """Of each picture (batch, 3, size, size), whether it may not be shown; in doubt, it may not."""
        embeds = as_tensor(self.seen(jnp.asarray(clip_input), params)).double()
        sound = all(jnp.isfinite(jnp.sum(weight, dtype=jnp.float32)) for weight in jax.tree.leaves(params))
        judged = is_finite(as_tensor(clip_input)) & is_finite(embeds) & (embeds != 0).any(-1) & torch.tensor(sound)
        names = ("concept_embeds", "concept_embeds_weights", "special_care_embeds", "special_care_embeds_weights")
        return (too_close(embeds, *(as_tensor(params[name]).double() for name in names)) | ~judged).tolist()
