"""Convolutions on a large picture in tiles that know the whole: its numbers, without its working memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from calotype.models.layers.activations import activated
from calotype.models.layers.resnet import Downsample2D, ResnetBlock2D, Upsample2D

MARGIN = 2  # what a convolution of 3 x 3 sees around a tile, and even, so that halves of pictures stay in step
FACTORS: dict[type[nn.Module], float] = {nn.Conv2d: 1, Upsample2D: 2, Downsample2D: 0.5}


@dataclass(frozen=True)
class Tiles:
    """So many rows and columns of tiles, at whatever size a layer sees the picture."""

    rows: int
    columns: int

    @classmethod
    def covering(cls, picture: Tensor, side: int) -> Tiles:
        """Tiles of this side or a little less."""
        height, width = picture.shape[-2:]
        return cls(-(-height // side), -(-width // side))

    def through(self, layers: Iterable[nn.Module], x: Tensor) -> Tensor:
        """The picture after all of these layers: one layer's input and output are in memory, and a tile's work."""
        for layer in layers:
            x = self.after(layer, x)
        return x

    def after(self, layer: nn.Module, x: Tensor) -> Tensor:
        """The picture after one layer; what looks at all of it at once, such as attention, is given all of it."""
        if isinstance(layer, ResnetBlock2D):
            return self._residual(layer, x)
        return self._convolved(layer, x) if type(layer) in FACTORS else layer(x)

    def _residual(self, block: ResnetBlock2D, x: Tensor) -> Tensor:
        inner = self._convolved(block.conv1, x, entering(block.norm1, block.nonlinearity, x))
        inner = self._convolved(block.conv2, inner, entering(block.norm2, block.nonlinearity, inner))
        inner = inner.add_(x) if block.conv_shortcut is None else self._convolved(block.conv_shortcut, x, onto=inner)
        return inner if block.output_scale_factor == 1 else inner.div_(block.output_scale_factor)

    def _convolved(
        self, layer: nn.Module, x: Tensor, enter: Callable[[Tensor], Tensor] | None = None, onto: Tensor | None = None
    ) -> Tensor:
        height, width = x.shape[-2:]
        factor, made = FACTORS[type(layer)], onto
        for top, bottom in spans(height, self.rows):
            for left, right in spans(width, self.columns):
                above, before = max(top - MARGIN, 0), max(left - MARGIN, 0)
                seen = x[..., above : bottom + MARGIN, before : right + MARGIN]
                piece = layer(seen if enter is None else enter(seen))
                if made is None:
                    made = piece.new_empty(*piece.shape[:2], int(height * factor), int(width * factor))
                home = made[..., int(top * factor) : int(bottom * factor), int(left * factor) : int(right * factor)]
                first, start = int((top - above) * factor), int((left - before) * factor)
                piece = piece[..., first : first + home.shape[-2], start : start + home.shape[-1]]
                home.copy_(piece if onto is None else home + piece)
        assert made is not None
        return made


def spans(length: int, count: int) -> list[tuple[int, int]]:
    """A length cut into at most so many parts that begin at even places."""
    part = 2 * -(-length // (2 * count))
    return [(start, min(start + part, length)) for start in range(0, length, part)]


def entering(norm: nn.GroupNorm, act: nn.Module, x: Tensor) -> Callable[[Tensor], Tensor]:
    """A norm that has seen all of ``x``, and an activation, for parts of it."""
    groups = [torch.var_mean(part.float(), dim=(1, 2, 3), correction=0) for part in x.chunk(norm.num_groups, dim=1)]
    variance, mean = (torch.stack(values, dim=1) for values in zip(*groups, strict=True))  # (batch, groups)
    each = x.shape[1] // norm.num_groups
    told = [values.to(x.device, torch.float32) for values in (norm.weight, norm.bias)]  # norms may wait elsewhere
    scale = (variance + norm.eps).rsqrt().repeat_interleave(each, dim=1) * told[0]
    shift = told[1] - mean.repeat_interleave(each, dim=1) * scale

    def enter(part: Tensor) -> Tensor:
        normed = torch.addcmul(shift[..., None, None], part.float(), scale[..., None, None])
        return activated(act, normed).to(part.dtype)

    return enter
