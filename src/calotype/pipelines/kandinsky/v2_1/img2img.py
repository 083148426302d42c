"""Image to image with Kandinsky 2.1."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch

from calotype.core.config import register_to_config
from calotype.core.story import story
from calotype.generation.callbacks import Older, reports
from calotype.generation.checks import as_generator
from calotype.generation.images import PipelineImageInput
from calotype.generation.latents import encoded, walk
from calotype.generation.loop import denoise
from calotype.generation.state import Start, Step, Told
from calotype.ops.random import randn_tensor
from calotype.pipelines.kandinsky.v2_1.family import Kandinsky21
from calotype.pipelines.kandinsky.wish import check_words
from calotype.schedulers import DDIMScheduler


class KandinskyImg2ImgPipeline(Kandinsky21):
    """Pictures of a prompt and of embeds that begin with a picture."""

    raw = False

    @register_to_config
    def __init__(self, text_encoder: Any, movq: Any, tokenizer: Any, unet: Any, scheduler: Any) -> None:
        self.take(text_encoder=text_encoder, movq=movq, tokenizer=tokenizer, unet=unet, scheduler=scheduler)

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        image: PipelineImageInput | None = None,
        image_embeds: torch.Tensor | list[torch.Tensor] | None = None,
        negative_image_embeds: torch.Tensor | list[torch.Tensor] | None = None,
        negative_prompt: str | list[str] | None = None,
        height: int = 512,
        width: int = 512,
        num_inference_steps: int = 100,
        strength: float = 0.3,
        guidance_scale: float = 7.0,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "pil",
        callback: Older | None = None,
        callback_steps: int = 1,
        return_dict: bool = True,
    ) -> Generator[Step, None, Any]:
        """Make pictures of the prompt out of the image; every argument is explained in docs/parameters.md."""
        words = check_words(prompt, negative_prompt)
        embeds = self.check_embeds(image_embeds, negative_image_embeds, len(words[0]))
        height, width = self.size(height, width)
        batch = len(embeds[0]) * num_images_per_prompt
        generator = as_generator(generator, batch)
        on_step = reports(self, None, (), callback, callback_steps)
        pixels = self.image_processor.preprocess(image, height, width, batch=batch)

        walked = walk(self, num_inference_steps, strength=strength)
        told = self.condition(words, embeds, num_images_per_prompt)
        start = from_level(self, pixels, walked, told, generator, strength)
        latents = yield from denoise(self, start, told, guide=self.guide, generator=generator, on_step=on_step)
        return self.deliver(latents, output_type, return_dict)


def from_level(
    call: Any, pixels: torch.Tensor, timesteps: torch.Tensor, told: Told, generator: Any, far: float
) -> Start:
    """The picture, noised this far along the curve of the UNet's training, wherever on it the walk begins."""
    clean = encoded(call, pixels, told, generator)
    noise = randn_tensor(clean.shape, generator=generator, device=clean.device, dtype=told.dtype)
    trained = DDIMScheduler()  # its own defaults, whatever the pipeline's scheduler is
    level = max(int(trained.config.num_train_timesteps * far) - 2, 0)
    return Start(trained.add_noise(clean, noise, timesteps.new_full((told.batch,), level)), timesteps)
