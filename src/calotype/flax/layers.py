"""The layers in JAX: of each kind what it computes, channels last, from its own weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from torch import nn

from calotype.models.layers.activations import GEGLU, QuickGELU
from calotype.models.layers.attention import Attention
from calotype.models.layers.resnet import Downsample2D, ResnetBlock2D, Upsample2D
from calotype.models.layers.transformer import BasicTransformerBlock, FeedForward, Transformer2DModel

Params = Mapping[str, Any]  # arrays, or trees of them
Arithmetic = Callable[..., Any]

ARITHMETIC: dict[type[nn.Module], Arithmetic] = {}
"""What each kind of layer computes; it is called with the run, the layer and what comes in."""


@dataclass(frozen=True)
class Run:
    """A network at work: where in the tree the weights of each layer lie, the tree, and the type to compute in."""

    places: Mapping[nn.Module, tuple[str, ...]]
    params: Params
    dtype: Any

    def __call__(self, layer: Any, *inputs: Any) -> Any:
        computed = next(ARITHMETIC[kind] for kind in type(layer).__mro__ if kind in ARITHMETIC)
        return computed(self, layer, *inputs)

    def weights(self, layer: nn.Module) -> dict[str, Array]:
        """The weights of one layer."""
        found: Any = self.params
        for name in self.places[layer]:
            found = found[name]
        return {name: jnp.asarray(array, self.dtype) for name, array in found.items() if not isinstance(array, Mapping)}


def computes(*kinds: type[nn.Module]) -> Callable[[Arithmetic], Arithmetic]:
    """Enter a function as the arithmetic of these kinds."""

    def entered(function: Arithmetic) -> Arithmetic:
        ARITHMETIC.update(dict.fromkeys(kinds, function))
        return function

    return entered


# -- without weights ------------------------------------------------------------------------------------------------

ACTIVATIONS: dict[type[nn.Module], Callable[[Array], Array]] = {
    nn.GELU: lambda x: jax.nn.gelu(x, approximate=False),
    nn.Mish: jax.nn.mish,
    QuickGELU: lambda x: x * jax.nn.sigmoid(1.702 * x),
    nn.ReLU: jax.nn.relu,
    nn.SiLU: jax.nn.silu,
    nn.Identity: lambda x: x,
    nn.Dropout: lambda x: x,  # nothing is trained here
}


@computes(*ACTIVATIONS)
def activated(run: Run, layer: nn.Module, x: Array) -> Array:
    return ACTIVATIONS[type(layer)](x)


def attend(query: Array, key: Array, value: Array, heads: int, causal: bool = False) -> Array:
    """What each query (batch, length, channels) sees of the values, by heads."""
    batch, length, channels = query.shape
    split = (x.reshape(batch, x.shape[1], heads, -1) for x in (query, key, value))
    return jax.nn.dot_product_attention(*split, is_causal=causal).reshape(batch, length, channels)


# -- the simple ones ------------------------------------------------------------------------------------------------


@computes(nn.Linear)
def linear(run: Run, layer: nn.Linear, x: Array) -> Array:
    weights = run.weights(layer)
    return x @ weights["kernel"] + weights.get("bias", 0)


@computes(nn.Conv2d)
def convolution(run: Run, layer: nn.Conv2d, x: Array) -> Array:
    weights = run.weights(layer)
    border = [(int(side), int(side)) for side in layer.padding]
    told = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, weights["kernel"], layer.stride, border, dimension_numbers=told) + weights.get(
        "bias", 0
    )


def normed(x: Array, over: tuple[int, ...], eps: float) -> Array:
    """Mean 0 and variance 1 over these axes, in float32 at least."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    centred = wide - wide.mean(over, keepdims=True)
    return centred * lax.rsqrt((centred**2).mean(over, keepdims=True) + eps)


@computes(nn.GroupNorm)
def group_norm(run: Run, layer: nn.GroupNorm, x: Array) -> Array:
    weights, batch, channels = run.weights(layer), x.shape[0], x.shape[-1]
    groups = x.reshape(batch, -1, layer.num_groups, channels // layer.num_groups)
    return (normed(groups, (1, 3), layer.eps).reshape(x.shape) * weights["scale"] + weights["bias"]).astype(x.dtype)


@computes(nn.LayerNorm)
def layer_norm(run: Run, layer: nn.LayerNorm, x: Array) -> Array:
    weights = run.weights(layer)
    return (normed(x, (-1,), layer.eps) * weights["scale"] + weights["bias"]).astype(x.dtype)


# -- pictures -------------------------------------------------------------------------------------------------------


@computes(Downsample2D)
def downsample(run: Run, layer: Downsample2D, x: Array) -> Array:
    if layer.padding == 0:  # an autoencoder's way: a border on the right and below only
        x = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    return run(layer.conv, x)


@computes(Upsample2D)
def upsample(run: Run, layer: Upsample2D, x: Array, size: tuple[int, int] | None = None) -> Array:
    """Twice the size by the nearest pixel; where an odd side was halved on the way down, one less."""
    height, width = size or (None, None)
    return run(layer.conv, x.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width])


@computes(ResnetBlock2D)
def resnet(run: Run, layer: ResnetBlock2D, x: Array, time: Array | None = None) -> Array:
    inner = run(layer.conv1, run(layer.nonlinearity, run(layer.norm1, x)))
    if layer.time_emb_proj is None or time is None:
        inner = run(layer.norm2, inner)
    else:
        told = run(layer.time_emb_proj, run(layer.nonlinearity, time))[:, None, None]
        if layer.scale_shift:
            scale, shift = jnp.split(told, 2, axis=-1)
            inner = run(layer.norm2, inner) * (1 + scale) + shift
        else:
            inner = run(layer.norm2, inner + told)
    inner = run(layer.conv2, run(layer.nonlinearity, inner))
    x = x if layer.conv_shortcut is None else run(layer.conv_shortcut, x)
    return (x + inner) / layer.output_scale_factor


# -- attention ------------------------------------------------------------------------------------------------------


@computes(Attention)
def attention(run: Run, layer: Attention, x: Array, states: Array | None = None) -> Array:
    """Over words (batch, length, channels) or the pixels of a picture, which look at themselves or at the states."""
    own = x if layer.group_norm is None else run(layer.group_norm, x)
    own = own.reshape(x.shape[0], -1, x.shape[-1])
    states = own if states is None else states
    query, key, value = run(layer.to_q, own), run(layer.to_k, states), run(layer.to_v, states)
    seen = run(layer.to_out[0], attend(query, key, value, layer.heads)).reshape(x.shape)
    return seen + x if layer.residual_connection else seen


@computes(GEGLU)
def geglu(run: Run, layer: GEGLU, x: Array) -> Array:
    value, gate = jnp.split(run(layer.proj, x), 2, axis=-1)
    return value * jax.nn.gelu(gate, approximate=False)


@computes(FeedForward)
def feed_forward(run: Run, layer: FeedForward, x: Array) -> Array:
    for each in layer.net:
        x = run(each, x)
    return x


@computes(BasicTransformerBlock)
def transformer_block(run: Run, layer: BasicTransformerBlock, x: Array, states: Array) -> Array:
    x = x + run(layer.attn1, run(layer.norm1, x), states if layer.only_cross_attention else None)
    x = x + run(layer.attn2, run(layer.norm2, x), states)
    return x + run(layer.ff, run(layer.norm3, x))


@computes(Transformer2DModel)
def transformer(run: Run, layer: Transformer2DModel, x: Array, states: Array) -> Array:
    """The projections may be convolutions of one pixel, or linear: with channels last it is the same."""
    inner = run(layer.proj_in, run(layer.norm, x))
    words = inner.reshape(inner.shape[0], -1, inner.shape[-1])
    for block in layer.transformer_blocks:
        words = run(block, words, states)
    return x + run(layer.proj_out, words.reshape(inner.shape))
