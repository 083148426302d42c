"""Two towers that put a picture and its caption in the same place: the text encoder, and the adapters' vision tower."""

from __future__ import annotations

import math
from dataclasses import replace
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
from training.world import SIDE, Scene, draw, scene

NAME = "pocket-clip"
TOLD = Told(ground=1, place=1, size=1, shape=0.85)
SHARE = 0.06  # of the whole time
WIDTH: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 384, "num_attention_heads": 4, "projection_dim": 128}
PLAN = Plan(steps=10_000, batch=64, learning_rate=1e-3, weight_decay=0.05, clip=1.0, averaging=0.99, orthogonal=True)
PROCESSOR = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
ABOUT = """A text encoder and an image encoder with CLIP's architecture, trained by contrast: each caption has to find
its picture among others, half of which differ from another one only in which thing has which colour."""


class Temperature(nn.Module):
    """How sharply likeness decides; learnt, as in the paper (arXiv 2103.00020)."""

    def __init__(self) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.tensor(math.log(10.0)))

    def forward(self, texts: Tensor, images: Tensor) -> Tensor:
        return self.log.clamp(max=math.log(100.0)).exp() * F.normalize(texts, dim=-1) @ F.normalize(images, dim=-1).T


def make(studio: Studio) -> None:
    """Train the towers and save them with their tokenizer and image processor."""
    words = tokenizer()
    task = Task("clip", towers(words, studio.seed), lambda rng, size: batch(words, rng, size), losses)
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
    return nn.ModuleDict({"text": text, "image": image, "temperature": Temperature()})


def batch(words: CLIPTokenizer, rng: np.random.Generator, size: int) -> Batch:
    """Scenes and their captions; every other scene is the twin of the one before."""
    scenes = list[Scene]()
    while len(scenes) < size:
        one = scene(rng)
        scenes += [one, twin(one) or scene(rng)]
    return {"ids": read(words, [caption(one, rng, TOLD) for one in scenes]), "pictures": pixels(scenes)}


def twin(one: Scene) -> Scene | None:
    """The scene of two things with their colours exchanged, unless it is kept from training."""
    if len(one.things) == 1:
        return None
    first, second = one.things
    other = replace(one, things=(replace(first, colour=second.colour), replace(second, colour=first.colour)))
    return None if other.held_out else other


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
    """How badly captions and pictures find each other."""
    alike = likeness(networks, batch).float()
    right = torch.arange(len(alike), device=alike.device)
    loss = (F.cross_entropy(alike, right) + F.cross_entropy(alike.T, right)) / 2
    return {"loss": loss, "found": (alike.argmax(-1) == right).float().mean()}


def likeness(networks: nn.ModuleDict, batch: Batch) -> Tensor:
    """Every caption (rows) against every picture (columns)."""
    texts, images = networks["text"](batch["ids"]).text_embeds, networks["image"](batch["pictures"]).image_embeds
    return networks["temperature"](texts, images)


@torch.no_grad()
def measure(studio: Studio, words: CLIPTokenizer, networks: nn.ModuleDict) -> dict[str, float | str]:
    """How often a caption finds its picture among 100, in combinations never seen."""
    rng, found = studio.rng(0), list[Tensor]()
    for _ in range(5):
        scenes = [scene(rng, unseen=True) for _ in range(100)]
        told = {"ids": read(words, [caption(one, rng, EVERYTHING) for one in scenes]), "pictures": pixels(scenes)}
        alike = likeness(networks, {name: tensor.to(studio.device) for name, tensor in told.items()})
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
