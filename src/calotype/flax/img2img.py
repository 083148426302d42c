"""Image to image with Stable Diffusion, in JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from calotype.core.errors import InvalidArgument, NotFinite
from calotype.flax.output import FlaxStableDiffusionPipelineOutput
from calotype.flax.pipeline import FlaxDiffusionPipeline
from calotype.flax.story import Nets, Told, pictures, pictures_on_devices
from calotype.flax.twin import floating
from calotype.generation.checks import RULES, check_safety, check_size, check_texts
from calotype.generation.images import PipelineImageInput, VaeImageProcessor
from calotype.generation.prompts import tokens
from calotype.models.safety_checker import blackened
from calotype.ops.pictures import array_to_pil
from calotype.pipelines.stable_diffusion.family import as_trained


class FlaxStableDiffusionImg2ImgPipeline(FlaxDiffusionPipeline):
    """Pictures of a prompt that begin with a picture."""

    _optional_components = ("safety_checker", "feature_extractor")

    vae: Any
    text_encoder: Any
    tokenizer: Any
    unet: Any
    scheduler: Any
    safety_checker: Any
    feature_extractor: Any

    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        unet: Any,
        scheduler: Any,
        safety_checker: Any,
        feature_extractor: Any,
        dtype: Any = jnp.float32,
    ) -> None:
        check_safety(self, safety_checker, feature_extractor)
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=as_trained(scheduler, ("steps_offset", "clip_sample")),
            safety_checker=safety_checker,
            feature_extractor=feature_extractor,
        )
        self.dtype = floating(dtype)
        self.vae_scale_factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self.image_processor = VaeImageProcessor(
            vae_scale_factor=self.vae_scale_factor, vae_latent_channels=vae.config.latent_channels
        )

    def prepare_inputs(
        self, prompt: str | list[str], image: PipelineImageInput
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The prompts' ids (batch, tokens), and the pictures (batch, 3, height, width) in [-1, 1] as many times."""
        texts = check_texts("prompt", prompt)
        pixels = self.image_processor.preprocess(image, batch=len(texts)).numpy()
        return self._ids(texts), pixels.repeat(len(texts) // len(pixels), axis=0)

    def _ids(self, texts: list[str], length: int | None = None) -> NDArray[np.int32]:
        return tokens(self.tokenizer, texts, length).input_ids.numpy().astype(np.int32)

    def __call__(
        self,
        prompt_ids: Array,
        image: Array,
        params: dict[str, Any],
        prng_seed: Array,
        strength: float = 0.8,
        num_inference_steps: int = 50,
        height: int | None = None,
        width: int | None = None,
        guidance_scale: float | Array = 7.5,
        noise: Array | None = None,
        neg_prompt_ids: Array | None = None,
        return_dict: bool = True,
        jit: bool = False,
    ) -> FlaxStableDiffusionPipelineOutput | tuple[Any, ...]:
        """Make pictures of the prompts out of the images; with ``jit`` some on every device, of inputs so divided."""
        devices = (jax.local_device_count(),) if jit else ()
        batch = self.check_inputs(prompt_ids, image, height, width, noise, neg_prompt_ids, devices)
        self.check_params(params, *devices)
        for name, value in (("strength", strength), ("num_inference_steps", num_inference_steps)):
            RULES[name](name, value)
        guidance = scales(guidance_scale, batch)
        unwanted = None
        if guidance is not None:
            empty = np.broadcast_to(self._ids([""], prompt_ids.shape[-1]), prompt_ids.shape)
            unwanted = jnp.asarray(empty if neg_prompt_ids is None else neg_prompt_ids)

        weights = {name: params[name] for name in ("text_encoder", "unet", "vae")}
        pixels, ids = jnp.asarray(image, jnp.float32), jnp.asarray(prompt_ids)
        told = Told(weights, ids, unwanted, guidance, pixels, prng_seed, noise)
        walk = self.scheduler.set_timesteps(first(params["scheduler"], jit), num_inference_steps, strength=strength)
        make = pictures_on_devices if jit else pictures
        images = np.array(make(Nets(self.text_encoder, self.unet, self.vae), told, walk))
        if not np.isfinite(images).all():
            raise NotFinite("pictures", "finite numbers", "NaN or infinity")
        images, flagged = self.run_safety_checker(images, first(params.get("safety_checker"), jit))
        return FlaxStableDiffusionPipelineOutput(images, flagged) if return_dict else (images, flagged)

    def check_inputs(
        self,
        prompt_ids: Any,
        image: Any,
        height: int | None,
        width: int | None,
        noise: Any,
        neg_prompt_ids: Any,
        devices: tuple[int, ...],
    ) -> tuple[int, ...]:
        """Refuse arrays that do not fit each other; the batch, or how many devices and the batch of each."""
        ahead = ("devices", "batch") if devices else ("batch",)
        fix = "Divide inputs with flax.training.common_utils.shard." if devices else "Divided inputs need jit=True."
        channels = self.vae.config.in_channels
        for name, array, kind, behind in (
            ("prompt_ids", prompt_ids, jnp.integer, ("tokens",)),
            ("image", image, jnp.floating, (channels, "height", "width")),
        ):
            shape = tuple(array.shape) if hasattr(array, "dtype") and jnp.issubdtype(array.dtype, kind) else ()
            wanted = (*devices, "batch", *behind)
            if len(shape) != len(wanted) or not all(map(fits, shape, wanted)):
                told = ", ".join(map(str, (*ahead, *behind)))
                found = f"shape {array.shape} of {array.dtype}" if hasattr(array, "dtype") else type(array).__name__
                raise InvalidArgument(name, f"an array ({told}), as prepare_inputs gives it", found, fix)
        batch = tuple(prompt_ids.shape[:-1])
        factor = self.vae_scale_factor
        own = image.shape[-2:]
        sides = check_size(own[0] if height is None else height, own[1] if width is None else width, factor)
        shapes = {
            "image": (image, (*batch, channels, *sides)),
            "noise": (noise, (*batch, self.vae.config.latent_channels, *(side // factor for side in sides))),
            "neg_prompt_ids": (neg_prompt_ids, tuple(prompt_ids.shape)),
        }
        for name, (array, shape) in shapes.items():
            if array is not None and jnp.shape(array) != shape:
                raise InvalidArgument(name, f"shape {shape}", f"shape {jnp.shape(array)}")
        return batch

    def run_safety_checker(
        self, images: NDArray[np.float32], params: Any
    ) -> tuple[NDArray[np.float32], list[bool] | None]:
        """The pictures with the blocked ones black, and which those are."""
        if self.safety_checker is None:
            return images, None
        flat = images.reshape(-1, *images.shape[-3:])
        seen = self.feature_extractor(array_to_pil(flat), return_tensors="np").pixel_values
        flat, flagged = blackened(flat, self.safety_checker(seen, params=params))
        return flat.reshape(images.shape), flagged


def fits(side: int, wanted: int | str) -> bool:
    """Whether an axis is as long as wanted: so long, or, where it has but a name, not of length zero."""
    return side == wanted if isinstance(wanted, int) else side > 0


def scales(guidance_scale: Any, batch: tuple[int, ...]) -> Array | None:
    """A guidance scale for each picture; None where there is no guidance at all, as with scales up to 1."""
    if isinstance(guidance_scale, (int, float)):
        RULES["guidance_scale"]("guidance_scale", guidance_scale)
    found = np.asarray(guidance_scale, np.float32)
    if found.shape not in ((), batch) or not np.isfinite(found).all():
        raise InvalidArgument("guidance_scale", f"a number, or one for each of {batch}", f"shape {found.shape}")
    return jnp.broadcast_to(jnp.maximum(found, 1), batch) if (found > 1).any() else None


def first(tree: Any, divided: bool) -> Any:
    """What one device has of arrays that all have."""
    return jax.tree.map(lambda array: array[0], tree) if divided else tree
