"""The networks in JAX: how a UNet, an autoencoder and CLIP's encoders put their layers together, channels last."""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array

from calotype.core.errors import InvalidArgument
from calotype.flax.layers import Run, attend, computes
from calotype.models import unet_blocks, unet_types, vae
from calotype.models.clip import CLIPMLP, CLIPAttention, CLIPLayer
from calotype.models.layers.embeddings import TimestepEmbedding, Timesteps
from calotype.models.text_encoders import TextEmbeddings, TextTransformer
from calotype.models.unet import UNet2DConditionModel
from calotype.models.vision import VisionEmbeddings, VisionTransformer

# -- UNet -----------------------------------------------------------------------------------------------------------


@computes(Timesteps)
def sinusoids(run: Run, layer: Timesteps, timesteps: Array) -> Array:
    """Sines and cosines of each timestep at half as many frequencies, in float32."""
    width, cosines_first, shift = layer.settings
    half = width // 2
    frequencies = jnp.exp(-math.log(10000) * jnp.arange(half, dtype=jnp.float32) / (half - shift))
    angles = timesteps.astype(jnp.float32)[:, None] * frequencies
    waves = [jnp.cos(angles), jnp.sin(angles)] if cosines_first else [jnp.sin(angles), jnp.cos(angles)]
    return jnp.pad(jnp.concatenate(waves, axis=-1), ((0, 0), (0, width % 2)))


@computes(TimestepEmbedding)
def time_embedding(run: Run, layer: TimestepEmbedding, waves: Array) -> Array:
    inner = run(layer.act, run(layer.linear_1, waves.astype(run.dtype)))
    return run(layer.post_act, run(layer.linear_2, inner))


@computes(*unet_types.DOWN.values())
def down_block(run: Run, block: unet_blocks.DownBlock, x: Array, time: Array, states: Array) -> list[Array]:
    """The picture after each layer: the last goes on, and the way up looks back at all of them."""
    seen: list[Array] = []
    for i, resnet in enumerate(block.resnets):
        x = run(resnet, x, time)
        x = run(block.attentions[i], x, states) if block.attentions else x
        seen.append(x)
    return seen if block.downsamplers is None else [*seen, run(block.downsamplers[0], x)]


@computes(*unet_types.MID.values())
def mid_block(run: Run, block: unet_blocks.MidBlock, x: Array, time: Array, states: Array) -> Array:
    x = run(block.resnets[0], x, time)
    for attention, resnet in zip(block.attentions, [*block.resnets][1:], strict=True):
        x = run(resnet, run(attention, x, states), time)
    return x


@computes(*unet_types.UP.values())
def up_block(run: Run, block: unet_blocks.UpBlock, x: Array, time: Array, states: Array, seen: list[Array]) -> Array:
    """``seen`` is what to look back at, the last first; each is let go."""
    for i, resnet in enumerate(block.resnets):
        x = run(resnet, jnp.concatenate([x, seen.pop()], axis=-1), time)
        x = run(block.attentions[i], x, states) if block.attentions else x
    return x if block.upsamplers is None else run(block.upsamplers[0], x, seen[-1].shape[1:3])


@computes(UNet2DConditionModel)
def unet(run: Run, net: UNet2DConditionModel, sample: Array, timesteps: Array, states: Array) -> Array:
    """The prediction for a sample (batch, height, width, channels) at its timesteps (batch,)."""
    time = run(net.time_embed_act, run(net.time_embedding, run(net.time_proj, timesteps)))
    x = run(net.conv_in, 2 * sample - 1 if net.config.center_input_sample else sample)
    seen = [x]
    for block in net.down_blocks:
        seen += run(block, seen[-1], time, states)
    x = seen[-1] if net.mid_block is None else run(net.mid_block, seen[-1], time, states)
    for block in net.up_blocks:
        x = run(block, x, time, states, seen)
    return run(net.conv_out, run(net.conv_act, run(net.conv_norm_out, x)))


# -- autoencoder ----------------------------------------------------------------------------------------------------


@computes(vae.Encoder, vae.Decoder)
def chain(run: Run, layers: vae.Chain, x: Array) -> Array:
    """One layer after the other."""
    for layer in layers.layers():
        x = run(layer, x)
    return x


# -- CLIP -----------------------------------------------------------------------------------------------------------


@computes(CLIPAttention)
def clip_attention(run: Run, layer: CLIPAttention, x: Array, causal: bool) -> Array:
    query, key, value = (run(project, x) for project in (layer.q_proj, layer.k_proj, layer.v_proj))
    return run(layer.out_proj, attend(query, key, value, layer.heads, causal))


@computes(CLIPMLP)
def clip_mlp(run: Run, layer: CLIPMLP, x: Array) -> Array:
    return run(layer.fc2, run(layer.activation_fn, run(layer.fc1, x)))


@computes(CLIPLayer)
def clip_layer(run: Run, layer: CLIPLayer, x: Array, causal: bool) -> Array:
    x = x + run(layer.self_attn, run(layer.layer_norm1, x), causal)
    return x + run(layer.mlp, run(layer.layer_norm2, x))


@computes(TextEmbeddings)
def text_embeddings(run: Run, layer: TextEmbeddings, input_ids: Array) -> Array:
    length, positions = input_ids.shape[-1], layer.position_embedding.num_embeddings
    if length > positions:
        raise InvalidArgument("prompt_ids", f"at most {positions} tokens", str(length), "Truncate the text.")
    tokens, places = (run.weights(table)["embedding"] for table in (layer.token_embedding, layer.position_embedding))
    return tokens[input_ids] + places[:length]


@computes(TextTransformer)
def text_transformer(run: Run, net: TextTransformer, input_ids: Array) -> Array:
    """The states (batch, tokens, width) after the final norm."""
    x = run(net.embeddings, input_ids)
    for layer in net.encoder.layers:
        x = run(layer, x, True)
    return run(net.final_layer_norm, x)


@computes(VisionEmbeddings)
def vision_embeddings(run: Run, layer: VisionEmbeddings, pixels: Array) -> Array:
    patches = run(layer.patch_embedding, pixels.astype(run.dtype))
    patches = patches.reshape(len(patches), -1, patches.shape[-1])
    whole = jnp.broadcast_to(run.weights(layer)["class_embedding"], (len(patches), 1, patches.shape[-1]))
    return jnp.concatenate([whole, patches], axis=1) + run.weights(layer.position_embedding)["embedding"]


@computes(VisionTransformer)
def vision_transformer(run: Run, net: VisionTransformer, pixels: Array) -> Array:
    """The state of the whole image (batch, width)."""
    x = run(net.pre_layrnorm, run(net.embeddings, pixels))
    for layer in net.encoder.layers:
        x = run(layer, x, False)
    return run(net.post_layernorm, x[:, 0])
