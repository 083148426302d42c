"""How a UNet's config lays out its levels; the networks that accompany a UNet are laid out alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from torch import nn

from calotype.core.config import FrozenDict
from calotype.core.errors import InvalidArgument
from calotype.models.unet_blocks import Level, MidBlock, Style
from calotype.models.unet_types import DOWN, MID, UP, type_of

Value = TypeVar("Value")


@dataclass(frozen=True)
class Layout:
    """The levels from the largest picture to the smallest, and what all blocks have in common."""

    config: FrozenDict
    style: Style
    levels: tuple[Level, ...]
    layers: tuple[int, ...]
    depths: tuple[int | tuple[int, ...], ...]  # of transformers: one for all layers of a level, or one for each

    @classmethod
    def of(cls, c: FrozenDict, temb_channels: int) -> Layout:
        """The layout that a UNet's config describes, for blocks that are told the time in so many channels."""
        count = len(c.down_block_types)
        # checkpoints keep the number of heads under the name of their width, but for simple attention layers
        heads = "num_attention_heads" if c.num_attention_heads else "attention_head_dim"
        columns = ("block_out_channels", heads, "attention_head_dim", "cross_attention_dim", "only_cross_attention")
        rows = zip(*(per_level(name, c[name], count) for name in columns), strict=True)
        style = Style(
            temb_channels=temb_channels,
            eps=c.norm_eps,
            act_fn=c.act_fn,
            groups=c.norm_num_groups,
            dropout=c.dropout,
            time_scale_shift=c.resnet_time_scale_shift,
            skip_time_act=c.resnet_skip_time_act,
            out_scale_factor=c.resnet_out_scale_factor,
            downsample_padding=c.downsample_padding,
            use_linear_projection=c.use_linear_projection,
            upcast_attention=c.upcast_attention,
            cross_attention_norm=c.cross_attention_norm,
        )
        return cls(
            c,
            style,
            tuple(Level(*row) for row in rows),
            per_level("layers_per_block", c.layers_per_block, count),
            per_level("transformer_layers_per_block", c.transformer_layers_per_block, count),
        )

    def down_blocks(self) -> nn.ModuleList:
        """One block for each level; all but the last halve the picture."""
        return nn.ModuleList(
            type_of(DOWN, name, "down_block_types")(
                self.style,
                self.levels[i],
                self.levels[max(i - 1, 0)].channels,
                per_level(f"transformer_layers_per_block[{i}]", self.depths[i], self.layers[i]),
                downsample=i < len(self.levels) - 1,
            )
            for i, name in enumerate(self.config.down_block_types)
        )

    def passed(self) -> list[int]:
        """The channels of all that the way up looks back at: the first layer, then what each level hands over."""
        last = len(self.levels) - 1
        handed = [[level.channels] * (self.layers[i] + (i < last)) for i, level in enumerate(self.levels)]
        return [self.levels[0].channels, *(width for widths in handed for width in widths)]

    def mid_block(self, name: str) -> MidBlock:
        """The block at the smallest picture, of the type of this name."""
        c, block = self.config, type_of(MID, name, "mid_block_type")
        only_cross = block.kind.attention == "simple" and (
            c.only_cross_attention is True
            if c.mid_block_only_cross_attention is None
            else c.mid_block_only_cross_attention
        )
        last = self.depths[-1]
        depth = last if isinstance(last, int) else last[0]
        level = replace(self.levels[-1], only_cross_attention=only_cross)
        return block(self.style, level, [depth], c.mid_block_scale_factor)

    def up_blocks(self) -> nn.ModuleList:
        """One block for each level from the smallest; all but the last double the picture."""
        count = len(self.levels)
        last = count - 1
        per_level("up_block_types", self.config.up_block_types, count)
        reverse = self.config.reverse_transformer_layers_per_block or self.depths[::-1]
        depths = per_level("reverse_transformer_layers_per_block", reverse, count)
        return nn.ModuleList(
            type_of(UP, name, "up_block_types")(
                self.style,
                self.levels[last - i],
                self.levels[min(last - i + 1, last)].channels,
                self.levels[max(last - i - 1, 0)].channels,
                per_level(f"reverse_transformer_layers_per_block[{i}]", depths[i], self.layers[last - i] + 1),
                upsample=i < last,
            )
            for i, name in enumerate(self.config.up_block_types)
        )


def per_level(name: str, value: Value | tuple[Value, ...], count: int) -> tuple[Value, ...]:
    """The value for each of so many levels or layers: the same, or a tuple's, which must have as many."""
    if not isinstance(value, tuple):
        return (value,) * count
    if len(value) != count:
        raise InvalidArgument(name, f"one value, or {count} of them", f"{len(value)}: {value}")
    return value
