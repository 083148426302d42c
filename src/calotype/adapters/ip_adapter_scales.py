"""How much the pictures of IP-Adapters count, for each layer that looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from calotype.adapters.injection import number
from calotype.core.errors import InvalidArgument
from calotype.models.layers.image_attention import Scale

WHERE = "scale"


def scales_of(told: Any, layers: Iterable[str], adapters: int) -> dict[str, list[Scale]]:
    """For each layer the scale of each adapter: one for all or one of a list, a number or numbers of blocks."""
    names = list(layers)
    several: list[Any] = list(told) if isinstance(told, (list, tuple)) else [told]
    if len(several) not in (1, adapters):
        raise InvalidArgument(WHERE, f"one, or a list of {adapters}, one for each IP-Adapter", f"{len(several)}")
    several *= adapters if len(several) == 1 else 1
    found: dict[str, list[Scale]] = {name: [] for name in names}
    for i, one in enumerate(several):
        where = f"{WHERE}[{i}]" if isinstance(told, (list, tuple)) else WHERE
        by_layer = _by_layer(where, one, names) if isinstance(one, Mapping) else dict.fromkeys(names, _leaf(where, one))
        for name in names:
            found[name].append(by_layer.get(name, 0.0))  # blocks that are not named look at nothing
    return found


def _by_layer(where: str, told: Mapping[str, Any], layers: Sequence[str]) -> dict[str, Scale]:
    """The scales of the layers in the blocks that are told."""
    places = {name: _place(name) for name in layers}
    found: dict[str, Scale] = {}
    for side, value in told.items():
        own = {name: place for name, place in places.items() if place[0] == side}
        _known(where, side, own, sorted({place[0] for place in places.values()}))
        if not isinstance(value, Mapping) or side == "mid":
            found |= dict.fromkeys(own, _leaf(f"{where}[{side!r}]", value))
            continue
        for block, inner in value.items():
            here = {name: place[2] for name, place in own.items() if place[1] == block}
            _known(f"{where}[{side!r}]", block, here, sorted({place[1] for place in own.values()}))
            found |= _in_block(f"{where}[{side!r}][{block!r}]", inner, here)
    return found


def _in_block(where: str, told: Any, layers: Mapping[str, int]) -> dict[str, Scale]:
    """The scales of a block's layers: a number for all, or one for each of its attentions."""
    count = max(layers.values()) + 1
    each: list[Any] = list(told) if isinstance(told, (list, tuple)) else [told]
    if len(each) not in (1, count):
        raise InvalidArgument(where, f"a number, or a list of {count}, one for each attention", f"{len(each)}")
    each *= count if len(each) == 1 else 1
    return {name: _leaf(where, each[attention]) for name, attention in layers.items()}


def _place(name: str) -> tuple[str, str, int]:
    """Of ``down_blocks.1.attentions.0.transformer_blocks.0.attn2``: down, block_1, 0."""
    side, *rest = name.split(".")
    if side == "mid_block":
        return "mid", "", int(rest[1])
    return side.removesuffix("_blocks"), f"block_{rest[0]}", int(rest[2])


def _known(where: str, name: Any, found: Mapping[str, Any], choices: Sequence[str]) -> None:
    if not found:
        raise InvalidArgument(where, f"blocks with cross-attention ({', '.join(choices)})", repr(name))


def _leaf(where: str, told: Any) -> Scale:
    """A number, or one for each picture of the adapter."""
    if isinstance(told, (list, tuple)):
        return [number(f"{where}[{i}]", each) for i, each in enumerate(told)]
    return number(where, told)
