"""The text encoder of pocket films: it first learns to tell what a caption says, word by word, and then to be heard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype.models.t5_tokenizer import T5TokenizerFast
from calotype.models.umt5 import UMT5EncoderModel
from training.captions import UNTOLD
from training.film_captions import caption, news
from training.film_words import read
from training.films import DIRECTIONS, NAMED, SPEEDS, Take, take
from training.studio import Studio
from training.trainer import Batch, Losses, Plan, Task
from training.world import COLOURS

SHARE = 0.015  # of the whole time
PLAN = Plan(steps=3000, batch=64, learning_rate=2e-3, warmup=50, averaging=0.99, orthogonal=True)
WIDTH = 96  # of the states
ROWS = 32  # of a text, in training and in the pipeline: longer texts are cut
CAPITAL, STOP = 0.2, 0.1  # of the captions are written as sentences are
FACTS: dict[str, Sequence[str]] = {
    "shape": NAMED,
    "colour": COLOURS,
    "ground": COLOURS,
    "direction": tuple(DIRECTIONS),
    "speed": tuple(SPEEDS),
}


def listener(studio: Studio, words: T5TokenizerFast) -> nn.Module:
    """An encoder of whose states each tells all that the whole caption tells: whoever reads one of them has heard."""
    torch.manual_seed(studio.seed)
    text = UMT5EncoderModel(len(words), d_model=WIDTH, d_kv=24, d_ff=192, num_layers=2, num_heads=4, dropout_rate=0.0)
    said = nn.Linear(WIDTH, sum(map(len, FACTS.values())))

    def draw(rng: np.random.Generator, size: int) -> Batch:
        takes = [take(rng) for _ in range(size)]
        ids, counts = read(words, [caption(one, rng) for one in takes])
        names = [[choices.index(getattr(one, fact)) for fact, choices in FACTS.items()] for one in takes]
        return {"ids": ids, "counts": counts, "facts": torch.tensor(names)}

    task = Task("film_words", nn.ModuleDict({"text": text, "said": said}), draw, losses)
    return studio.learn(task, PLAN, SHARE)["text"].requires_grad_(True)


def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
    """How badly the facts can be read off each word; of what a caption leaves out, only how often it is so."""
    counts = batch["counts"]
    states = networks["text"](batch["ids"], counts).last_hidden_state[counts.bool()]
    facts = batch["facts"].repeat_interleave(counts.sum(1), dim=0)
    guesses = networks["said"](states).split([len(choices) for choices in FACTS.values()], dim=1)
    wrong = [F.cross_entropy(guess, facts[:, place]) for place, guess in enumerate(guesses)]
    return {"loss": torch.stack(wrong).sum(), **dict(zip(FACTS, wrong, strict=True))}


def told(one: Take, rng: np.random.Generator, before: Take | None = None) -> str:
    """A caption, now and then as a sentence, or none; it never hides that something is not as it was before."""
    before = before or one
    if rng.random() < UNTOLD and before == one:
        return ""
    text = caption(one, rng, news(before, one))
    text = text.capitalize() if rng.random() < CAPITAL else text
    return f"{text}." if rng.random() < STOP else text


def states_of(text: nn.Module, ids: Tensor, counts: Tensor) -> Tensor:
    """What the text encoder makes of texts, and rows of zeros after it, as the pipeline has them."""
    states = text(ids, counts).last_hidden_state * counts[..., None]
    return F.pad(states, (0, 0, 0, max(0, ROWS - states.shape[1])))[:, :ROWS]
