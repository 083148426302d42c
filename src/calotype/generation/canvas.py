"""Hints on their way to ControlNets: whose each is, at which size, and which part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from calotype.core.bundle import Bundle
from calotype.core.errors import InvalidArgument
from calotype.generation.images import VaeImageProcessor, listed
from calotype.generation.latents import spread
from calotype.generation.masks import Frame


@dataclass(frozen=True)
class Canvas:
    """Where hints go: over how many pictures, at which size, and into which frame of a picture."""

    batch: int
    asked: tuple[int | None, int | None]  # height and width, where the call names them
    size: tuple[int, int] | None = None  # of the picture, where there is one beside the hint
    frame: Frame | None = None

    def hints(self, images: VaeImageProcessor, network: Any, name: str, given: Any) -> torch.Tensor:
        """Hints (batch, 3, height, width) in [0, 1]; for several nets (nets, batch, 3, height, width)."""
        if not isinstance(network, Bundle):
            return self._hints(images, name, given, self.size)
        made: list[torch.Tensor] = []
        for i, hint in enumerate(of_each_net(name, given, len(network.nets))):
            size = self.size or (tuple(made[0].shape[-2:]) if made else None)
            made.append(self._hints(images, f"{name}[{i}]", hint, size))
        rows = len(made[0]) if len({len(hint) for hint in made}) == 1 else self.batch
        return torch.stack([spread(hint, rows) for hint in made])

    def _hints(self, images: VaeImageProcessor, name: str, given: Any, size: tuple[int, ...] | None) -> torch.Tensor:
        if self.frame is not None and self.frame.box is not None:
            whole: Image.Image = self.frame.image
            for hint in listed(given, name):
                if not isinstance(hint, Image.Image) or hint.size != whole.size:
                    found = f"{hint.width}x{hint.height}" if isinstance(hint, Image.Image) else type(hint).__name__
                    raise InvalidArgument(name, f"PIL images of the size of image, {whole.width}x{whole.height}", found)
            asked = self.frame.height, self.frame.width
            return images.preprocess(given, *asked, "fill", self.frame.box, name=name, batch=self.batch)
        made = images.preprocess(given, *self.asked, name=name, batch=self.batch)
        if size is not None and tuple(made.shape[-2:]) != size:
            wanted, found = f"{size[1]}x{size[0]}, as the picture", f"{made.shape[-1]}x{made.shape[-2]}"
            raise InvalidArgument(name, wanted, found, "Give height and width to have it resized.")
        return made


def of_each_net(name: str, given: Any, count: int) -> list[Any]:
    """The hints of each net, from a list of them, or from a list for each picture with a hint for each net."""
    if not isinstance(given, (list, tuple)):
        wanted = f"a list of {count} hints, one for each ControlNet"
        raise InvalidArgument(name, wanted, type(given).__name__)
    hints: list[Any] = list(given)
    by_picture = bool(hints) and all(isinstance(each, (list, tuple)) for each in hints)
    for where, row in [(f"{name}[{i}]", row) for i, row in enumerate(hints)] if by_picture else [(name, hints)]:
        if len(row) != count:
            raise InvalidArgument(where, f"{count} hints, one for each ControlNet", f"{len(row)}")
    return [list(column) for column in zip(*hints, strict=True)] if by_picture else hints
