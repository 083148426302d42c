"""A video through a network that looks back: in groups of frames, and each item or tile of them on its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from calotype.models.wan_blocks import Memory
from calotype.ops.tiling import Cut, sewn, tiles

Network = Callable[[Tensor, Memory], Tensor]
Cuts = tuple[Cut, Cut]  # of the height and of the width


def in_groups(
    network: Network,
    video: Tensor,  # (batch, channels, frames, height, width)
    groups: Sequence[int],  # how many frames go at once
    cuts: Cuts | None = None,  # whole frames if None
    slices: bool = False,  # one item of the batch at a time
) -> Iterator[Tensor]:
    """What the network makes of each group of frames: together the same as of all frames at once."""
    memories: defaultdict[tuple[int, ...], Memory] = defaultdict(Memory)  # of each item and tile
    for number, group in enumerate(video.split(list(groups), dim=2)):
        ending = number == len(groups) - 1

        def through(piece: Tensor, *place: int, ending: bool = ending) -> Tensor:
            memory = memories[place]
            memory.ending = ending
            return network(piece, memory)

        def made(item: Tensor, place: int, through: Callable[..., Tensor] = through) -> Tensor:
            if cuts is None:
                return through(item, place)
            rows = enumerate(tiles(item, *cuts))
            return sewn(((through(tile, place, i, j) for j, tile in enumerate(row)) for i, row in rows), *cuts)

        items = group.split(1) if slices else (group,)
        done = [made(item, place) for place, item in enumerate(items)]
        yield done[0] if len(done) == 1 else torch.cat(done)


def groups_of(latents: int, at_once: int, frames: int = 1) -> list[int]:
    """Sizes of groups of at most so many latents; each latent but the first stands for so many frames."""
    starts = range(0, latents, at_once)
    sizes = [min(at_once, latents - start) * frames for start in starts]
    return [sizes[0] - frames + 1, *sizes[1:]]
