"""The inner steps of a call, under the names by which calls of one's own know them."""

from __future__ import annotations

from typing import Any

import torch

from calotype.generation.latents import encoded, from_image, given_or_drawn, left_of
from calotype.generation.state import Start, Told


class FromNoise:
    """What a walk from noise begins with; where it is overridden, the stock call heeds it."""

    def from_noise(
        self: Any,
        height: int,
        width: int,
        timesteps: torch.Tensor,
        told: Told,
        generator: Any,
        latents: torch.Tensor | None,
    ) -> Start:
        """Pure noise, or the given latents in its place."""
        shape = told.batch, self.latent_channels, height, width
        first = self.prepare_latents(*shape, told.dtype, self._execution_device, generator, latents)
        return Start(first, timesteps)

    def prepare_latents(
        self: Any,
        batch_size: int,
        num_channels_latents: int,
        height: int,
        width: int,
        dtype: torch.dtype,
        device: torch.device | str,
        generator: Any,
        latents: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Noise for pictures of this size, or the given latents in its place, as loud as the scheduler begins."""
        shape = batch_size, num_channels_latents, height // self.vae_scale_factor, width // self.vae_scale_factor
        return given_or_drawn(latents, shape, dtype, device, generator) * self.scheduler.init_noise_sigma


class FromPicture:
    """What a walk from a picture begins with, and where."""

    def get_timesteps(
        self: Any, num_inference_steps: int, strength: float, device: Any = None, denoising_start: float | None = None
    ) -> tuple[torch.Tensor, int]:
        """The timesteps that are left of a planned walk at this strength, and how many steps these are."""
        left = left_of(self.scheduler, num_inference_steps, strength, denoising_start)
        return left.to(device), len(left) // self.scheduler.order

    def prepare_latents(
        self: Any,
        image: torch.Tensor,
        timestep: torch.Tensor,
        batch_size: int,
        num_images_per_prompt: int,
        dtype: torch.dtype,
        device: Any = None,
        generator: Any = None,
        add_noise: bool = True,
    ) -> torch.Tensor:
        """The latents of pictures, as noisy as a picture is at this timestep."""
        told = Told({}, batch_size * num_images_per_prompt, dtype)
        latents = from_image(self, image, timestep, told, generator).latents if add_noise else None
        return (encoded(self, image, told, generator) if latents is None else latents).to(device)
