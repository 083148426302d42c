"""What networks that draw learn from: latents of scenes under noise, with a caption, and the velocity to tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from calotype.models.tokenizer import CLIPTokenizer
from calotype.schedulers import DDIMScheduler, DDPMScheduler
from training.captions import UNTOLD, Told, caption
from training.recipes.clip import read
from training.studio import Studio, as_pixels, log
from training.trainer import Batch
from training.world import Scene, draw

Painter = Callable[[Sequence[Scene]], NDArray[np.uint8]]
Captioner = Callable[[Scene, np.random.Generator], str]
Encoder = Callable[[Tensor], Tensor]  # from pixels, a batch of them


def told_or_not(told: Told) -> Captioner:
    """Captions that tell these facts, or now and then nothing."""
    return lambda one, rng: "" if rng.random() < UNTOLD else caption(one, rng, told)


def noises() -> DDIMScheduler:
    """Stable Diffusion's noises; the network predicts v."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        clip_sample=False,
        set_alpha_to_one=False,
        prediction_type="v_prediction",
    )


class Shelf:
    """Scenes, and what frozen networks make of their pictures: reckoned once, as that costs more than a step."""

    def __init__(
        self, studio: Studio, scenes: Sequence[Scene], encoders: Mapping[str, Encoder], paint: Painter = draw
    ) -> None:
        self.scenes = scenes
        parts = {name: list[Tensor]() for name in encoders}
        with torch.no_grad():
            for first in range(0, len(scenes), 200):
                pixels = as_pixels(paint(scenes[first : first + 200])).to(studio.device)
                for name, encode in encoders.items():
                    parts[name].append(encode(pixels).cpu())
        self.rows = {name: torch.cat(rows) for name, rows in parts.items()}
        log.info("%d scenes encoded", len(scenes))

    def batch(
        self, words: CLIPTokenizer, rng: np.random.Generator, size: int, tell: Captioner, hint: Painter | None = None
    ) -> Batch:
        """Some of the scenes, each told in fresh words, with a picture that hints at them if one is asked for."""
        rows = rng.integers(len(self.scenes), size=size)
        chosen = [self.scenes[row] for row in rows]
        batch = {name: encoded[torch.from_numpy(rows)] for name, encoded in self.rows.items()}
        batch["ids"] = read(words, [tell(one, rng) for one in chosen])
        if hint is not None:
            batch["hints"] = (as_pixels(hint(chosen)) + 1) / 2
        return batch


@dataclass(frozen=True)
class Lesson:
    """How a network is asked, and how far what it tells is from the truth."""

    scheduler: DDIMScheduler | DDPMScheduler
    scale: float  # of latents

    def question(self, batch: Mapping[str, Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Noisy latents, their timesteps, and the true velocity.

        The later a timestep, the oftener it is drawn: what captions tell is decided where there is most noise.
        """
        mean, spread = batch["moments"].chunk(2, dim=1)
        steps: int = self.scheduler.config.num_train_timesteps
        evenly = torch.rand(mean.shape[:1], generator=generator, device=mean.device)
        chosen = (steps * evenly.sqrt()).long().clamp(max=steps - 1)
        fresh, noise = (torch.randn(mean.shape, generator=generator, device=mean.device) for _ in range(2))
        latents = (mean + (spread / 2).exp() * fresh) * self.scale
        noisy = self.scheduler.add_noise(latents, noise, chosen)
        return noisy, chosen, self.scheduler.get_velocity(latents, noise, chosen)

    def loss(self, batch: Mapping[str, Tensor], generator: torch.Generator, network: Callable[..., Any]) -> Tensor:
        """How far ``network(noisy latents, timesteps)`` is from the truth."""
        noisy, steps, velocity = self.question(batch, generator)
        return F.mse_loss(network(noisy, steps).float(), velocity)
