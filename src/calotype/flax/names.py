"""Where Flax's files keep what PyTorch's keep elsewhere: paths in a tree, and the order of axes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, nn

# what is a ``weight`` in PyTorch, and which of its axes comes where
WEIGHTS: dict[type[nn.Module], tuple[str, tuple[int, ...]]] = {
    nn.Conv2d: ("kernel", (2, 3, 1, 0)),
    nn.Embedding: ("embedding", (0, 1)),
    nn.GroupNorm: ("scale", (0,)),
    nn.LayerNorm: ("scale", (0,)),
    nn.Linear: ("kernel", (1, 0)),
}


class Home(NamedTuple):
    """Where a tensor of PyTorch's lies in a tree, and which of its axes comes where."""

    path: tuple[str, ...]
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Spelling:
    """How a family of files spells paths."""

    joined: bool = True  # the layers of a list are ``resnets_0``; else they are ``0`` below ``layers``
    words: Mapping[str, str] = field(default_factory=dict[str, str])

    def path(self, name: str) -> tuple[str, ...]:
        """The path of a layer."""
        name = re.sub(r"\.(\d+)", r"_\1", name) if self.joined else name
        return tuple(self.words.get(word, word) for word in name.split(".")) if name else ()

    def places(self, network: nn.Module) -> dict[nn.Module, tuple[str, ...]]:
        """Where the weights of each layer lie."""
        return {layer: self.path(name) for name, layer in network.named_modules()}

    def homes(self, network: nn.Module) -> dict[str, Home]:
        """Where each tensor lies, by PyTorch's key."""
        found: dict[str, Home] = {}
        for name, layer in network.named_modules():
            for own, tensor in layer.named_parameters(recurse=False):
                spelt, axes = WEIGHTS.get(type(layer), (own, ())) if own == "weight" else (own, ())
                key = f"{name}.{own}" if name else own
                found[key] = Home((*self.path(name), spelt), axes or tuple(range(tensor.ndim)))
        return found


def planted(tensors: Mapping[str, Tensor], homes: Mapping[str, Home]) -> dict[str, Tensor]:
    """PyTorch's tensors as they lie in a tree, by their paths: ``conv_in/kernel``."""
    return {"/".join(home.path): tensors[key].permute(home.axes) for key, home in homes.items()}


def grown(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of these leaves."""
    tree: dict[str, Any] = {}
    for key, leaf in leaves.items():
        *above, name = key.split("/")
        branch = tree
        for each in above:
            branch = branch.setdefault(each, {})
        branch[name] = leaf
    return tree


def leaves(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """The leaves of a tree, by their paths."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= leaves(value, f"{above}{name}/") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return found
