"""What holds for solvers whatever the peer does: exact solutions, invariants, refusals."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

import numpy as np
import pytest
import torch

from calotype import schedulers
from calotype.core.errors import InvalidArgument
from calotype.schedulers.grid import Point, beta_quantile
from calotype.schedulers.rows import Row, adams, ancestral, exponential, lagrange_integrals, logrho, unified

SD = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
NAMES = sorted(name for name in schedulers.__all__ if re.match("[A-Z].*Scheduler$", name))
NODES = [Point(0.8, 0.6), Point(0.6, 0.8), Point(0.3, 0.95), Point(0.1, 0.99)]  # newest first
THERE = Point(0.95, 0.3)


def make(name: str, **options: Any) -> Any:
    one = {"stages": 1, "stage_range": [0, 1]} if name.startswith("Helios") else {}  # a walk without stages
    return getattr(schedulers, name)(**one | options)


# -- rows -----------------------------------------------------------------------------------------------------------

CLEAN_ROWS: dict[str, Row] = {
    "ancestral": ancestral(NODES[0], THERE),
    **{
        f"exponential {order} {kind}": exponential(NODES[:order], THERE, "denoised", kind)
        for order in (1, 2, 3)
        for kind in ("midpoint", "heun")
    },
    **{
        f"unified {order} {kind} {arrived}": unified(NODES[:order], THERE, "denoised", kind, arrived)
        for order in (1, 2, 3, 4)
        for kind in ("bh1", "bh2")
        for arrived in (True, False)
    },
}
NOISE_ROWS: dict[str, Row] = {
    **{f"exponential {order}": exponential(NODES[:order], THERE, "noise") for order in (1, 2, 3)},
    **{f"unified {order}": unified(NODES[:order], THERE, "noise", "bh2", True) for order in (1, 2, 3, 4)},
    **{f"logrho {order}": logrho(NODES[:order], THERE) for order in (1, 2, 3)},
}


@pytest.mark.parametrize("row", CLEAN_ROWS.values(), ids=CLEAN_ROWS.keys())
def test_a_picture_that_stays_the_same_is_followed_exactly(row: Row) -> None:
    here, picture, noise = NODES[0], 0.7, -1.3
    moved = row.keep * (here.alpha * picture + here.sigma * noise) + sum(row.weights) * picture
    assert moved == pytest.approx(THERE.alpha * picture + THERE.sigma * noise, abs=1e-12)


@pytest.mark.parametrize("row", NOISE_ROWS.values(), ids=NOISE_ROWS.keys())
def test_a_noise_that_stays_the_same_is_followed_exactly(row: Row) -> None:
    here, picture, noise = NODES[0], 0.7, -1.3
    moved = row.keep * (here.alpha * picture + here.sigma * noise) + sum(row.weights) * noise
    assert moved == pytest.approx(THERE.alpha * picture + THERE.sigma * noise, abs=1e-12)


@pytest.mark.parametrize(
    "row",
    [ancestral(NODES[0], THERE, eta=1.0), exponential(NODES[:1], THERE, "denoised", sde=True)],
    ids=["ddpm", "sde"],
)
def test_fresh_noise_makes_up_for_the_noise_that_is_taken(row: Row) -> None:
    assert row.fresh is not None
    assert (row.keep * NODES[0].sigma) ** 2 + row.fresh**2 == pytest.approx(THERE.sigma**2, abs=1e-12)


@pytest.mark.parametrize("sde", [False, True])
def test_a_third_prediction_brings_the_step_nearer_to_the_integral(sde: bool) -> None:
    """The clean sample bends with lambda; its weighted integral over the step is known."""
    h, rate = 0.1, 2.0 if sde else 1.0
    points = [Point(1 / math.hypot(1, math.exp(-lam)), 1 / math.hypot(1, math.exp(lam))) for lam in (0, -h, -2 * h, h)]
    bent = [lam**2 for lam in (0, -h, -2 * h)]
    g = rate * h
    exact = points[3].alpha * (g * g - 2 * g + 2 - 2 * math.exp(-g)) / rate**2
    errors = []
    for order in (2, 3):
        row = exponential(points[:order], points[3], "denoised", "heun", sde)
        errors.append(abs(np.dot(row.weights, bent[:order]) - exact))
    assert errors[1] < 0.6 * errors[0]


@pytest.mark.parametrize("sde", [False, True])
def test_the_whole_second_derivative_makes_the_step_the_integral(sde: bool) -> None:
    h, rate = 0.7, 2.0 if sde else 1.0
    lams = (0, 0.3 * h, 0.6 * h, h)
    points = [Point(1 / math.hypot(1, math.exp(-lam)), 1 / math.hypot(1, math.exp(lam))) for lam in lams]
    row = exponential(points[:3], points[3], "denoised", "heun", sde, bent=1.0)
    g = rate * h
    exact = points[3].alpha * (g * g - 2 * g + 2 - 2 * math.exp(-g)) / rate**2
    assert np.dot(row.weights, [lam**2 for lam in lams[:3]]) == pytest.approx(exact, abs=1e-12)


def test_lagrange_integrals_are_exact_for_their_polynomials() -> None:
    at, end = [2.0, 3.5, 4.0, 6.0], 0.5
    weights = lagrange_integrals(at, end)
    for power in range(4):
        exact = (end ** (power + 1) - at[0] ** (power + 1)) / (power + 1)
        assert sum(w * x**power for w, x in zip(weights, at, strict=True)) == pytest.approx(exact, abs=1e-12)


def test_an_even_grid_gives_the_coefficients_of_adams_and_bashforth() -> None:
    row = adams([Point(1.0, sigma) for sigma in (3.0, 4.0, 5.0, 6.0)], Point(1.0, 2.0))
    assert row.weights == pytest.approx([-55 / 24, 59 / 24, -37 / 24, 9 / 24])


def test_beta_quantile_is_the_arcsine_law_at_one_half() -> None:
    p = np.linspace(0, 1, 41)
    assert beta_quantile(p, 0.5, 0.5) == pytest.approx(np.sin(np.pi * p / 2) ** 2, abs=1e-12)
    assert beta_quantile(p, 1.0, 3.0) == pytest.approx(1 - (1 - p) ** (1 / 3), abs=1e-12)


# -- walks ----------------------------------------------------------------------------------------------------------


def error_at_the_end(name: str, steps: int, options: dict[str, Any]) -> float:
    """How far a walk ends from the exact solution, for pictures that are normal with a deviation of one half."""
    scheduler = make(name, use_karras_sigmas=True, prediction_type="sample", **options, **SD)
    scheduler.set_timesteps(steps)
    points, spread = scheduler.grid.points, 0.5
    size = [math.hypot(point.alpha * spread, point.sigma) for point in points]
    x = torch.full((1, 1), size[0], dtype=torch.float64)
    for point, whole, t in zip(points, size, scheduler.timesteps, strict=False):
        x = scheduler.step(point.alpha * spread**2 / whole**2 * x, t, x).prev_sample
    return abs(float(x) / size[-1] - 1)


END: dict[str, Any] = {"final_sigmas_type": "sigma_min"}
FULL: dict[str, Any] = {"lower_order_final": False}


@pytest.mark.parametrize(
    ("name", "options", "order"),
    [
        ("EulerDiscreteScheduler", END, 1),
        *[("DPMSolverMultistepScheduler", END | FULL | {"solver_order": k}, k) for k in (1, 2)],
        *[
            ("DPMSolverMultistepScheduler", END | FULL | {"algorithm_type": "dpmsolver", "solver_order": k}, k)
            for k in (1, 2)
        ],
        *[("DPMSolverSinglestepScheduler", END | FULL | {"solver_order": k}, k) for k in (1, 2)],
        ("DPMSolverSinglestepScheduler", END | FULL | {"solver_order": 3, "solver_type": "heun"}, 3),
        # the corrector adds one order to the predictor's
        *[("UniPCMultistepScheduler", END | FULL | {"solver_order": k}, k + 1) for k in (1, 2, 3)],
        *[("DEISMultistepScheduler", FULL | {"solver_order": k}, k) for k in (1, 2, 3)],
    ],
)
def test_twice_the_steps_divide_the_error_by_two_to_the_order(name: str, options: dict[str, Any], order: int) -> None:
    coarse, fine = error_at_the_end(name, 40, options), error_at_the_end(name, 80, options)
    assert math.log2(coarse / fine) > order - 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_walks_alone(name: str) -> None:
    scheduler = make(name)
    scheduler.set_timesteps(4)
    before, alone = copy.deepcopy(scheduler), copy.deepcopy(scheduler)
    x = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    for t in alone.timesteps:
        alone.step(0.1 * alone.scale_model_input(x, t), t, x)
    assert scheduler.step_index is None
    assert not scheduler.history
    assert torch.equal(scheduler.timesteps, before.timesteps)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_step_answers_in_the_samples_own_type(name: str, dtype: torch.dtype) -> None:
    scheduler = make(name)
    scheduler.set_timesteps(4)
    x = torch.ones(1, 2, 4, 4, dtype=dtype)
    seen = scheduler.scale_model_input(x, scheduler.timesteps[0])
    moved = scheduler.step(0.1 * seen, scheduler.timesteps[0], x)
    assert (seen.dtype, moved.prev_sample.dtype) == (dtype, dtype)
    assert moved.prev_sample.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_walk_with_a_known_beginning_counts_its_steps(name: str) -> None:
    scheduler = make(name)
    scheduler.set_timesteps(4)
    scheduler.set_begin_index(0)
    x = torch.ones(1, 2, 4, 4)
    for place, t in enumerate(scheduler.timesteps):
        assert scheduler.step_index == (place or None)
        x = scheduler.step(0.1 * x, t, x, return_dict=False)[0]
    with pytest.raises(InvalidArgument, match="step_index"):
        scheduler.step(0.1 * x, scheduler.timesteps[-1], x)


@pytest.mark.parametrize("name", ["DDIMScheduler", "DDPMScheduler"])
def test_a_solver_without_a_past_may_repeat_steps(name: str) -> None:
    scheduler = make(name)
    scheduler.set_timesteps(5)
    x = torch.ones(1, 1, 2, 2)
    first, again = (
        scheduler.step(0.1 * x, scheduler.timesteps[2], x, generator=torch.Generator().manual_seed(0)).prev_sample
        for _ in range(2)
    )
    assert torch.equal(first, again)


def test_a_last_step_of_no_length_leaves_the_sample_alone() -> None:
    scheduler = make("DPMSolverMultistepScheduler", use_karras_sigmas=True, final_sigmas_type="sigma_min")
    scheduler.set_timesteps(6)
    scheduler.set_begin_index(5)
    x = torch.randn(1, 1, 2, 2)
    assert torch.allclose(scheduler.step(x.cos(), scheduler.timesteps[-1], x).prev_sample, x, atol=1e-6)


def test_unipc_of_the_first_kind_reaches_zero_noise() -> None:
    scheduler = make("UniPCMultistepScheduler", solver_type="bh1", lower_order_final=False, solver_order=3)
    scheduler.set_timesteps(6)
    x = torch.ones(1, 1, 2, 2)
    for t in scheduler.timesteps:
        moved = scheduler.step(0.1 * x, t, x)
        x = moved.prev_sample
    assert torch.allclose(x, moved.pred_original_sample)


def test_deis_along_a_flow_ends_at_a_clean_picture() -> None:
    scheduler = make("DEISMultistepScheduler", use_flow_sigmas=True, prediction_type="flow_prediction")
    scheduler.set_timesteps(5)
    assert float(scheduler.sigmas[-1]) < 0.02


def test_unipc_leaves_predicting_to_the_solver_it_was_given() -> None:
    scheduler = make(
        "UniPCMultistepScheduler", solver_p=make("DDIMScheduler", clip_sample=False), disable_corrector=[0, 1]
    )
    scheduler.set_timesteps(4)
    x, out = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.3)
    ddim = make("DDIMScheduler", clip_sample=False)
    ddim.set_timesteps(4)
    scheduler.solver_p.timesteps = scheduler.timesteps
    t = ddim.timesteps[0]
    scheduler.solver_p.set_begin_index(0)
    assert torch.equal(scheduler.step(out, scheduler.timesteps[0], x).prev_sample, ddim.step(out, t, x).prev_sample)


@pytest.mark.parametrize("kind", ["fixed_large_log", "learned"])
def test_every_variance_of_ddpm_is_a_number(kind: str) -> None:
    scheduler = make("DDPMScheduler", variance_type=kind)
    scheduler.set_timesteps(5)
    x = torch.ones(1, 1, 2, 2)
    out = -torch.ones(1, 2, 2, 2) if kind == "learned" else x
    assert scheduler.step(out, scheduler.timesteps[1], x).prev_sample.isfinite().all()


def test_euler_reads_velocities_at_training_timesteps() -> None:
    euler, ddim = make("EulerDiscreteScheduler"), make("DDIMScheduler")
    euler.set_timesteps(4)
    x, noise = torch.randn(2, 1, 1, 2, 2).unbind()
    t = euler.timesteps[1:2]
    assert torch.equal(euler.get_velocity(x, noise, t), ddim.get_velocity(x, noise, t.long()))


def test_thresholding_keeps_each_picture_within_its_own_bounds() -> None:
    scheduler = make("DDIMScheduler", thresholding=True, prediction_type="sample", sample_max_value=4.0)
    scheduler.set_timesteps(4)
    x = torch.randn(2, 3, 8, 8) * torch.tensor([0.1, 2.0]).reshape(2, 1, 1, 1)
    denoised = scheduler.step(x, scheduler.timesteps[0], x).pred_original_sample
    assert torch.allclose(denoised[0], x[0])
    assert denoised[1].abs().max() == 1


# -- refusals -------------------------------------------------------------------------------------------------------

SET = "set_timesteps"
REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    *[
        ("DDIMScheduler", {}, {"num_inference_steps": n}, "num_inference_steps")
        for n in (0, -3, 2.5, None, "20", True, 1001)
    ],
    ("EulerDiscreteScheduler", {}, {"timesteps": []}, "timesteps"),
    ("EulerDiscreteScheduler", {}, {"timesteps": [100, 500]}, "timesteps[1]"),
    ("EulerDiscreteScheduler", {}, {"timesteps": [500, 500]}, "timesteps[1]"),
    ("EulerDiscreteScheduler", {}, {"timesteps": [1000, 500]}, "timesteps[0]"),
    ("EulerDiscreteScheduler", {}, {"timesteps": [500, math.nan]}, "timesteps[1]"),
    ("EulerDiscreteScheduler", {}, {"timesteps": [500, -1]}, "timesteps[1]"),
    ("EulerDiscreteScheduler", {}, {"timesteps": ["a"]}, "timesteps"),
    ("EulerDiscreteScheduler", {}, {"timesteps": [[500], [100]]}, "timesteps"),
    ("EulerDiscreteScheduler", {}, {"sigmas": [5.0, math.inf]}, "sigmas[1]"),
    ("EulerDiscreteScheduler", {}, {"sigmas": [math.inf, 5.0]}, "sigmas[0]"),
    ("EulerDiscreteScheduler", {}, {"sigmas": [5.0]}, "sigmas"),
    ("EulerDiscreteScheduler", {}, {"sigmas": [5.0, 0.0], "timesteps": [500]}, "timesteps, sigmas"),
    ("EulerDiscreteScheduler", {}, {"sigmas": [5.0, 0.0], "num_inference_steps": 7}, "num_inference_steps"),
    ("EulerDiscreteScheduler", {"use_karras_sigmas": True}, {"timesteps": [500]}, "timesteps"),
    ("EulerDiscreteScheduler", {"use_karras_sigmas": True, "use_beta_sigmas": True}, {}, "use_karras_sigmas"),
    ("EulerDiscreteScheduler", {"use_karras_sigmas": True, "sigma_min": 9.0, "sigma_max": 1.0}, {}, "sigma_min"),
    ("EulerDiscreteScheduler", {"interpolation_type": "cubic"}, {}, "interpolation_type"),
    (
        "EulerDiscreteScheduler",
        {"timestep_type": "continuous", "prediction_type": "v_prediction"},
        {"timesteps": [500]},
        "timesteps",
    ),
    *[
        ("DDPMScheduler", {option: "zzz"}, {}, option)
        for option in ("prediction_type", "beta_schedule", "timestep_spacing", "variance_type")
    ],
    ("DDPMScheduler", {"num_train_timesteps": 0}, {}, "num_train_timesteps"),
    ("DDPMScheduler", {"beta_end": math.nan}, {}, "beta_end"),
    ("DDPMScheduler", {"beta_end": 1.5}, {}, "beta_end"),
    ("DDPMScheduler", {"trained_betas": [0.1, -0.1], "num_train_timesteps": 2}, {}, "trained_betas"),
    ("DDPMScheduler", {"trained_betas": [0.1, 0.1]}, {}, "trained_betas"),
    ("DDIMScheduler", {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}, {}, "rescale_betas_zero_snr"),
    ("DDIMScheduler", {"steps_offset": 1}, {"num_inference_steps": 1000}, "steps_offset"),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "zzz"}, {}, "algorithm_type"),
    ("DPMSolverMultistepScheduler", {"solver_type": "zzz"}, {}, "solver_type"),
    ("DPMSolverMultistepScheduler", {"solver_order": 4}, {}, "solver_order"),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver"}, {}, "final_sigmas_type"),
    ("DPMSolverMultistepScheduler", {"lambda_min_clipped": math.nan}, {}, "lambda_min_clipped"),
    ("DPMSolverMultistepScheduler", {"final_sigmas_type": "zzz"}, {}, "final_sigmas_type"),
    (
        "DPMSolverMultistepScheduler",
        {"timestep_spacing": "leading"},
        {"num_inference_steps": 1000},
        "num_inference_steps",
    ),
    ("DPMSolverMultistepScheduler", {"prediction_type": "flow_prediction"}, {}, "prediction_type"),
    (
        "DPMSolverMultistepScheduler",
        {"prediction_type": "v_prediction", "use_flow_sigmas": True},
        {},
        "prediction_type",
    ),
    ("DPMSolverMultistepScheduler", {}, {"mu": 1.0}, "mu"),
    ("UniPCMultistepScheduler", {"use_flow_sigmas": True, "use_dynamic_shifting": True}, {}, "mu"),
    ("UniPCMultistepScheduler", {"shift_terminal": 0.1}, {}, "shift_terminal"),
    ("UniPCMultistepScheduler", {}, {"sigmas": [0.9, 0.5]}, "sigmas"),
    ("UniPCMultistepScheduler", {"use_flow_sigmas": True}, {"sigmas": [1.5, 0.5]}, "sigmas[0]"),
]


@pytest.mark.parametrize(("name", "options", "walk", "named"), REFUSED)
def test_a_walk_that_cannot_be_is_refused_by_name(
    name: str, options: dict[str, Any], walk: dict[str, Any], named: str
) -> None:
    by_hand = {"timesteps", "sigmas", "num_inference_steps"} & set(walk)
    with pytest.raises(InvalidArgument, match=re.escape(named)):
        make(name, **options).set_timesteps(**(walk if by_hand else walk | {"num_inference_steps": 5}))


@pytest.mark.parametrize("eta", [-0.1, 1.5, math.nan])
def test_an_eta_that_means_nothing_is_refused(eta: float) -> None:
    scheduler = make("DDIMScheduler")
    scheduler.set_timesteps(4)
    with pytest.raises(InvalidArgument, match="eta: expected a number from 0 to 1"):
        scheduler.step(torch.ones(1, 1, 2, 2), scheduler.timesteps[0], torch.ones(1, 1, 2, 2), eta=eta)


@pytest.mark.parametrize("name", NAMES)
def test_an_output_of_another_shape_is_refused(name: str) -> None:
    scheduler = make(name)
    scheduler.set_timesteps(4)
    with pytest.raises(InvalidArgument, match="model_output"):
        scheduler.step(torch.ones(1, 1, 4, 4), scheduler.timesteps[0], torch.ones(1, 3, 4, 4))


@pytest.mark.parametrize("name", NAMES)
def test_a_timestep_that_is_not_of_the_walk_is_refused(name: str) -> None:
    scheduler = make(name)
    scheduler.set_timesteps(4)
    with pytest.raises(InvalidArgument, match=r"timestep: expected one of scheduler\.timesteps"):
        scheduler.step(torch.ones(1, 1, 2, 2), 333.25, torch.ones(1, 1, 2, 2))


# -- files and kin --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_scheduler_comes_back_the_same(name: str, tmp_path: Any) -> None:
    scheduler = make(name, num_train_timesteps=500)
    scheduler.save_pretrained(tmp_path)
    back = type(scheduler).from_pretrained(tmp_path)
    assert back.num_inference_steps is None
    assert len(back) == 500
    public = [{k: v for k, v in s.config.items() if not k.startswith("_")} for s in (scheduler, back)]
    assert public[0] == public[1]


def test_kin_know_each_other() -> None:
    kin = [cls.__name__ for cls in make("DDIMScheduler").compatibles]
    assert set(kin) <= set(schedulers.KarrasDiffusionSchedulers.__members__)
    assert {"DDIMScheduler", "EulerDiscreteScheduler", "UniPCMultistepScheduler"} <= set(kin)


def test_options_of_kin_are_kept_for_the_way_back() -> None:
    there = schedulers.EulerDiscreteScheduler.from_config(make("DDIMScheduler", set_alpha_to_one=False).config)
    assert there.config.set_alpha_to_one is False
    assert schedulers.DDIMScheduler.from_config(there.config).config.set_alpha_to_one is False


def test_an_option_set_in_a_config_counts_from_the_next_walk_on() -> None:
    scheduler = make("DDIMScheduler", timestep_spacing="leading")
    scheduler.set_timesteps(4)
    scheduler.config.timestep_spacing = "trailing"
    assert scheduler.timesteps.tolist() == [750, 500, 250, 0]
    scheduler.set_timesteps(4)
    assert scheduler.timesteps.tolist() == [999, 749, 499, 249]
    assert type(scheduler).from_config(scheduler.config).config.timestep_spacing == "trailing"
