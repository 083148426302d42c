"""A Brownian path that is fixed by its seed."""

from __future__ import annotations

import copy
import math
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import torch

from calotype.schedulers.brownian import BrownianTree

TREE = BrownianTree(seed=7, low=0.03, high=14.6, shape=(20_000,))


def test_pieces_of_the_path_add_up_to_the_whole() -> None:
    times = [0.03, 0.5, 3.0, 7.315, 9.99, 14.6]
    pieces = sum(TREE.between(a, b) * math.sqrt(b - a) for a, b in pairwise(times))
    torch.testing.assert_close(pieces, TREE.at(14.6), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("start", "end"), [(0.03, 14.6), (1.0, 1.001), (14.6, 3.0), (0.03, 0.04)])
def test_noise_between_two_times_is_standard_normal(start: float, end: float) -> None:
    noise = TREE.between(start, end)
    assert abs(float(noise.mean())) < 0.03
    assert float(noise.std()) == pytest.approx(1.0, abs=0.02)


def test_noise_of_intervals_that_do_not_overlap_is_independent() -> None:
    pair = torch.stack([TREE.between(1.0, 5.0), TREE.between(5.0, 6.0)])
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.03


def test_copies_and_threads_see_the_same_path() -> None:
    alone = [TREE.at(t) for t in (1.0, 2.0, 3.0, 4.0)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(copy.deepcopy(TREE).at, (1.0, 2.0, 3.0, 4.0)))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_another_seed_is_another_path() -> None:
    other = BrownianTree(seed=8, low=0.03, high=14.6, shape=(20_000,))
    assert abs(float(torch.corrcoef(torch.stack([TREE.at(3.0), other.at(3.0)]))[0, 1])) < 0.03


def test_half_precision_keeps_the_path_of_the_draws_made_in_it() -> None:
    half = BrownianTree(seed=7, low=0.03, high=14.6, shape=(20_000,), dtype=torch.float16)
    assert half.at(3.0).dtype == torch.float32
    assert float(half.between(1.0, 5.0).std()) == pytest.approx(1.0, abs=0.02)
