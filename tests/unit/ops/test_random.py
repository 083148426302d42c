"""Noise: one stream per item, wherever it is needed."""

from __future__ import annotations

import pytest
import torch

from calotype.core.errors import InvalidArgument
from calotype.ops.random import randn_tensor


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_each_item_draws_from_its_own_generator() -> None:
    together = randn_tensor((3, 2, 4), seeded(5, 6, 7))
    alone = [randn_tensor((1, 2, 4), generator) for generator in seeded(5, 6, 7)]
    assert torch.equal(together, torch.cat(alone))


def test_one_generator_draws_the_whole_batch() -> None:
    whole = torch.randn(3, 4, generator=torch.Generator().manual_seed(5))
    assert torch.equal(randn_tensor((3, 4), seeded(5)[0]), whole)
    assert torch.equal(randn_tensor((3, 4), seeded(5)), whole)


def test_noise_has_the_type_and_device_asked_for() -> None:
    noise = randn_tensor((2, 3), seeded(1, 2), device="cpu", dtype=torch.bfloat16)
    assert (noise.dtype, noise.device.type) == (torch.bfloat16, "cpu")


@pytest.mark.parametrize("count", [0, 2, 4])
def test_another_number_of_generators_than_items_is_refused(count: int) -> None:
    with pytest.raises(InvalidArgument, match="generator: expected one, or one for each of the 3 items"):
        randn_tensor((3, 2), seeded(*range(count)))
