"""A ControlNet that follows outlines: they say shape, size and place, and the caption says colours."""

from __future__ import annotations

import torch
from torch import nn

from calotype.models.controlnet import ControlNetModel
from training.captions import Told
from training.lessons import told_or_not
from training.recipes.pocket import Teacher
from training.studio import Studio, halved, write_card
from training.trainer import Batch, Losses, Plan, Task
from training.world import edges

NAME = "pocket-controlnet-edges"
SHARE = 0.07  # of the whole time
SCENES = 5_000
WIDTHS = (16, 32, 64)  # of the hint's embedding; each but the first halves the side
LITTLE = Told(ground=0.9, place=0.2, size=0.1, shape=0.4)  # the less the caption tells, the more the hint has to
PLAN = Plan(steps=10_000, batch=32, learning_rate=1e-3, weight_decay=0.0, averaging=0.99, orthogonal=True)
ABOUT = """A `ControlNetModel` for `pocket-sd`: it follows white outlines on black, 64 x 64 pixels."""


def make(studio: Studio) -> None:
    """Train the net beside the frozen pipeline, and save it; what it can do is measured by ``evaluate``."""
    teacher = Teacher(studio)
    torch.manual_seed(studio.seed)
    net = ControlNetModel.from_unet(teacher.unet, conditioning_embedding_out_channels=WIDTHS)

    def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
        states = teacher.states(batch["ids"])

        def hinted(noisy: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
            down, middle = networks["net"](noisy, steps, states, batch["hints"], return_dict=False)
            return teacher.unet(
                noisy,
                steps,
                states,
                down_block_additional_residuals=down,
                mid_block_additional_residual=middle,
            ).sample

        return {"loss": teacher.lesson.loss(batch, generator, hinted)}

    batches = teacher.batches(SCENES, told_or_not(LITTLE), hint=edges)
    made = studio.learn(Task("controlnet", nn.ModuleDict({"net": net}), batches, losses), PLAN, SHARE)
    halved(made["net"]).save_pretrained(studio.folder(NAME))
    write_card(studio.folder(NAME), NAME, ABOUT, {}, ["controlnet", "pocket"])
