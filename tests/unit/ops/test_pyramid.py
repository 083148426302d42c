"""Between the sizes of a pyramid noise keeps the variance and the correlations it should have."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from calotype.ops.pyramid import block_factor, block_noise, doubled, halved


def test_the_factor_of_a_third_is_known_in_closed_form() -> None:
    root = math.sqrt(2)
    known = [
        [1, 0, 0, 0],
        [-1 / 3, 2 * root / 3, 0, 0],
        [-1 / 3, -root / 3, math.sqrt(2 / 3), 0],
        [-1 / 3, -root / 3, -math.sqrt(2 / 3), 2e-4],
    ]
    np.testing.assert_allclose(block_factor(1 / 3), known, atol=2e-8)


@pytest.mark.parametrize("gamma", [1 / 3, 0.2, 0.01])
def test_a_factor_makes_the_covariance(gamma: float) -> None:
    factor = block_factor(gamma)
    np.testing.assert_allclose(factor @ factor.T, (1 + gamma) * np.eye(4) - gamma, atol=2e-8)


def test_noise_of_a_third_adds_up_to_nothing_in_each_block() -> None:
    noise = block_noise((2, 3, 4, 6, 8), 1 / 3, torch.Generator().manual_seed(0))
    blocks = noise.unflatten(3, (3, 2)).unflatten(5, (4, 2))
    assert blocks.sum((4, 6)).abs().max() < 2e-3
    assert noise.std() == pytest.approx(1, abs=0.05)


def test_noise_is_correlated_within_its_blocks_and_nowhere_else() -> None:
    noise = block_noise((1, 1, 64, 64, 64), 0.25, torch.Generator().manual_seed(0))
    beside = noise[..., :-1] * noise[..., 1:]
    assert float(beside[..., ::2].mean()) == pytest.approx(-0.25, abs=0.01)
    assert float(beside[..., 1::2].mean()) == pytest.approx(0, abs=0.01)
    below = noise[..., :-1, :] * noise[..., 1:, :]
    assert float(below[..., ::2, :].mean()) == pytest.approx(-0.25, abs=0.01)
    assert float(below[..., 1::2, :].mean()) == pytest.approx(0, abs=0.01)


def test_each_item_has_the_noise_of_its_own_generator() -> None:
    both = block_noise((2, 3, 1, 4, 4), 1 / 3, [torch.Generator().manual_seed(seed) for seed in (5, 6)])
    alone = block_noise((1, 3, 1, 4, 4), 1 / 3, torch.Generator().manual_seed(6), dtype=torch.bfloat16)
    assert torch.equal(both[1:].bfloat16(), alone)


def test_half_the_size_has_all_the_variance() -> None:
    noise = torch.randn(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    half = halved(noise)
    means = noise.unflatten(3, (16, 2)).unflatten(5, (16, 2)).mean((4, 6))
    torch.testing.assert_close(half, 2 * means)
    assert half.std() == pytest.approx(1, abs=0.03)


def test_what_is_doubled_is_halved_to_twice_itself() -> None:
    latents = torch.randn(2, 4, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(halved(doubled(latents)), 2 * latents)
