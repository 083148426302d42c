"""The types of a UNet's blocks by the names that configs give them; a class each, as scripts look for classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from calotype.core.errors import InvalidArgument
from calotype.models.unet_blocks import Block, DownBlock, Kind, MidBlock, UpBlock

Type = TypeVar("Type", bound=Block)


class DownBlock2D(DownBlock):
    pass


class CrossAttnDownBlock2D(DownBlock):
    kind = Kind("transformer")


class ResnetDownsampleBlock2D(DownBlock):
    kind = Kind(by_resnets=True)


class SimpleCrossAttnDownBlock2D(DownBlock):
    kind = Kind("simple", by_resnets=True)


class UNetMidBlock2D(MidBlock):
    pass


class UNetMidBlock2DCrossAttn(MidBlock):
    kind = Kind("transformer")


class UNetMidBlock2DSimpleCrossAttn(MidBlock):
    kind = Kind("simple", by_resnets=True)


class UpBlock2D(UpBlock):
    pass


class CrossAttnUpBlock2D(UpBlock):
    kind = Kind("transformer")


class ResnetUpsampleBlock2D(UpBlock):
    kind = Kind(by_resnets=True)


class SimpleCrossAttnUpBlock2D(UpBlock):
    kind = Kind("simple", by_resnets=True)


def _named(*types: type[Type]) -> Mapping[str, type[Type]]:
    return {one.__name__: one for one in types}


DOWN = _named(DownBlock2D, CrossAttnDownBlock2D, ResnetDownsampleBlock2D, SimpleCrossAttnDownBlock2D)
MID = _named(UNetMidBlock2D, UNetMidBlock2DCrossAttn, UNetMidBlock2DSimpleCrossAttn)
UP = _named(UpBlock2D, CrossAttnUpBlock2D, ResnetUpsampleBlock2D, SimpleCrossAttnUpBlock2D)


def type_of(table: Mapping[str, type[Type]], name: str, where: str) -> type[Type]:
    """The class of this name; ``where`` is the argument that named it."""
    if name not in table:
        raise InvalidArgument(where, f"one of {', '.join(table)}", repr(name))
    return table[name]
