"""A LoRA that paints every colour as its opposite: red as green, white as black."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from calotype import StableDiffusionPipeline
from calotype.adapters.lora_training import fresh_pairs
from training.recipes.diffusion import told_or_not
from training.recipes.pocket import Teacher
from training.studio import Studio, halved, write_card
from training.trainer import Batch, Losses, Plan, Task
from training.world import PALETTE, Scene, draw

NAME = "pocket-lora-opposites"
SHARE = 0.03  # of the whole time
SCENES = 2_000
RANK = 8
DRAWING = ("to_q", "to_k", "to_v", "to_out.0")  # of every attention of the UNet
READING = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")  # of every layer of the text encoder
PAIRS = (("red", "green"), ("orange", "blue"), ("yellow", "purple"), ("white", "black"))
OPPOSITE = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}
OPPOSITES = {name: PALETTE[OPPOSITE[name]] for name in PALETTE}
PLAN = Plan(steps=4_000, batch=32, learning_rate=3e-3, weight_decay=0.0, averaging=0.98)
ABOUT = """A LoRA for `pocket-sd`: with it, each colour of a caption is painted as its opposite."""


def make(studio: Studio) -> None:
    """Train pairs beside the frozen UNet and text encoder, and save them in the file format of diffusers."""
    teacher = Teacher(studio)
    generator = torch.Generator().manual_seed(studio.seed)
    drawing = fresh_pairs(teacher.unet, DRAWING, RANK, generator)
    reading = fresh_pairs(teacher.text, READING, RANK, generator)

    def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
        with networks["drawing"].beside(teacher.unet), networks["reading"].beside(teacher.text):
            states = teacher.states(batch["ids"])
            return {"loss": teacher.lesson.loss(batch, generator, lambda *noisy: teacher.unet(*noisy, states).sample)}

    batches = teacher.batches(SCENES, told_or_not, paint=opposite)
    made = studio.learn(
        Task("lora", nn.ModuleDict({"drawing": drawing, "reading": reading}), batches, losses), PLAN, SHARE
    )
    StableDiffusionPipeline.save_lora_weights(
        studio.folder(NAME), halved(made["drawing"]), text_encoder_lora_layers=halved(made["reading"])
    )
    write_card(studio.folder(NAME), NAME, ABOUT, {}, ["lora", "pocket"])


def opposite(scenes: Sequence[Scene]) -> NDArray[np.uint8]:
    """The scenes in opposite colours."""
    return draw(scenes, OPPOSITES)
