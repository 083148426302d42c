from __future__ import annotations

import pytest
import torch

from calotype.ops.tiling import blend_into, tiled


@pytest.mark.parametrize("size", [(64, 64), (65, 40), (7, 100)], ids=str)
def test_a_function_of_single_pixels_gives_what_it_gives_for_the_whole(size: tuple[int, int]) -> None:
    picture = torch.rand(2, 3, *size)
    torch.testing.assert_close(tiled(torch.cos, picture, 32, 32, 0.25), picture.cos())


def test_a_function_that_doubles_the_size_is_joined_without_seams() -> None:
    picture = torch.rand(1, 1, 40, 50)
    doubled = torch.nn.Upsample(scale_factor=2)
    torch.testing.assert_close(tiled(doubled, picture, 16, 32, 0.25), doubled(picture))


def test_no_tile_is_larger_than_asked() -> None:
    seen: list[tuple[int, ...]] = []
    tiled(lambda tile: seen.append(tile.shape[-2:]) or tile, torch.zeros(1, 1, 50, 20), 16, 16, 0.5)
    assert max(max(shape) for shape in seen) == 16


def test_one_tile_fades_into_the_next() -> None:
    after = torch.zeros(1, 1, 1, 6)
    blend_into(torch.ones(1, 1, 1, 6), after, 4, dim=-1)
    assert after.flatten().tolist() == [1, 0.75, 0.5, 0.25, 0, 0]
