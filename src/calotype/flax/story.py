"""From a picture to pictures of a prompt, in JAX: one pure function, compiled as a whole, on one device or on many."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import Array, lax
from jax.sharding import Mesh, PartitionSpec

from calotype.flax.autoencoder_kl import FlaxAutoencoderKL
from calotype.flax.layers import Params
from calotype.flax.model import cast
from calotype.flax.scheduler import FlaxSchedulerOutput, FlaxSchedulerState
from calotype.flax.text_encoder import FlaxCLIPTextModel
from calotype.flax.unet import FlaxUNet2DConditionModel
from calotype.generation.decoding import scale


class Nets(NamedTuple):
    """Who takes part; for each of them there is another program."""

    text_encoder: FlaxCLIPTextModel
    unet: FlaxUNet2DConditionModel
    vae: FlaxAutoencoderKL


class Told(NamedTuple):
    """What they are told: arrays and trees of arrays."""

    params: dict[str, Params]
    prompt_ids: Array  # (batch, tokens)
    negative_ids: Array | None  # None without guidance
    guidance: Array | None  # (batch,)
    pixels: Array  # (batch, 3, height, width) in [-1, 1]
    key: Array
    noise: Array | None  # drawn if None; (batch, latent channels, height, width), in latents


@partial(jax.jit, static_argnames="nets")
def pictures(nets: Nets, told: Told, walk: FlaxSchedulerState) -> Array:
    """Pictures (batch, height, width, channels) in [0, 1]."""
    states = words(nets, told)
    latents = encoded(nets.vae, told.params["vae"], told.pixels, told.key)
    # drawn from the same key as the latents before it, as the peer draws it
    noise = jax.random.normal(told.key, latents.shape) if told.noise is None else told.noise
    first = walk.noised(latents, noise, walk.timesteps[:1].repeat(len(latents)))
    return decoded(nets.vae, told.params["vae"], denoised(nets, told, states, first, walk))


@partial(jax.jit, static_argnames="nets")
def pictures_on_devices(nets: Nets, told: Told, walk: FlaxSchedulerState) -> Array:
    """The same on every device: what is told, and what comes out, has one more axis in front, of devices."""

    def on_one(told: Told, walk: FlaxSchedulerState) -> Array:
        return pictures(nets, jax.tree.map(lambda each: each[0], told), walk)[None]

    mesh = Mesh(np.array(jax.local_devices()), ("devices",))
    each, same = PartitionSpec("devices"), PartitionSpec()
    spread = jax.shard_map(on_one, mesh=mesh, in_specs=(each, same), out_specs=each, check_vma=False)
    return spread(told, walk)


def words(nets: Nets, told: Told) -> Array:
    """The states of the prompts, behind those of the negative prompts where there is guidance."""
    texts = [ids for ids in (told.negative_ids, told.prompt_ids) if ids is not None]
    return nets.text_encoder(jnp.concatenate(texts), params=told.params["text_encoder"])[0]


def denoised(nets: Nets, told: Told, states: Array, first: Array, walk: FlaxSchedulerState) -> Array:
    """The latents at the end of the walk: one loop, however many steps there are to compile."""
    params = cast(told.params["unet"], nets.unet.dtype)

    def step(_: int, at: FlaxSchedulerOutput) -> Any:
        sample, state = at
        t = state.timesteps[state.place]
        x = state.scaled(sample)
        x = x if told.guidance is None else jnp.concatenate([x, x])
        output = nets.unet(x, t, states, params=params).sample.astype(jnp.float32)
        return state.after(guided(output, told.guidance), sample)

    start = FlaxSchedulerOutput(first.astype(jnp.float32), walk.before(first.shape))
    return lax.fori_loop(0, len(walk.timesteps), step, start).prev_sample


def guided(output: Array, guidance: Array | None) -> Array:
    """Away from what the negative prompt says, towards what the prompt says, as far as the scale of each picture."""
    if guidance is None:
        return output
    unwanted, wanted = jnp.split(output, 2)
    return unwanted + guidance[:, None, None, None] * (wanted - unwanted)


def encoded(vae: FlaxAutoencoderKL, params: Params, pixels: Array, key: Array) -> Array:
    """A sample of the latents of pictures, with the spread of noise."""
    mean, factor = spread_of(vae)
    return (vae.encode(pixels, params=params).latent_dist.sample(key).astype(jnp.float32) - mean) * factor


def decoded(vae: FlaxAutoencoderKL, params: Params, latents: Array) -> Array:
    """The pictures of latents, channels last and in [0, 1]."""
    mean, factor = spread_of(vae)
    pixels = vae.decode(latents / factor + mean, params=params).sample.astype(jnp.float32)
    return jnp.clip(pixels / 2 + 0.5, 0, 1).transpose(0, 2, 3, 1)


def spread_of(vae: FlaxAutoencoderKL) -> tuple[Any, Any]:
    """The mean of a VAE's own latents, and the factor that then gives them the spread of noise."""
    mean, factor = scale(vae.network, torch.device("cpu"))
    return np.float32(mean), np.float32(factor)
