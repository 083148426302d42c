"""Muon goes where PyTorch's goes, which rounds more on its way, and makes gradients as strong in all directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from training.muon import Muon, evened

SHAPES = [(24, 24), (16, 48), (48, 16)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_goes_where_pytorchs_goes(shape: tuple[int, int]):
    def walked(kind: Callable[..., torch.optim.Optimizer], **options: Any) -> torch.Tensor:
        rows = torch.Generator().manual_seed(0)
        weight = torch.nn.Parameter(torch.randn(shape, generator=rows))
        optimizer = kind([weight], lr=0.1, weight_decay=0.5, **options)
        for _ in range(4):
            weight.grad = torch.randn(shape, generator=rows)
            optimizer.step()
        return weight.detach()

    begun = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    ours, theirs = walked(Muon), walked(torch.optim.Muon, adjust_lr_fn="match_rms_adamw")
    assert (ours - theirs).norm() < 0.02 * (ours - begun).norm()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_strong_and_weak_directions_come_out_alike(shape: tuple[int, int]):
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    left, strengths, right = torch.linalg.svd(drawn, full_matrices=False)
    uneven = left @ torch.diag(torch.logspace(-1, 1, len(strengths))) @ right
    assert ((found := torch.linalg.svdvals(evened(uneven))) > 0.3).all() and (found < 1.3).all()
    assert torch.equal(evened(torch.zeros(shape)), torch.zeros(shape))


def test_a_weight_without_gradient_stays():
    still, moved = torch.nn.Parameter(torch.ones(16, 16)), torch.nn.Parameter(torch.ones(16, 16))
    moved.grad = torch.eye(16)
    Muon([still, moved], 0.1, 0.0).step()
    assert (still == 1).all() and (moved != 1).any()
