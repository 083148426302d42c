"""Convolutions on a large picture in tiles that know the whole: its numbers, without its working memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from calotype.models.layers.activations import activated
from calotype.models.layers.resnet import Downsample2D, ResnetBlock2D, Upsample2D
from calotype.models.layers.spatial_norm import SpatialNorm, SpatialResnetBlock2D
from calotype.models.vae import passed

MARGIN = 2  # what a convolution of 3 x 3 sees around a tile, and even, so that halves of pictures stay in step
Entrance = Callable[[Tensor, slice, slice], Tensor]  # of a part of a picture, which has these rows and columns
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

    def through(self, layers: Iterable[nn.Module], x: Tensor, latents: Tensor | None = None) -> Tensor:
        """The picture after all of these layers: one layer's input and output are in memory, and a tile's work."""
        for layer in layers:
            x = self.after(layer, x, latents)
        return x

    def after(self, layer: nn.Module, x: Tensor, latents: Tensor | None = None) -> Tensor:
        """The picture after one layer; what looks at all of it at once, such as attention, is given all of it."""
        if isinstance(layer, (ResnetBlock2D, SpatialResnetBlock2D)):
            return self._residual(layer, x, latents)
        return self._convolved(layer, x) if type(layer) in FACTORS else passed(layer, x, latents)

    def _residual(self, block: ResnetBlock2D | SpatialResnetBlock2D, x: Tensor, latents: Tensor | None) -> Tensor:
        inner = self._convolved(block.conv1, x, entering(block.norm1, block.nonlinearity, x, latents))
        inner = self._convolved(block.conv2, inner, entering(block.norm2, block.nonlinearity, inner, latents))
        inner = inner.add_(x) if block.conv_shortcut is None else self._convolved(block.conv_shortcut, x, onto=inner)
        return inner if block.output_scale_factor == 1 else inner.div_(block.output_scale_factor)

    def _convolved(
        self, layer: nn.Module, x: Tensor, enter: Entrance | None = None, onto: Tensor | None = None
    ) -> Tensor:
        height, width = x.shape[-2:]
        factor, made = FACTORS[type(layer)], onto
        for top, bottom in spans(height, self.rows):
            for left, right in spans(width, self.columns):
                above, before = max(top - MARGIN, 0), max(left - MARGIN, 0)
                window = slice(above, min(bottom + MARGIN, height)), slice(before, min(right + MARGIN, width))
                seen = x[(..., *window)]
                piece = layer(seen if enter is None else enter(seen, *window))
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


def entering(norm: nn.GroupNorm | SpatialNorm, act: nn.Module, x: Tensor, latents: Tensor | None) -> Entrance:
    """A norm that has seen all of ``x``, and an activation, for parts of it."""
    plain = norm.norm_layer if isinstance(norm, SpatialNorm) else norm
    groups = [torch.var_mean(part.float(), dim=(1, 2, 3), correction=0) for part in x.chunk(plain.num_groups, dim=1)]
    variance, mean = (torch.stack(values, dim=1) for values in zip(*groups, strict=True))  # (batch, groups)
    each = x.shape[1] // plain.num_groups
    told = [values.to(x.device, torch.float32) for values in (plain.weight, plain.bias)]  # norms may wait elsewhere
    scale = (variance + plain.eps).rsqrt().repeat_interleave(each, dim=1) * told[0]
    shift = told[1] - mean.repeat_interleave(each, dim=1) * scale
    looked = _looking(norm, x, latents) if isinstance(norm, SpatialNorm) and latents is not None else None

    def enter(part: Tensor, rows: slice, columns: slice) -> Tensor:
        normed = torch.addcmul(shift[..., None, None], part.float(), scale[..., None, None])
        return activated(act, normed if looked is None else looked(normed, rows, columns)).to(part.dtype)

    return enter


def _looking(norm: SpatialNorm, x: Tensor, latents: Tensor) -> Entrance:
    """What the latents make of parts of a normed ``x``: each place is told by the latent that it comes from."""
    scale, shift = (layer(latents).float() for layer in (norm.conv_y, norm.conv_b))
    steps = [size // small for size, small in zip(x.shape[-2:], latents.shape[-2:], strict=True)]

    def look(part: Tensor, rows: slice, columns: slice) -> Tensor:
        places = (
            torch.arange(s.start, s.stop, device=x.device) // n for s, n in zip((rows, columns), steps, strict=True)
        )
        down, right = places
        here = (..., down[:, None], right)
        return torch.addcmul(shift[here], part, scale[here])

    return look
