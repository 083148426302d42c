"""A small network with each kind of tensor that matters to loading and saving."""

from __future__ import annotations

import torch
from torch import nn

from calotype.core.config import register_to_config
from calotype.core.model import ModelMixin


class Toy(ModelMixin):
    """Two layers, a norm, an embedding, a buffer of whole numbers."""

    keys_to_ignore_on_load = (r"^unused\.",)

    @register_to_config
    def __init__(self, width: int = 8, sizes: tuple[int, ...] = (4, 6), scale: float = 1.0, kind: str | None = None):
        super().__init__()
        self.first = nn.Linear(width, sizes[0])
        self.norm = nn.GroupNorm(2, sizes[0])
        self.layers = nn.ModuleList(nn.Conv2d(sizes[0], size, 3) for size in sizes)
        self.words = nn.Embedding(3, width)
        self.register_buffer("ids", torch.arange(3))

    @classmethod
    def old_keys(cls, key: str) -> str:
        return key.replace("start.", "first.")


def same(one: nn.Module, other: nn.Module) -> bool:
    """Do two networks hold the same tensors under the same names?"""
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)
