"""The schedulers of Helios: tables that were written down, invariants, refusals."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

import numpy as np
import pytest
import torch

from calotype.core.errors import InvalidArgument
from calotype.schedulers import HeliosDMDScheduler, HeliosScheduler
from calotype.schedulers.helios_stages import suited_shift
from tests.tiny_helios import schedulers

ONE: dict[str, Any] = {"stages": 1, "stage_range": [0, 1]}
TOKENS = {"base": [8640], "mid": [540, 540, 2160], "distilled": [540, 540, 2160]}  # of 384x640


def laid(name: str, stage: int, steps: int, **options: Any) -> Any:
    """A scheduler of a checkpoint before one of its stages."""
    scheduler = schedulers()[name]
    if options.keys() & scheduler.config:
        scheduler = scheduler.from_config(scheduler.config, **options)
        options = {}
    mu = suited_shift(TOKENS[name][stage], scheduler.config)
    line = {"sigmas": np.linspace(0.999, 0, steps + 1)[:-1]} if name == "base" else {"stage_index": stage}
    scheduler.set_timesteps(steps, mu=mu, **line, **options)
    return scheduler


# -- tables ---------------------------------------------------------------------------------------------------------

# ori_start, start, end, first and last timestep, alpha, beta
STAGES = [
    (0.999, 0.999, 0.666333, 999.0, 743.511744, 1.0, 0.0),
    (0.666333, 0.7997597119, 0.333666, 743.256, 385.971642, 0.6001201441, 0.6926122274),
    (0.333666, 0.5003741566, 0.0, 385.614, 1.383615, 0.7498129217, 0.4333367311),
]


@pytest.mark.parametrize("made", [HeliosScheduler, HeliosDMDScheduler])
def test_stages_are_those_of_the_checkpoints(made: Any) -> None:
    for stage, told in zip(made().stages, STAGES, strict=True):
        ends = (stage.timesteps[0], stage.timesteps[-1])
        found = (stage.ori_start, stage.start, stage.end, *ends, stage.kept, stage.added)
        assert found == pytest.approx(told, abs=6e-11, rel=0)


@pytest.mark.parametrize(("tokens", "mu"), [(540, 0.5480729167), (2160, 0.8222916667), (8640, 1.9191666667)])
def test_the_shift_grows_with_the_picture(tokens: int, mu: float) -> None:
    assert suited_shift(tokens, {"use_dynamic_shifting": True}) == pytest.approx(mu, abs=6e-11)
    assert suited_shift(tokens, {"use_dynamic_shifting": False}) is None
    assert suited_shift(tokens, {"use_dynamic_shifting": True, "base_shift": 0.0, "max_shift": 0.0}) == 0


# checkpoint, stage, steps, options, then levels and timesteps as far as they were written down
AMPLIFIED = {"is_amplify_first_chunk": True}
WALKS: list[tuple[str, int, int, dict[str, Any], list[float], list[float]]] = [
    ("distilled", 0, 2, {}, [0.99817693, 0.35403514, 0], [998.534227, 833.963564]),
    ("distilled", 1, 2, {}, [0.99817693, 0.35403514, 0], [742.604645, 512.462859]),
    ("distilled", 2, 2, {}, [0.99878415, 0.45123993, 0], [385.146833, 174.763707]),
    *[
        ("distilled", 0, steps, told, [0.99817693, 0.62118927, 0.35403514, 0.15481845, 0], [998.534, 902.218, 833.964, 783.066])
        for steps, told in ((2, AMPLIFIED), (4, {}))
    ],
    ("distilled", 1, 2, AMPLIFIED, [0.99817693, 0.62118927, 0.35403514, 0.15481845, 0], [742.605, 607.913, 512.463, 441.286]),
    ("distilled", 2, 2, AMPLIFIED, [0.99878415, 0.71100826, 0.45123993, 0.21558017, 0], [385.147, 274.575, 174.764, 84.216]),
    ("distilled", 0, 1, {}, [0.99817693, 0], [998.534]),
    ("distilled", 1, 1, {}, [0.99817693, 0], [742.605]),
    ("distilled", 2, 1, {}, [0.99878415, 0], [385.147]),
    ("mid", 0, 2, {}, [0.99942169, 0.00172693, 0], [998.852249, 743.952954]),
    ("mid", 1, 2, {}, [0.99942169, 0.00172693, 0], [743.049380, 386.588646]),
    ("mid", 2, 2, {}, [0.99956033, 0.00227054, 0], [385.445065, 2.256025]),
    ("mid", 0, 2, {"time_shift_type": "linear"}, [0.99817693, 0.00054777, 0], []),
    ("mid", 0, 20, {}, [0.999422, 0.968343, 0.935823, 0.901758], [998.852, 990.912, 982.604, 973.900]),
    ("mid", 2, 20, {}, [0.999560, 0.975752, 0.950452], [385.445, 376.297]),
    ("base", 0, 50, {}, [0.999853, 0.996866, 0.993772, 0.990568, 0.987246], []),
    ("base", 0, 4, {}, [0.999853, 0.953193, 0.871822, 0.694071, 0], [999.853, 953.193, 871.822, 694.071]),
    ("base", 0, 4, {"time_shift_type": "linear"}, [0.999479, 0.851512, 0.656986, 0.389823, 0], []),
]  # fmt: skip
ENDS: list[tuple[str, int, int, list[float], list[float]]] = [
    ("mid", 0, 20, [0.089113, 0.001727, 0], [766.279, 743.953]),
    ("mid", 2, 20, [0.114022, 0.002271, 0], [45.194, 2.256]),
    ("base", 0, 50, [0.302920, 0.220986, 0.121995, 0], [302.920, 220.986, 121.995]),
]


def written(numbers: list[float]) -> float:
    """Half of the last digit of numbers that were written with as many of them."""
    digits = max(len(repr(number).partition(".")[2]) for number in numbers)
    return 0.501 * 10.0**-digits


@pytest.mark.parametrize(("name", "stage", "steps", "told", "levels", "timesteps"), WALKS, ids=str)
def test_walks_are_those_that_were_written_down(
    name: str, stage: int, steps: int, told: dict[str, Any], levels: list[float], timesteps: list[float]
) -> None:
    scheduler = laid(name, stage, steps, **told)
    assert scheduler.sigmas[: len(levels)].tolist() == pytest.approx(levels, rel=0, abs=written(levels))
    assert scheduler.sigmas[-1] == 0 and scheduler.sigmas.dtype == scheduler.timesteps.dtype == torch.float64
    if timesteps:
        assert scheduler.timesteps[: len(timesteps)].tolist() == pytest.approx(timesteps, rel=0, abs=written(timesteps))


@pytest.mark.parametrize(("name", "stage", "steps", "levels", "timesteps"), ENDS, ids=str)
def test_walks_end_as_was_written_down(
    name: str, stage: int, steps: int, levels: list[float], timesteps: list[float]
) -> None:
    scheduler = laid(name, stage, steps)
    assert scheduler.sigmas[-len(levels) :].tolist() == pytest.approx(levels, rel=0, abs=written(levels))
    assert scheduler.timesteps[-len(timesteps) :].tolist() == pytest.approx(timesteps, rel=0, abs=written(timesteps))


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_without_a_shift_the_distilled_steps_halve_the_noise(stage: int) -> None:
    scheduler = HeliosDMDScheduler()
    scheduler.set_timesteps(2, stage)
    assert scheduler.sigmas.tolist() == pytest.approx([0.999, 0.4999995, 0], abs=1e-12)
    wanted = [(999, 871.255872), (743.256, 564.613821), (385.614, 193.4988075)][stage]
    assert scheduler.timesteps.tolist() == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("kind", ["linear", "exponential"])
def test_shifted_levels_are_the_formulas(kind: str) -> None:
    scheduler = HeliosScheduler(use_dynamic_shifting=True, time_shift_type=kind)
    scheduler.set_timesteps(20, 1, mu=0.7)
    by = math.exp(0.7) if kind == "exponential" else 0.7
    levels = [by / (by + 1 / s - 1) for s in np.linspace(0.999, 0.000999, 20)]
    assert scheduler.sigmas[:-1].tolist() == pytest.approx(levels, abs=1e-10)
    times = [385.971642 + s * (743.256 - 385.971642) for s in levels]
    assert scheduler.timesteps.tolist() == pytest.approx(times, abs=1e-9)


def test_entering_a_stage_keeps_the_noise_white() -> None:
    """An enlarged picture's noise is the same in a whole block; what is added takes the sameness away."""
    for gamma in (1 / 3, 0.2):
        for stage in HeliosScheduler(gamma=gamma).stages[1:]:
            own = (stage.kept * stage.ori_start) ** 2
            assert own + stage.added**2 == pytest.approx(stage.start**2, abs=1e-12)  # the variance
            assert own - gamma * stage.added**2 == pytest.approx(0, abs=1e-12)  # the covariance within a block
            assert stage.kept * (1 - stage.ori_start) == pytest.approx(1 - stage.start, abs=1e-12)  # the picture


# -- steps ----------------------------------------------------------------------------------------------------------


def velocity(x: torch.Tensor, level: float, picture: torch.Tensor) -> torch.Tensor:
    """What a network says that knows the picture."""
    return (x - picture) / level


@pytest.mark.parametrize(
    "scheduler",
    [
        HeliosScheduler(),
        HeliosScheduler(solver_type="bh1", lower_order_final=False),
        HeliosScheduler(scheduler_type="euler"),
        HeliosDMDScheduler(),
    ],
)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_network_that_knows_the_picture_is_followed_to_it(scheduler: Any, steps: int) -> None:
    scheduler = copy.deepcopy(scheduler)
    scheduler.set_timesteps(steps, 1)
    x, picture = torch.randn(2, 1, 4, 3, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for t, level in zip(scheduler.timesteps, scheduler.sigmas.tolist(), strict=False):
        x = scheduler.step(velocity(x, level, picture), t, x).prev_sample
    torch.testing.assert_close(x, picture, rtol=0, atol=1e-6)


def test_pure_noise_is_a_place_to_start_from() -> None:
    for order in (1, 2, 3, 4):
        scheduler = HeliosScheduler(solver_order=order, **ONE)
        scheduler.set_timesteps(6)
        assert scheduler.sigmas[0] == 1
        x = torch.randn(1, 4, 3, 6, 4, generator=torch.Generator().manual_seed(0))
        for t in scheduler.timesteps:
            x = scheduler.step(x.tanh(), t, x).prev_sample
        assert x.isfinite().all()


@pytest.mark.parametrize("told", [False, True])
def test_distilled_steps_put_the_first_noise_back(told: bool) -> None:
    scheduler = HeliosDMDScheduler()
    scheduler.set_timesteps(3, 0)
    x, picture = torch.randn(2, 1, 4, 3, 6, 4, generator=torch.Generator().manual_seed(0))
    first = x
    for place, (t, there) in enumerate(zip(scheduler.timesteps, scheduler.sigmas.tolist()[1:], strict=True)):
        given = {"dmd_noisy_tensor": first, "cur_sampling_step": place} if told else {}
        x = scheduler.step(velocity(x, scheduler.sigmas[place].item(), picture), t, x, **given).prev_sample
        torch.testing.assert_close(x, (1 - there) * picture + there * first)


def test_a_distilled_stage_ends_in_the_type_of_the_network() -> None:
    scheduler = HeliosDMDScheduler()
    scheduler.set_timesteps(2, 0)
    x = torch.randn(1, 4, 3, 6, 4, generator=torch.Generator().manual_seed(0))
    types = []
    for t in scheduler.timesteps:
        x = scheduler.step(x.tanh().bfloat16(), t, x).prev_sample
        types.append(x.dtype)
    assert types == [torch.float32, torch.bfloat16]


@pytest.mark.parametrize("scheduler", [HeliosScheduler(), HeliosDMDScheduler()])
def test_a_new_stage_begins_without_a_past(scheduler: Any) -> None:
    def ends(scheduler: Any) -> torch.Tensor:
        scheduler.set_timesteps(4, 2)
        x = torch.randn(1, 4, 3, 6, 4, generator=torch.Generator().manual_seed(0))
        for t in scheduler.timesteps:
            x = scheduler.step(x.tanh(), t, x).prev_sample
        return x

    used = copy.deepcopy(scheduler)
    used.set_timesteps(3, 0)
    used.step(torch.ones(1, 4, 3, 12, 8), used.timesteps[0], torch.ones(1, 4, 3, 12, 8))
    assert torch.equal(ends(used), ends(copy.deepcopy(scheduler)))


def test_history_is_forgotten_when_told_to() -> None:
    scheduler = HeliosScheduler()
    scheduler.set_timesteps(4, 2)
    x = torch.ones(1, 4, 3, 6, 4)
    first = scheduler.step(x, scheduler.timesteps[0], x).prev_sample
    scheduler.step(x, scheduler.timesteps[1], x)
    scheduler.reset_scheduler_history()
    assert torch.equal(scheduler.step(x, scheduler.timesteps[0], x).prev_sample, first)


# -- refusals -------------------------------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"stages": 0}, "stages"),
    ({"stages": 2}, "stage_range: expected 3 numbers that rise from 0 to 1, as stages=2"),
    ({"stage_range": [0, 0.5, 0.5, 1]}, "stage_range"),
    ({"stage_range": [0.1, 0.4, 0.7, 1]}, "stage_range"),
    ({"stage_range": [0, 0.4, 0.7, 0.9]}, "stage_range"),
    ({"stage_range": [0, math.nan, 0.7, 1]}, "stage_range"),
    ({"stage_range": [0, 0.4, math.inf, 1]}, "stage_range"),
    ({"gamma": 0.5}, "gamma"),
    ({"gamma": 0.0}, "gamma"),
    ({"shift": 2.0, "use_dynamic_shifting": True}, "shift"),
    ({"shift": 0.0}, "shift"),
    ({"use_flow_sigmas": False}, "use_flow_sigmas"),
    ({"prediction_type": "epsilon"}, "prediction_type"),
    ({"time_shift_type": "zzz"}, "time_shift_type"),
]
ONLY_UNIPC: list[tuple[dict[str, Any], str]] = [
    ({"scheduler_type": "heun"}, "scheduler_type"),
    ({"solver_type": "zzz"}, "solver_type"),
    ({"solver_order": 0}, "solver_order"),
    ({"thresholding": True}, "thresholding"),
    ({"predict_x0": False}, "predict_x0"),
    ({"solver_p": 1}, "solver_p"),
]


@pytest.mark.parametrize(
    ("made", "options", "named"),
    [
        *[(made, options, named) for made in (HeliosScheduler, HeliosDMDScheduler) for options, named in REFUSED],
        *[(HeliosScheduler, options, named) for options, named in ONLY_UNIPC],
    ],
)
def test_options_that_contradict_each_other_are_refused_by_name(made: Any, options: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(named)):
        made(**options)


DYNAMIC = {"use_dynamic_shifting": True}


@pytest.mark.parametrize(
    ("options", "told", "named"),
    [
        ({}, {}, "stage_index"),
        ({}, {"stage_index": 3}, "stage_index"),
        ({}, {"stage_index": -1}, "stage_index"),
        ({}, {"stage_index": 0, "mu": 1.0}, "mu"),
        (DYNAMIC, {"stage_index": 0}, "mu"),
        ({}, {"stage_index": 0, "sigmas": [0.9, 0.5]}, "sigmas"),
        ({}, {"stage_index": 0, "num_inference_steps": 0}, "num_inference_steps"),
        (ONE, {"sigmas": [0.9, 0.5]}, "num_inference_steps"),
        (ONE, {"sigmas": [0.5, 0.9], "num_inference_steps": 2}, "sigmas[1]"),
    ],
)
@pytest.mark.parametrize("made", [HeliosScheduler, HeliosDMDScheduler])
def test_walks_that_cannot_be_are_refused_by_name(
    made: Any, options: dict[str, Any], told: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(named)):
        made(**options).set_timesteps(**{"num_inference_steps": 4} | told)


def test_only_a_distilled_walk_is_doubled() -> None:
    with pytest.raises(InvalidArgument, match="is_amplify_first_chunk: expected False"):
        HeliosScheduler().set_timesteps(2, 0, is_amplify_first_chunk=True)
    with pytest.raises(InvalidArgument, match="is_amplify_first_chunk: expected False beside sigmas"):
        HeliosDMDScheduler(**ONE).set_timesteps(2, sigmas=[0.9, 0.5], is_amplify_first_chunk=True)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"dmd_sigmas": torch.tensor([0.9, 0.5, 0.1])}, "dmd_sigmas"),
        ({"dmd_timesteps": torch.tensor([900.0, 500.0])}, "dmd_timesteps"),
        ({"all_timesteps": torch.tensor([900.0])}, "all_timesteps"),
        ({"cur_sampling_step": 1}, "cur_sampling_step"),
        ({"sample": None}, "sample"),
        ({"timestep": None}, "timestep"),
    ],
)
def test_a_step_of_another_walk_is_refused(given: dict[str, Any], named: str) -> None:
    scheduler = HeliosDMDScheduler()
    scheduler.set_timesteps(2, 0)
    x = torch.ones(1, 4, 3, 6, 4)
    with pytest.raises(InvalidArgument, match=named):
        scheduler.step(**{"model_output": x, "timestep": scheduler.timesteps[0], "sample": x} | given)


def test_a_walk_joined_later_asks_for_its_noise() -> None:
    scheduler = HeliosDMDScheduler()
    scheduler.set_timesteps(3, 0)
    scheduler.set_begin_index(1)
    x = torch.ones(1, 4, 3, 6, 4)
    with pytest.raises(InvalidArgument, match="dmd_noisy_tensor"):
        scheduler.step(x, scheduler.timesteps[1], x)


# -- files ----------------------------------------------------------------------------------------------------------


def test_a_distilled_config_may_say_what_kind_it_is(caplog: pytest.LogCaptureFixture) -> None:
    config = {"_class_name": "HeliosDMDScheduler", "scheduler_type": "dmd", **HeliosDMDScheduler().config}
    assert HeliosDMDScheduler.from_config(config).config.scheduler_type == "dmd"
    assert not caplog.records


def test_a_single_stage_is_the_whole_way_whatever_its_range() -> None:
    assert HeliosScheduler(stages=1).end_sigmas == HeliosScheduler(**ONE).end_sigmas == {0: 0.0}
