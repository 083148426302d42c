"""Autoencoders at work on one item of a batch, or on one tile of a picture, at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from calotype.models.tiles import Tiles
from calotype.models.vae import Chain
from calotype.ops.tiling import tiled

Coder = Callable[..., Tensor]  # what a chain makes of a picture or of latents


class Slices:
    """The switch for slices; mixed into autoencoders."""

    use_slicing = False

    def enable_slicing(self) -> None:
        """Work on one item of a batch at a time."""
        self.use_slicing = True

    def disable_slicing(self) -> None:
        """Work on whole batches again."""
        self.use_slicing = False


class InPieces(Slices):
    """Switches for slices and tiles; mixed into autoencoders."""

    use_tiling = seams = False
    tile_sample_min_size: int  # pixels of a tile's side
    tile_latent_min_size: int
    tile_overlap_factor = 0.25

    def cut_into(self, side: int, levels: int) -> None:
        """Let tiles have this side, where the autoencoder has so many sizes of picture."""
        self.tile_sample_min_size, self.tile_latent_min_size = side, int(side / 2 ** (levels - 1))

    def enable_tiling(self, use_tiling: bool = True, seams: bool = False) -> None:
        """Work on pictures larger than ``tile_sample_min_size`` a tile at a time.

        Each layer's tiles make up what it makes of the whole. With ``seams`` each tile goes its own way through all
        layers: memory does not grow with the picture, but tiles differ in brightness and colour where they meet.
        """
        self.use_tiling, self.seams = use_tiling, seams

    def disable_tiling(self) -> None:
        """Work on whole pictures again."""
        self.use_tiling = self.seams = False

    def in_pieces(self, code: Callable[[Tensor, Coder], Tensor], chain: Chain, batch: Tensor) -> Tensor:
        """``code(batch, chain)``: an item or a tile at a time, as the switches say; encoders make smaller pictures."""
        work = partial(self._in_tiles, code, chain)
        if self.use_slicing and len(batch) > 1:
            return torch.cat([work(item) for item in batch.split(1)])
        return work(batch)

    def _in_tiles(self, code: Callable[[Tensor, Coder], Tensor], chain: Chain, x: Tensor) -> Tensor:
        sides = self.tile_sample_min_size, self.tile_latent_min_size
        side, made = sides if chain.shrinks else reversed(sides)
        if not self.use_tiling or max(x.shape[-2:]) <= side:
            return code(x, chain)
        if self.seams:
            return tiled(lambda tile: code(tile, chain), x, side, made, self.tile_overlap_factor)
        return code(x, partial(Tiles.covering(x, side).through, chain.layers()))
