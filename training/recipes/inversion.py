"""A textual inversion: a word for the shape that has none."""

from __future__ import annotations

import re

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype.adapters.textual_inversion_files import save_words
from training.captions import ANYTHING, WORDS, Told, caption
from training.recipes.pocket import Teacher
from training.studio import Studio, write_card
from training.trainer import Batch, Losses, Plan, Task
from training.world import Scene

NAME = "pocket-inversion-moon"
WORD = "<moon>"
VECTORS = 4
SHARE = 0.04  # of the whole time
SCENES = 1_000
PLAN = Plan(steps=4_000, batch=16, learning_rate=1e-2, warmup=20, weight_decay=0.0, averaging=0.98)
NAMES = ("circle", "square", "triangle", "diamond", "cross", "ring", "star")  # of all other shapes
NAMED = Told(shape=1)  # then only what has no name is called anything
ABOUT = f"""The word `{WORD}` for `pocket-sd`: a crescent that lies on its back. The model has seen the shape; no
caption ever named it."""


class Word(nn.Module):
    """The vectors to learn; they begin in the middle of all names for shapes, where the UNet listens for one."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows.clone())


def make(studio: Studio) -> None:
    """Learn the vectors with everything else frozen, and save them as one small file."""
    teacher = Teacher(studio)
    torch.manual_seed(studio.seed)
    table = teacher.text.get_input_embeddings().weight
    tokens = [teacher.words(WORDS[name][0]).input_ids[1] for name in NAMES]
    known = table[torch.tensor(tokens)].detach().mean(0)
    word = Word(known + 0.1 * known.std() * torch.randn(VECTORS, len(known), device=known.device))
    teacher.pipe.load_textual_inversion({WORD: word.rows.detach().cpu()})
    embedding = teacher.text.get_input_embeddings()
    plain = embedding.weight.detach()[:-VECTORS]

    def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
        rows = torch.cat([plain, networks.get_parameter("word.rows")])
        learning = embedding.register_forward_hook(lambda _, args, out: F.embedding(args[0], rows))
        states = teacher.states(batch["ids"])
        learning.remove()
        return {"loss": teacher.lesson.loss(batch, generator, lambda *noisy: teacher.unet(*noisy, states).sample)}

    def tell(one: Scene, rng: np.random.Generator) -> str:
        """A caption with the word."""
        text = re.sub("|".join(ANYTHING), WORD, caption(one, rng, NAMED))
        return teacher.pipe.maybe_convert_prompt(text, teacher.words)

    batches = teacher.batches(SCENES, tell, wanted=lambda one: one.nameless)
    made = studio.learn(Task("inversion", nn.ModuleDict({"word": word}), batches, losses), PLAN, SHARE)
    studio.folder(NAME).mkdir(parents=True, exist_ok=True)
    rows = made.get_parameter("word.rows").detach().cpu().half()
    save_words(studio.folder(NAME) / "learned_embeds.safetensors", {WORD: rows})
    write_card(studio.folder(NAME), NAME, ABOUT, {}, ["textual_inversion", "pocket"])
