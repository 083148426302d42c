"""The denoising network of Stable Diffusion in JAX."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from calotype.core.errors import InvalidArgument
from calotype.flax.layers import Params
from calotype.flax.model import FlaxModelMixin
from calotype.models.unet import UNet2DConditionModel

# What a config may say, of what the twin in PyTorch can be told more.
KNOWN: dict[str, tuple[Any, ...]] = {
    "mid_block_type": ("UNetMidBlock2DCrossAttn", "UNetMidBlock2D", None),
    "class_embed_type": (None,),
    "num_class_embeds": (None,),
    "addition_embed_type": (None,),
    "encoder_hid_dim_type": (None,),
    "time_embedding_type": ("positional",),
    "time_cond_proj_dim": (None,),
}
BLOCKS = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}


class FlaxUNet2DConditionOutput(NamedTuple):
    """What the network predicts for the sample, in the sample's shape."""

    sample: Array


class FlaxUNet2DConditionModel(FlaxModelMixin):
    """Predicts the noise (or what the scheduler asks for) in latents, given timesteps and the words' states."""

    twin = UNet2DConditionModel

    def check_layers(self) -> None:
        for name, known in KNOWN.items():
            if self.config[name] not in known:
                raise InvalidArgument(name, f"one of {', '.join(map(str, known))} in JAX", repr(self.config[name]))
        for name, known in BLOCKS.items():
            strange = next((kind for kind in self.config[name] if kind not in known), None)
            if strange is not None:
                raise InvalidArgument(name, f"each one of {', '.join(known)} in JAX", repr(strange))

    def __call__(
        self,
        sample: Array,  # (batch, channels, height, width)
        timesteps: Array | float,  # one for all, or (batch,)
        encoder_hidden_states: Array,  # (batch, length, width)
        *,
        params: Params,
    ) -> FlaxUNet2DConditionOutput:
        times = jnp.broadcast_to(jnp.asarray(timesteps).reshape(-1), (len(sample),))
        pixels, states = (
            jnp.asarray(each, self.dtype) for each in (sample.transpose(0, 2, 3, 1), encoder_hidden_states)
        )
        return FlaxUNet2DConditionOutput(self.run(params)(self.network, pixels, times, states).transpose(0, 3, 1, 2))
