"""CLIP's text encoder in JAX."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from calotype.flax.layers import Params
from calotype.flax.model import FlaxModelMixin
from calotype.flax.names import Spelling
from calotype.models.text_encoders import CLIPTextModel


class FlaxTextOutput(NamedTuple):
    """What the encoder read: one state per token, after the final norm."""

    last_hidden_state: Array  # (batch, tokens, width)


class FlaxCLIPTextModel(FlaxModelMixin):
    """The text encoder of Stable Diffusion 1."""

    twin = CLIPTextModel
    library = "transformers"
    weights_name = "flax_model.msgpack"
    spelling = Spelling(joined=False)

    def __call__(self, input_ids: Array, *, params: Params) -> FlaxTextOutput:
        return FlaxTextOutput(self.run(params)(self.network.text_model, jnp.asarray(input_ids)))
