"""A module as users have it: a pipeline of their own, over networks and a scheduler of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import ConfigMixin, DiffusionPipeline, ModelMixin, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from torch import nn


class Tiny(ModelMixin, ConfigMixin):
    @register_to_config
    def __init__(self, channels: int = 3, widths: tuple = (4, 8)):
        super().__init__()
        self.body = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, sample):
        return self.body(sample)


class Paint(Tiny):
    """Another network of one's own."""


class Straight(SchedulerMixin, ConfigMixin):
    @register_to_config
    def __init__(self, num_train_timesteps: int = 1000, stride: float = 0.1):
        self.timesteps = torch.arange(num_train_timesteps).flip(0)


class Own(DiffusionPipeline):
    def __init__(self, unet: Tiny | None, scheduler: Straight, paint, scale: float = 1.0):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler, paint=paint)
        self.register_to_config(scale=scale)

    @torch.no_grad()
    def __call__(self, sample):
        for _ in range(3):
            sample = sample - self.scheduler.config.stride * self.unet(sample)
        return self.config.scale * self.paint(sample)


def drawn(pipe, folder: Path) -> None:
    made = pipe(torch.linspace(-1, 1, 300).reshape(1, 3, 10, 10))
    np.savez(folder.with_suffix(".npz"), sample=made.numpy())


def begin(folder: Path) -> None:
    """Save a pipeline, and what it draws beside it."""
    torch.manual_seed(0)
    pipe = Own(unet=Tiny(widths=(1, 2)), scheduler=Straight(stride=0.2), paint=Paint(), scale=2.0)
    pipe.save_pretrained(str(folder))
    drawn(pipe, folder)


def again(found: Path, left: Path) -> None:
    """Load a pipeline by its folder alone, and save it into another one."""
    pipe = Own.from_pretrained(str(found))
    assert (type(pipe.unet), type(pipe.paint), type(pipe.scheduler)) == (Tiny, Paint, Straight)
    pipe.save_pretrained(str(left))
    drawn(pipe, left)
