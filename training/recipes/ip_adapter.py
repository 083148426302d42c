"""An IP-Adapter that takes from a picture what the words leave unsaid."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from calotype.adapters.ip_adapter_training import beside, fresh_adapter, save_adapter
from training.captions import ANYTHING, plain, with_article
from training.recipes import clip
from training.recipes.pocket import Teacher
from training.studio import Studio, halved, write_card
from training.trainer import Batch, Losses, Plan, Task

NAME = "pocket-ip-adapter"
WORDS = 4
SHARE = 0.07  # of the whole time
SCENES = 4_000
UNSEEN = 0.1  # of the pictures are not shown, so that guidance has something to compare with
UNTELLING = ("", *(with_article(thing) for thing in ANYTHING))
PLAN = Plan(steps=20_000, batch=32, learning_rate=2e-3, warmup=50, weight_decay=0.0, averaging=0.99, orthogonal=True)
ABOUT = """An IP-Adapter for `pocket-sd`, with the image encoder of `pocket-clip`: ground, colours and shape come from a
picture, and mostly the place."""


def make(studio: Studio) -> None:
    """Train a projection, and keys and values, beside the frozen UNet; save them with the image encoder.

    What the UNet learns to make of a picture beside words that say nothing is what it makes of the picture's caption.
    """
    teacher = Teacher(studio)
    towers = clip.Towers(studio)
    torch.manual_seed(studio.seed)
    adapter = fresh_adapter(teacher.unet, towers.image.config.projection_dim, WORDS)
    untelling = clip.read(teacher.words, list(UNTELLING)).to(studio.device)

    def losses(networks: Any, batch: Batch, generator: torch.Generator) -> Losses:
        noisy, steps, _ = teacher.lesson.question(batch, generator)
        draws = torch.rand((2, len(noisy)), generator=generator, device=noisy.device)
        words, unseen = untelling[(draws[0] * len(untelling)).long()], draws[1] < UNSEEN
        seen = batch["seen"].masked_fill(unseen[:, None], 0)
        with torch.no_grad():
            meant = torch.where(unseen[:, None], words, batch["ids"])
            aim = teacher.unet(noisy, steps, teacher.states(meant)).sample
        with beside(teacher.unet, networks["adapter"]):
            shown = {"image_embeds": [seen[:, None]]}
            told = teacher.unet(noisy, steps, teacher.states(words), added_cond_kwargs=shown).sample
        return {"loss": F.mse_loss(told, aim)}

    batches = teacher.batches(
        SCENES, lambda one, _: plain(one), wanted=lambda one: not one.nameless, also={"seen": towers.seen}
    )
    made = studio.learn(Task("ip_adapter", nn.ModuleDict({"adapter": adapter}), batches, losses), PLAN, SHARE)
    folder = studio.folder(NAME)
    halved(towers.image).save_pretrained(folder / "image_encoder")
    save_adapter(folder / "ip-adapter.safetensors", halved(made["adapter"]))
    write_card(folder, NAME, ABOUT, {}, ["ip-adapter", "pocket"])
