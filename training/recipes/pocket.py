"""The finished pocket-sd, as adapters are trained beside it: frozen, in full precision, and asked one way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from calotype import StableDiffusionPipeline
from training.lessons import Captioner, Encoder, Lesson, Painter, Shelf
from training.recipes.vae import moments
from training.studio import Studio
from training.trainer import Batch
from training.world import Scene, draw, scene


class Teacher:
    """The pipeline whose weights stay as they are, and what an adapter of it learns from."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.pipe = pocket_sd(studio)
        for network in self.pipe.networks.values():
            network.requires_grad_(False)
        self.unet, self.text, self.words = self.pipe.unet, self.pipe.text_encoder, self.pipe.tokenizer
        self.lesson = Lesson(self.pipe.scheduler, float(self.pipe.vae.config.scaling_factor))

    def states(self, ids: Tensor) -> Tensor:
        """What the UNet reads of captions."""
        return self.text(ids).last_hidden_state

    def batches(
        self,
        count: int,
        tell: Captioner,
        paint: Painter = draw,
        hint: Painter | None = None,
        wanted: Callable[[Scene], bool] = lambda _: True,
        also: Mapping[str, Encoder] | None = None,
    ) -> Callable[[np.random.Generator, int], Batch]:
        """Batches of so many scenes of a kind, painted and told in a way; ``also`` says what else is seen in them."""
        rng, scenes = self.studio.rng(5), list[Scene]()
        while len(scenes) < count:
            scenes += [one for one in [scene(rng)] if wanted(one)]
        shelf = Shelf(self.studio, scenes, {"moments": moments(self.pipe.vae), **(also or {})}, paint)
        return lambda rng, size: shelf.batch(self.words, rng, size, tell, hint)


def pocket_sd(studio: Studio) -> Any:
    """The finished pipeline, on the studio's device."""
    pipe = StableDiffusionPipeline.from_pretrained(studio.folder("pocket-sd")).to(studio.device)
    pipe.set_progress_bar_config(disable=True)
    return pipe
