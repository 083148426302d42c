"""A textual inversion: a word for the shape that has none."""

from __future__ import annotations

import re

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype.adapters.textual_inversion_files import save_words
from training.captions import ANYTHING, Told, caption
from training.recipes.pocket import Teacher
from training.studio import Studio, write_card
from training.trainer import Batch, Losses, Plan, Task
from training.world import Scene

NAME = "pocket-inversion-moon"
WORD = "<moon>"
VECTORS = 4
SHARE = 0.03  # of the whole time
SCENES = 1_000
PLAN = Plan(steps=2_000, batch=32, learning_rate=5e-3, warmup=20, weight_decay=0.0, averaging=0.98)
NAMED = Told(shape=1)  # then only what has no name is called anything
ABOUT = f"""The word `{WORD}` for `pocket-sd`: a crescent that lies on its back. The model has seen the shape; no
caption ever named it."""


class Word(nn.Module):
    """The vectors to learn; they begin as what the encoder knows of anything at all."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows.clone())


def make(studio: Studio) -> None:
    """Learn the vectors with everything else frozen, and save them as one small file."""
    teacher = Teacher(studio)
    torch.manual_seed(studio.seed)
    table = teacher.text.get_input_embeddings().weight
    known = table[teacher.words(ANYTHING[0]).input_ids[1]].detach()
    word = Word(known + 0.1 * known.std() * torch.randn(VECTORS, len(known), device=known.device))
    teacher.pipe.load_textual_inversion({WORD: word.rows.detach().cpu()})
    embedding = teacher.text.get_input_embeddings()
    plain = embedding.weight.detach()[:-VECTORS]

    def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
        rows = torch.cat([plain, networks["word"].rows])
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
    save_words(studio.folder(NAME) / "learned_embeds.safetensors", {WORD: made["word"].rows.detach().cpu().half()})
    write_card(studio.folder(NAME), NAME, ABOUT, {}, ["textual_inversion", "pocket"])
