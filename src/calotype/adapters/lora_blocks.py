"""How much of an adapter each layer gets: one number, or numbers for blocks of the UNet and for layers in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from calotype.adapters.injection import number
from calotype.core.errors import InvalidArgument

# A layer of a block, in the number of its resnet or transformer; samplers belong to no number.
LAYER = re.compile(r"(down|up)_blocks\.(\d+)\.(?:attentions|resnets)\.(\d+)\.|(mid)_block\.attentions\.(\d+)\.")


def weights_of(where: str, told: Any, network: nn.Module, layers: Iterable[str]) -> dict[str, float]:
    """The weight of each layer: the same for all, or of its block, and 1 for those that were not named."""
    if told is None:
        return dict.fromkeys(layers, 1.0)
    if not isinstance(told, Mapping):
        return dict.fromkeys(layers, number(where, told))
    blocks = _blocks(network)
    numbers: dict[tuple[str, int, int], float] = {}
    for part, weight in _named(where, told, {part: part for part, _ in blocks}).items():
        own = {index: count for (name, index), count in blocks.items() if name == part}
        by_block = isinstance(weight, Mapping) and part != "mid"
        if by_block:
            weight = _named(f"{where}[{part!r}]", weight, {f"block_{index}": index for index in own})
        for index, count in own.items():
            told_block = weight.get(index) if by_block else weight
            place = f"{where}[{part!r}]" + (f"['block_{index}']" if by_block else "")
            for place_in_block, value in enumerate(_each(place, told_block, count)):
                numbers[part, index, place_in_block] = value
    return {layer: numbers.get(_place(layer), 1.0) for layer in layers}


def _blocks(network: nn.Module) -> dict[tuple[str, int], int]:
    """The blocks that have transformers, and how many layers each has."""
    found: dict[tuple[str, int], int] = {}
    for part in ("down", "up"):
        for index, block in enumerate(getattr(network, f"{part}_blocks", ())):
            if getattr(block, "attentions", None):
                found[part, index] = len(block.attentions)
    middle: Any = getattr(network, "mid_block", None)
    if getattr(middle, "attentions", None):
        found["mid", 0] = len(middle.attentions)
    return found


def _named(where: str, told: Mapping[Any, Any], names: Mapping[str, Any]) -> dict[Any, Any]:
    for name in told:
        if name not in names:
            raise InvalidArgument(
                where, f"weights for {', '.join(names) or 'no blocks: this network has none'}", repr(name)
            )
    return {names[name]: weight for name, weight in told.items()}


def _each(where: str, told: Any, count: int) -> list[float]:
    if told is None:
        return [1.0] * count
    if isinstance(told, Sequence) and not isinstance(told, str):
        if len(told) != count:
            raise InvalidArgument(where, f"{count} weights, one for each transformer", str(len(told)))
        return [number(f"{where}[{i}]", weight) for i, weight in enumerate(told)]
    return [number(where, told)] * count


def _place(layer: str) -> tuple[str, int, int]:
    found = LAYER.match(layer)
    if found is None:
        return "", 0, 0
    if found[4]:
        return "mid", 0, int(found[5])
    return found[1], int(found[2]), int(found[3])
