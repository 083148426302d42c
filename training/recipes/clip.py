"""Two towers that put a picture and its caption in the same place: the text encoder, and the adapters' vision tower."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype.models.image_processor import CLIPImageProcessor
from calotype.models.text_encoders import CLIPTextModelWithProjection
from calotype.models.tokenizer import CLIPTokenizer
from calotype.models.vision import CLIPVisionModelWithProjection
from training.captions import EVERYTHING, Told, caption
from training.studio import Studio, as_pixels, halved, write_card
from training.trainer import Batch, Losses, Plan, Task
from training.vocabulary import LENGTH, tokenizer
from training.world import COLOURS, NAMELESS, SHAPES, SIDE, Scene, draw, scene

NAME = "pocket-clip"
NAMED = [shape for shape in SHAPES if shape not in NAMELESS]
TOLD = Told(ground=1, place=1, size=1, shape=0.85)
SHARE = 0.06  # of the whole time
WIDTH: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 384, "num_attention_heads": 4, "projection_dim": 128}
CAPTIONED = 0.25  # of the pictures of a batch: a caption costs as much as a picture, and shapes are learnt slowly
PLAN = Plan(steps=30_000, batch=128, learning_rate=2e-3, weight_decay=0.05, clip=1.0, averaging=0.99, orthogonal=True)
PROCESSOR = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
ABOUT = """A text encoder and an image encoder with CLIP's architecture, trained by contrast: each caption has to find
its picture among others, half of which differ from another one in one thing only, a shape or which thing has which
colour. Beside that, what there is has to be read straight off a picture's embedding: shapes, colours, place, size."""


class Temperature(nn.Module):
    """How sharply likeness decides; learnt, as in the paper (arXiv 2103.00020)."""

    def __init__(self) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(math.log(10.0)))

    def forward(self, texts: Tensor, images: Tensor) -> Tensor:
        return self.log.clamp(max=math.log(100.0)).exp() * F.normalize(texts, dim=-1) @ F.normalize(images, dim=-1).T


class Reader(nn.Module):
    """What is read straight off an embedding: a contrast can be won without looking at shapes, this cannot."""

    def __init__(self) -> None:
        super().__init__()
        width: int = WIDTH["projection_dim"]
        self.there = nn.Linear(width, len(SHAPES) + len(COLOURS))  # shapes, and colours of things
        self.ground = nn.Linear(width, len(COLOURS))
        self.where = nn.Linear(width, 4)  # middle and spread of all things, and their radii

    def forward(self, embeds: Tensor, batch: Batch) -> Tensor:
        """How badly it is read."""
        there = F.binary_cross_entropy_with_logits(self.there(embeds), batch["there"])
        ground = F.cross_entropy(self.ground(embeds), batch["ground"])
        return 8 * there + ground + 4 * F.mse_loss(self.where(embeds), batch["where"])


def make(studio: Studio) -> None:
    """Train the towers and save them with their tokenizer and image processor."""
    words, known = tokenizer(), studio.known(NAME)
    networks = towers(words, studio.seed)
    if known:
        networks.update(taught(known))
    task = Task("clip", networks, lambda rng, size: batch(words, rng, size), losses)
    made = studio.learn(task, PLAN, SHARE)
    measured = measure(studio, words, made)
    folder = studio.folder(NAME)
    words.save_pretrained(folder / "tokenizer")
    halved(made["text"]).save_pretrained(folder / "text_encoder")
    halved(made["image"]).save_pretrained(folder / "image_encoder")
    PROCESSOR.save_pretrained(folder / "feature_extractor")
    write_card(folder, NAME, ABOUT, measured, ["clip", "pocket"])


def towers(words: CLIPTokenizer, seed: int) -> nn.ModuleDict:
    torch.manual_seed(seed)
    ids = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    vocabulary: dict[str, Any] = {"vocab_size": len(words), "max_position_embeddings": LENGTH, **ids}
    text = CLIPTextModelWithProjection(num_hidden_layers=3, **WIDTH, **vocabulary)
    image = CLIPVisionModelWithProjection(num_hidden_layers=3, image_size=SIDE, patch_size=8, **WIDTH)
    for embedding in (module for module in text.modules() if isinstance(module, nn.Embedding)):
        nn.init.normal_(embedding.weight, std=0.02)  # torch's own 1.0 would drown what the layers add
    return nn.ModuleDict({"text": text, "image": image, "temperature": Temperature(), "reader": Reader()})


def taught(folder: Path) -> dict[str, nn.Module]:
    """Finished towers, to go on from."""
    kinds = {"text": CLIPTextModelWithProjection, "image": CLIPVisionModelWithProjection}
    full: dict[str, Any] = {"torch_dtype": torch.float32}
    return {name: kind.from_pretrained(folder / f"{name}_encoder", **full).train() for name, kind in kinds.items()}


def batch(words: CLIPTokenizer, rng: np.random.Generator, size: int) -> Batch:
    """Scenes, and captions of the first of them; every other scene is the twin of the one before."""
    scenes = list[Scene]()
    while len(scenes) < size:
        one = scene(rng)
        scenes += [one, twin(one, rng) or scene(rng)]
    texts = [caption(one, rng, TOLD) for one in scenes[: int(CAPTIONED * size)]]
    return {"ids": read(words, texts), "pictures": pixels(scenes), **facts(scenes)}


def twin(one: Scene, rng: np.random.Generator) -> Scene | None:
    """The scene with another shape, or of two things with their colours exchanged, unless it is kept from training."""
    first, *rest = one.things
    if rest and rng.random() < 0.5:
        things = (replace(first, colour=rest[0].colour), replace(rest[0], colour=first.colour))
    else:
        shapes = [shape for shape in NAMED if shape not in {thing.shape for thing in one.things}]
        things = (replace(first, shape=shapes[rng.integers(len(shapes))]), *rest)
    other = replace(one, things=things)
    return None if other.held_out else other


def facts(scenes: Sequence[Scene]) -> Batch:
    """What there is in scenes, as numbers that can be read off an embedding."""
    shapes, colours = list(SHAPES), list(COLOURS)
    there, where = torch.zeros(len(scenes), len(shapes) + len(colours)), list[list[float]]()
    for row, one in zip(there, scenes, strict=True):
        for thing in one.things:
            row[shapes.index(thing.shape)] = row[len(shapes) + colours.index(thing.colour)] = 1
        middle = np.mean([(thing.x, thing.y) for thing in one.things], axis=0) / SIDE - 0.5
        apart = np.ptp([thing.x + thing.y for thing in one.things]) / SIDE
        where.append([*middle.tolist(), float(apart), sum(thing.radius for thing in one.things) / SIDE])
    ground = torch.tensor([colours.index(one.ground) for one in scenes])
    return {"there": there, "where": torch.tensor(where), "ground": ground}


def read(words: CLIPTokenizer, texts: list[str]) -> Tensor:
    """The ids of texts, (texts, LENGTH)."""
    return words(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids


def pixels(scenes: list[Scene]) -> Tensor:
    """Pictures of scenes as the vision tower sees them."""
    return as_seen(as_pixels(draw(scenes)))


def as_seen(pixels: Tensor) -> Tensor:
    """Pictures in [-1, 1] as the image processor hands them to the vision tower."""
    means, stds = (
        torch.tensor(values, device=pixels.device).view(3, 1, 1)
        for values in (PROCESSOR.config.image_mean, PROCESSOR.config.image_std)
    )
    return ((pixels + 1) / 2 - means) / stds


def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
    """How badly captions and pictures find each other, and how badly a picture's embedding tells what there is."""
    texts, images = embeds(networks, batch)
    alike = networks["temperature"](texts, images[: len(texts)]).float()
    right = torch.arange(len(alike), device=alike.device)
    apart = (F.cross_entropy(alike, right) + F.cross_entropy(alike.T, right)) / 2
    told = networks["reader"](images.float(), batch)
    return {"loss": apart + told, "told": told, "found": (alike.argmax(-1) == right).float().mean()}


def embeds(networks: nn.ModuleDict, batch: Batch) -> tuple[Tensor, Tensor]:
    """What the towers make of captions and of pictures."""
    return networks["text"](batch["ids"]).text_embeds, networks["image"](batch["pictures"]).image_embeds


@torch.no_grad()
def measure(studio: Studio, words: CLIPTokenizer, networks: nn.ModuleDict) -> dict[str, float | str]:
    """How often a caption finds its picture among 100, in combinations never seen."""
    rng, found = studio.rng(0), list[Tensor]()
    for _ in range(5):
        scenes = [scene(rng, unseen=True) for _ in range(100)]
        told = {"ids": read(words, [caption(one, rng, EVERYTHING) for one in scenes]), "pictures": pixels(scenes)}
        alike = networks["temperature"](*embeds(networks, {name: x.to(studio.device) for name, x in told.items()}))
        found.append((alike.argmax(-1).cpu() == torch.arange(100)).float().mean())
    return {"caption finds its picture among 100 never seen": float(torch.stack(found).mean())}


class Towers:
    """The finished CLIP pair, frozen and in full precision."""

    def __init__(self, studio: Studio) -> None:
        folder = studio.known(NAME) or studio.folder(NAME)
        full: dict[str, Any] = {"torch_dtype": torch.float32}
        text = CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder", **full)
        image = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder", **full)
        self.text, self.image = (tower.to(studio.device).requires_grad_(False) for tower in (text, image))
        self.words = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        self.processor = CLIPImageProcessor.from_pretrained(folder / "feature_extractor")
        self._ends = self.words.eos_token_id

    def seen(self, pixels: Tensor) -> Tensor:
        """What the image tower makes of pictures in [-1, 1]."""
        return self.image(as_seen(pixels)).image_embeds

    def nothing(self) -> Tensor:
        """What it makes of a picture without anything: Kandinsky's negative."""
        side: int = self.image.config.image_size
        return self.image(torch.zeros(1, 3, side, side, device=self.image.device)).image_embeds

    def told(self, ids: Tensor) -> Tensor:
        """Which tokens belong to the text: all to the first that ends it."""
        ended = (ids == self._ends).cumsum(1)
        return ended - (ids == self._ends).long() == 0
