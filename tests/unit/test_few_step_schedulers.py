"""What LCM, TCD, UnCLIP, FlowMatch and DPM-SDE hold to, where the peer is no judge."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from calotype.core.errors import InvalidArgument
from calotype.schedulers import (
    DPMSolverSDEScheduler,
    FlowMatchEulerDiscreteScheduler,
    LCMScheduler,
    TCDScheduler,
    UnCLIPScheduler,
)

X = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("make", [LCMScheduler, TCDScheduler])
def test_a_cut_walk_by_hand_ends_without_noise(make: type[LCMScheduler | TCDScheduler]) -> None:
    scheduler = make()
    scheduler.set_timesteps(timesteps=[999, 759, 499, 259], strength=0.5)
    assert scheduler.timesteps.tolist() == [499, 259]
    assert scheduler.num_inference_steps == 2
    drawn = torch.Generator().manual_seed(0)
    before = drawn.get_state()
    scheduler.step(X, scheduler.timesteps[1], X, generator=drawn)
    assert torch.equal(drawn.get_state(), before)


@pytest.mark.parametrize("options", [{"clip_sample": True}, {"thresholding": True}], ids=str)
def test_tcd_clips_the_estimate_that_it_leaps_to(options: dict[str, bool]) -> None:
    scheduler = TCDScheduler(prediction_type="sample", **options)
    scheduler.set_timesteps(4)
    end = scheduler.step(9 * X, 259, X, eta=1.0).prev_sample
    assert float(end.abs().max()) < 1.5


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"num_inference_steps": 51}, "num_inference_steps"),
        ({"num_inference_steps": 20, "strength": 0.3}, "strength=0.3"),
        ({"num_inference_steps": 4, "strength": 0.0}, "strength"),
        ({"num_inference_steps": 4, "original_inference_steps": 0}, "original_inference_steps"),
        ({"num_inference_steps": 4, "timesteps": [900, 500, 100]}, "num_inference_steps"),
        ({"timesteps": [100, 500]}, "timesteps"),
        ({}, "num_inference_steps"),
    ],
    ids=str,
)
def test_walks_that_cannot_be_laid_are_refused_by_name(told: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidArgument, match=named):
        LCMScheduler().set_timesteps(**told)  # pyright: ignore[reportArgumentType]


def test_unclip_refuses_a_single_step() -> None:
    with pytest.raises(InvalidArgument, match="num_inference_steps"):
        UnCLIPScheduler().set_timesteps(1)


def test_a_flow_cannot_be_stretched_with_one_step() -> None:
    with pytest.raises(InvalidArgument, match="shift_terminal"):
        FlowMatchEulerDiscreteScheduler(shift_terminal=0.1).set_timesteps(1)


def test_a_flow_that_is_straight_is_walked_exactly() -> None:
    picture, noise = X, X.flip(-1)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(3)
    sample = noise
    for t in scheduler.timesteps:
        sample = scheduler.step(noise - picture, t, sample).prev_sample
    torch.testing.assert_close(sample, picture)


@pytest.mark.parametrize("shift", [0.0, -1.0, float("nan"), float("inf")])
def test_a_shift_is_a_number_above_zero(shift: float) -> None:
    with pytest.raises(InvalidArgument, match="shift"):
        FlowMatchEulerDiscreteScheduler().set_shift(shift)


def test_a_copied_sde_walk_goes_on_along_its_path() -> None:
    scheduler = DPMSolverSDEScheduler()
    scheduler.set_timesteps(3)
    first, second = scheduler.timesteps[:2]
    sample = scheduler.step(X, first, X).prev_sample
    other = copy.deepcopy(scheduler)
    assert torch.equal(scheduler.step(X, second, sample).prev_sample, other.step(X, second, sample).prev_sample)


def test_sde_walks_with_one_seed_follow_one_path() -> None:
    walks = []
    for steps in (4, 40):
        scheduler = DPMSolverSDEScheduler(noise_sampler_seed=1, prediction_type="sample", use_exponential_sigmas=True)
        scheduler.set_timesteps(steps)
        sample = 0 * X
        for t in scheduler.timesteps[: len(scheduler.timesteps) // 2]:
            sample = scheduler.step(0 * X, t, sample).prev_sample
        walks.append(sample.flatten().numpy())
    assert np.corrcoef(walks)[0, 1] > 0.5
