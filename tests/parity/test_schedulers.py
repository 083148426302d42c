"""Every solver against the peer's: the same walk, the same samples, the same draws."""

from __future__ import annotations

import copy
import inspect
import json
from typing import Any

import diffusers
import numpy as np
import pytest
import scipy.stats
import torch
from diffusers.utils import torch_utils

from calotype import schedulers
from calotype.ops.random import randn_tensor
from calotype.schedulers.grid import beta_quantile

V = {"prediction_type": "v_prediction"}
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}
SD = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
LEADING = {"timestep_spacing": "leading", "steps_offset": 1}
TRAILING = {"timestep_spacing": "trailing"}
SPACINGS: list[dict[str, Any]] = [{}, LEADING, TRAILING, {"timestep_spacing": "linspace"}]
RAMPS: list[dict[str, Any]] = [
    {"use_karras_sigmas": True},
    {"use_exponential_sigmas": True},
    {"use_beta_sigmas": True},
    {"use_karras_sigmas": True, **LEADING},
]
CURVES: list[dict[str, Any]] = [
    SD,
    {"beta_schedule": "squaredcos_cap_v2"},
    {"trained_betas": np.linspace(1e-4, 0.03, 500).tolist(), "num_train_timesteps": 500},
]
CLIPPED: list[dict[str, Any]] = [
    {"clip_sample": True, "clip_sample_range": 0.7},
    {"thresholding": True, "sample_max_value": 1.5, "dynamic_thresholding_ratio": 0.9, **V},
]

FLOW_SWITCHES = (
    "invert_sigmas",
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "stochastic_sampling",
)


def following(scheduler: Any, place: int) -> int | None:
    """The next timestep, as the priors tell it to their scheduler."""
    return int(scheduler.timesteps[place + 1]) if place + 1 < len(scheduler.timesteps) else None


# class, then the option sets; keys with a leading "/" go to step(), with "@" to set_timesteps(); functions are asked
TABLE: dict[str, list[dict[str, Any]]] = {
    "DDIMScheduler": [
        *SPACINGS,
        *CURVES,
        *CLIPPED,
        V | {"clip_sample": False},
        {"prediction_type": "sample"},
        {"/eta": 1.0, "clip_sample": False},
        {"/eta": 0.4, **LEADING},
        {"/use_clipped_model_output": True, **TRAILING},
        {"set_alpha_to_one": False},
        V | TRAILING | {"rescale_betas_zero_snr": True, "clip_sample": False},
    ],
    "EulerDiscreteScheduler": [
        *SPACINGS,
        *CURVES,
        *RAMPS,
        V,
        {"prediction_type": "sample"},
        {"/s_churn": 3.0, "/s_tmin": 0.5, "/s_tmax": 50.0, "/s_noise": 1.01},
        V | {"/s_churn": 3.0},
        {"interpolation_type": "log_linear"},
        {"interpolation_type": "log_linear", "use_karras_sigmas": True, **LEADING},
        V | {"timestep_type": "continuous"},
        V | {"timestep_type": "continuous", "use_karras_sigmas": True, "sigma_min": 0.01, "sigma_max": 50.0},
        {"final_sigmas_type": "sigma_min", **TRAILING},
        {"@timesteps": [900, 500, 100]},
        {"@timesteps": [900, 500, 100], "interpolation_type": "log_linear"},
        {"@sigmas": [50.0, 5.0, 0.5, 0.0]},
        {"@sigmas": [50.0, 5.0, 0.5, 0.1], "use_karras_sigmas": True},
        V | TRAILING | {"rescale_betas_zero_snr": True},
    ],
    "DPMSolverMultistepScheduler": [
        *SPACINGS,
        *CURVES,
        *RAMPS,
        CLIPPED[1],
        V,
        {"prediction_type": "sample"},
        *[
            {"algorithm_type": kind, "solver_type": solver, "solver_order": order, "final_sigmas_type": "sigma_min"}
            for kind in ("dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++")
            for solver in ("midpoint", "heun")
            for order in (1, 2, 3)
            if not (kind.startswith("sde") and order == 3)  # wrong or missing there: see docs/differences.md
        ],
        *[{"solver_order": order, "euler_at_final": True, "@num_inference_steps": 17} for order in (2, 3)],
        {"lower_order_final": False, "final_sigmas_type": "sigma_min", "solver_order": 3},
        {"solver_order": 3, "lower_order_final": False},
        {"use_lu_lambdas": True},
        {"lambda_min_clipped": -2.0},
        {"lambda_min_clipped": -2.0, **LEADING},
        {"lambda_min_clipped": -2.0, **TRAILING},
        FLOW,
        FLOW | {"flow_shift": 3.0, "solver_order": 3, "@num_inference_steps": 20},
        FLOW | {"use_dynamic_shifting": True, "@mu": 1.2},
        FLOW | {"final_sigmas_type": "sigma_min"},
        FLOW | {"prediction_type": "epsilon"},
        {"@timesteps": [900, 500, 100]},
        {"rescale_betas_zero_snr": True, **V},
        {"rescale_betas_zero_snr": True, "use_karras_sigmas": True, **V},
        {"variance_type": "learned_range"},
    ],
    "DDPMScheduler": [
        *SPACINGS,
        *CURVES,
        *CLIPPED,
        *[
            {"variance_type": kind, "clip_sample": False}
            for kind in ("fixed_small", "fixed_small_log", "fixed_large", "learned", "learned_range")
        ],
        {"beta_schedule": "sigmoid"},
        {"beta_schedule": "laplace"},
        {"@timesteps": [900, 500, 100, 3], "variance_type": "fixed_large"},
        {"num_train_timesteps": 12, "beta_end": 0.3, "@num_inference_steps": 12, "clip_sample": False},
        V | TRAILING | {"rescale_betas_zero_snr": True, "clip_sample": False},
    ],
    "EulerAncestralDiscreteScheduler": [*SPACINGS, *CURVES, V, V | TRAILING | {"rescale_betas_zero_snr": True}],
    "DEISMultistepScheduler": [
        *SPACINGS,
        *CURVES,
        *RAMPS,
        CLIPPED[1],
        V,
        {"prediction_type": "sample"},
        {"solver_order": 1},
        {"solver_order": 3},
        {"solver_order": 3, "@num_inference_steps": 17},
        {"lower_order_final": False},
    ],
    "UniPCMultistepScheduler": [
        *SPACINGS,
        *CURVES,
        *RAMPS,
        CLIPPED[1],
        V,
        {"prediction_type": "sample"},
        *[
            {"solver_type": kind, "solver_order": order, "predict_x0": x0, "final_sigmas_type": "sigma_min"}
            for kind in ("bh1", "bh2")
            for order in (1, 2, 3, 4)
            for x0 in (True, False)
        ],
        {"disable_corrector": [0, 3]},
        {"lower_order_final": False, "final_sigmas_type": "sigma_min", "@num_inference_steps": 17},
        {"use_karras_sigmas": True, "sigma_min": 0.1, "sigma_max": 30.0},
        {"rescale_betas_zero_snr": True, **V},
        FLOW,
        FLOW | {"flow_shift": 3.0, "solver_order": 3, "@num_inference_steps": 20},
        FLOW | {"shift_terminal": 0.1},
        FLOW | {"use_dynamic_shifting": True, "@mu": 1.2},
        FLOW | {"flow_shift": 2.0, "@sigmas": np.array([1.0, 0.8, 0.3, 0.1])},
        FLOW | {"prediction_type": "sample"},
    ],
    "PNDMScheduler": [
        *[
            options | {"skip_prk_steps": skip}
            for skip in (True, False)
            for options in [*SPACINGS, *CURVES, V, V | LEADING, {"set_alpha_to_one": True}]
        ],
        *[{"skip_prk_steps": True, "@num_inference_steps": count} for count in (2, 3)],
    ],
    "LMSDiscreteScheduler": [
        *SPACINGS,
        *CURVES,
        *RAMPS,
        V,
        {"prediction_type": "sample"},
        {"/order": 2},
        {"/order": 6},
    ],
    "HeunDiscreteScheduler": [
        *SPACINGS,
        *[
            curve | LEADING for curve in CURVES
        ],  # a cosine's last levels, above 10,000, are too far for the peer's float32
        *RAMPS,
        V,
        {"prediction_type": "sample"},
        CLIPPED[0],
        CLIPPED[0] | V,
        *[{"@num_train_timesteps": 700, "@num_inference_steps": 7} | spacing for spacing in SPACINGS],
        {"@timesteps": [900, 500, 100]},
    ],
    "KDPM2DiscreteScheduler": [
        *SPACINGS,
        *CURVES,
        *RAMPS,
        V,
        {"@num_train_timesteps": 700},
    ],
    "KDPM2AncestralDiscreteScheduler": [
        *SPACINGS,
        *[
            curve | LEADING for curve in CURVES
        ],  # a cosine's last levels, above 10,000, are too far for the peer's float32
        *[ramp | LEADING for ramp in RAMPS[:3]],
        V,
        {"@num_train_timesteps": 700},
    ],
    "DPMSolverSinglestepScheduler": [
        *[{"solver_order": order, "@num_inference_steps": count} for order in (1, 2, 3) for count in (3, 4, 5, 6, 20)],
        *CURVES,
        *RAMPS[:3],
        CLIPPED[1],
        V,
        {"prediction_type": "sample"},
        *[
            {
                "algorithm_type": kind,
                "solver_type": solver,
                "solver_order": order,
                "final_sigmas_type": "sigma_min",
                "lower_order_final": lower,
                "@num_inference_steps": 6,
            }
            for kind in ("dpmsolver", "dpmsolver++", "sde-dpmsolver++")
            for solver in ("midpoint", "heun")
            for order in (1, 2, 3)
            for lower in (True, False)
            if (kind, solver, order) != ("sde-dpmsolver++", "heun", 3)  # wrong there: see docs/differences.md
        ],
        {"lambda_min_clipped": -2.0},
        FLOW,
        FLOW | {"flow_shift": 3.0, "solver_order": 3, "@num_inference_steps": 20},
        FLOW | {"use_dynamic_shifting": True, "@mu": 1.2},
        FLOW | {"final_sigmas_type": "sigma_min"},
        {"@timesteps": [900, 500, 100]},
        {"variance_type": "learned_range"},
    ],
    "LCMScheduler": [
        {},
        *CURVES,
        *CLIPPED,
        {"clip_sample": True, "prediction_type": "sample", "timestep_scaling": 3.0},
        V | {"rescale_betas_zero_snr": True},
        {"original_inference_steps": 30, "timestep_spacing": "trailing", "steps_offset": 1, "set_alpha_to_one": False},
        {"@original_inference_steps": 30, "@strength": 0.5},
        {"@timesteps": [999, 759, 499, 259]},
    ],
    "TCDScheduler": [
        {},
        *CURVES,
        *[
            {"/eta": eta, "prediction_type": kind}
            for eta in (0.0, 1.0)
            for kind in ("epsilon", "sample", "v_prediction")
        ],
        V | {"rescale_betas_zero_snr": True},
        {"original_inference_steps": 30, "@strength": 0.5},
        {"@original_inference_steps": 30, "@strength": 0.5},
        {"@timesteps": [999, 759, 499, 259]},
    ],
    "UnCLIPScheduler": [
        *[
            {"variance_type": variance, "prediction_type": kind, "clip_sample": clip, "/prev_timestep": there}
            for variance in ("fixed_small_log", "learned_range")
            for kind in ("epsilon", "sample")
            for clip in (False, True)
            for there in (None, following)
        ],
        {"clip_sample_range": 5.0, "num_train_timesteps": 500, "/prev_timestep": following},
    ],
    "FlowMatchEulerDiscreteScheduler": [
        {},
        {"shift": 3.0},
        {"shift": 3.0, "num_train_timesteps": 500},
        *[{"shift": 3.0, "shift_terminal": 0.1, name: True} for name in FLOW_SWITCHES],
        *[{"use_dynamic_shifting": True, "time_shift_type": kind, "@mu": 0.8} for kind in ("exponential", "linear")],
        {"use_dynamic_shifting": True, "shift_terminal": 0.02, "@mu": 0.8, "@sigmas": [1.0, 0.5, 0.25]},
        {"shift": 3.0, "@sigmas": [0.9, 0.6, 0.3]},
        {"shift": 3.0, "@timesteps": [1000, 700, 300]},
        {"shift": 3.0, "@timesteps": [1000, 700, 300], "@sigmas": [0.9, 0.6, 0.3], "use_karras_sigmas": True},
        {"/s_churn": 3.0, "/s_noise": 1.2},
    ],
    "DPMSolverSDEScheduler": [
        *[spacing | {"noise_sampler_seed": 3} for spacing in SPACINGS],
        *[curve | {"noise_sampler_seed": 3} for curve in CURVES],
        *[ramp | {"noise_sampler_seed": 4} for ramp in RAMPS],
        {},
        V | {"/s_noise": 0.7},
        {"noise_sampler_seed": 2**40},
        {"@num_train_timesteps": 700, "noise_sampler_seed": 5},
    ],
}
ROWS = [(name, options) for name, rows in TABLE.items() for options in rows]
NAMED = [f"{name} {', '.join(f'{key}={value}'[:40] for key, value in options.items())}" for name, options in ROWS]


def split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Options of the constructor, of ``set_timesteps`` and of ``step``."""
    made = {key: value for key, value in options.items() if key[0] not in "@/"}
    laid = {key[1:]: value for key, value in options.items() if key[0] == "@"}
    if "timesteps" not in laid and "sigmas" not in laid:
        laid.setdefault("num_inference_steps", 7)
    return made, laid, {key[1:]: value for key, value in options.items() if key[0] == "/"}


LAID: dict[str, tuple[Any, Any]] = {}  # some of the peer's take long to make


def pair(name: str, options: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Our scheduler and the peer's before their first step, and what to tell each step."""
    made, laid, stepped = split(options)
    if (row := f"{name} {options}") not in LAID:
        LAID[row] = getattr(schedulers, name)(**made), getattr(diffusers, name)(**made)
        for scheduler in LAID[row]:
            scheduler.set_timesteps(**laid)
    return *copy.deepcopy(LAID[row]), stepped


def network(x: torch.Tensor, t: torch.Tensor, learned: bool) -> torch.Tensor:
    """Something smooth that depends on the sample and the time."""
    out = 0.5 * torch.tanh(x + 0.2 * x.roll(1, -1)) + 0.3 * torch.cos(x + float(t) / 300)
    return torch.cat([out, 0.4 + 0.3 * torch.sin(x)], dim=1) if learned else out


def walk(scheduler: Any, stepped: dict[str, Any], begin: int | None = None) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Every sample of a walk, and a draw from the generator as the walk left it."""
    generator = torch.manual_seed(0)  # also the one of solvers that draw their own seed
    x = torch.randn(2, 3, 6, 6, generator=generator) * getattr(scheduler, "init_noise_sigma", 1.0)
    learned = (scheduler.config.get("variance_type") or "").startswith("learned")
    if "generator" in inspect.signature(scheduler.step).parameters:
        stepped = stepped | {"generator": generator}
    if begin is not None and hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    samples = []
    scaled = getattr(scheduler, "scale_model_input", lambda x, t: x)
    for place, t in enumerate(scheduler.timesteps[begin or 0 :], begin or 0):
        told = {key: value(scheduler, place) if callable(value) else value for key, value in stepped.items()}
        x = scheduler.step(network(scaled(x, t), t, learned), t, x, **told).prev_sample
        samples.append(x)
    return samples, torch.randn(4, generator=generator)


def assert_close(ours: torch.Tensor, peers: torch.Tensor, tolerance: float = 2e-5) -> None:
    assert torch.isfinite(peers).all(), "the peer has no answer here"
    bound = tolerance * max(1.0, float(peers.abs().max()))
    torch.testing.assert_close(ours, peers, rtol=0, atol=bound)


@pytest.mark.parametrize(("name", "options"), ROWS, ids=NAMED)
def test_walk_is_the_peers(name: str, options: dict[str, Any]) -> None:
    ours, peers, stepped = pair(name, options)
    theirs = peers.timesteps.float() if peers.timesteps.dtype == torch.float64 else peers.timesteps  # ours are narrow
    assert ours.timesteps.dtype == theirs.dtype
    torch.testing.assert_close(ours.timesteps, theirs, rtol=1e-6, atol=2e-4)
    if hasattr(peers, "sigmas"):
        torch.testing.assert_close(ours.sigmas, peers.sigmas[: len(ours.sigmas)], rtol=1e-5, atol=1e-6)
    assert float(ours.init_noise_sigma) == pytest.approx(float(getattr(peers, "init_noise_sigma", 1.0)))
    (mine, my_draw), (theirs, their_draw) = walk(ours, stepped), walk(peers, stepped)
    for a, b in zip(mine, theirs, strict=True):
        assert_close(a, b)
    assert torch.equal(my_draw, their_draw), "the walk drew another number of times"


@pytest.mark.parametrize(("name", "options"), ROWS, ids=NAMED)
def test_walk_begun_in_the_middle_is_the_peers(name: str, options: dict[str, Any]) -> None:
    ours, peers, stepped = pair(name, options)
    begin = 2 * ours.order if len(ours.timesteps) > 2 * ours.order else ours.order
    (mine, _), (theirs, _) = walk(ours, stepped, begin), walk(peers, stepped, begin)
    assert_close(mine[-1], theirs[-1])


@pytest.mark.parametrize("begin", [None, 2])
@pytest.mark.parametrize(("name", "options"), ROWS, ids=NAMED)
def test_noise_is_added_as_the_peer_adds_it(name: str, options: dict[str, Any], begin: int | None) -> None:
    ours, peers, _ = pair(name, options)
    x, noise = torch.randn(2, 3, 3, 4, 4, generator=torch.Generator().manual_seed(1)).unbind()
    for scheduler in (ours, peers):
        if begin is not None and hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(begin)
    t, theirs = (s.timesteps[(begin or 0) : (begin or 0) + 1].repeat(3) for s in (ours, peers))
    if hasattr(peers, "scale_noise"):
        assert_close(ours.scale_noise(x, t, noise), peers.scale_noise(x, theirs, noise), 1e-6)
    else:
        assert_close(ours.add_noise(x, noise, t), peers.add_noise(x, noise, theirs), 1e-6)
    if ours.by_timestep and hasattr(peers, "get_velocity"):  # the peer's Euler reads places of the walk as timesteps
        assert_close(ours.get_velocity(x, noise, t), peers.get_velocity(x, noise, t), 1e-6)


@pytest.mark.parametrize("begin", [0, 1])
@pytest.mark.parametrize("name", sorted(name for name in TABLE if hasattr(getattr(diffusers, name), "add_noise")))
def test_inpainting_between_the_steps_is_the_peers(name: str, begin: int) -> None:
    """Samples are replaced after each evaluation, inputs scaled more than once, and the scheduler copied on the way."""
    ours, peers, stepped = pair(name, TABLE[name][0])
    begin *= ours.order
    x, picture, noise = torch.randn(3, 2, 3, 6, 6, generator=torch.Generator().manual_seed(1)).unbind()
    painted = torch.rand(6, 6, generator=torch.Generator().manual_seed(2)) > 0.5
    samples: list[torch.Tensor] = []
    for scheduler in (ours, peers):
        if "generator" in inspect.signature(scheduler.step).parameters:
            stepped = stepped | {"generator": torch.Generator().manual_seed(0)}
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(begin)
        left = scheduler.timesteps[begin:]
        sample = scheduler.add_noise(picture, x, left[:1].repeat(2))
        for i, t in enumerate(left):
            if scheduler is not peers or name != "DPMSolverSDEScheduler":  # its path of noise cannot be copied there
                scheduler = copy.deepcopy(scheduler)
            for _ in range(2):
                seen = scheduler.scale_model_input(sample, t)
            sample = scheduler.step(network(seen, t, False), t, sample, **stepped).prev_sample
            if i + 1 < len(left):
                sample = torch.where(
                    painted, sample, scheduler.add_noise(picture, noise, left[i + 1 : i + 2].repeat(2))
                )
        samples.append(sample)
    assert_close(*samples)


ALIASED = ("DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler")
HUBS = {"DDIMScheduler", "DPMSolverMultistepScheduler"}
ALONE = {"FlowMatchEulerDiscreteScheduler", "UnCLIPScheduler"}  # their options say nothing to the others
PAIRS = [(s, t) for s in TABLE for t in TABLE if HUBS & {s, t} and not ALONE & {s, t}]


# a peer that is given its own name for this option, as it was saved, refuses it
REFUSED = {("DEISMultistepScheduler", target, True) for target in ALIASED}


@pytest.mark.parametrize(
    ("source", "target", "saved"), [(*p, saved) for p in PAIRS for saved in (False, True) if (*p, saved) not in REFUSED]
)
def test_config_of_one_scheduler_makes_the_peers_other(source: str, target: str, saved: bool) -> None:
    options = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "prediction_type": "v_prediction"}
    config = json.loads(getattr(diffusers, source)(**options).to_json_string()) if saved else None
    ours, peers = (
        getattr(home, target).from_config(config or getattr(home, source)(**options).config)
        for home in (schedulers, diffusers)
    )
    expected = {key: value for key, value in peers.config.items() if not key.startswith("_")}
    assert {key: value for key, value in ours.config.items() if not key.startswith("_")} == expected


@pytest.mark.parametrize("name", sorted(TABLE))
def test_constructor_and_methods_have_the_peers_signatures(name: str) -> None:
    ours, peers = getattr(schedulers, name), getattr(diffusers, name)
    for method in ("__init__", "set_timesteps", "step"):
        mine, theirs = (inspect.signature(getattr(cls, method)).parameters for cls in (ours, peers))
        assert [(p.name, p.default) for p in mine.values()] == [(p.name, p.default) for p in theirs.values()]


@pytest.mark.parametrize("stochastic", [False, True])
def test_tokens_with_timesteps_of_their_own_step_as_the_peers(stochastic: bool) -> None:
    ours, peers, _ = pair("FlowMatchEulerDiscreteScheduler", {"shift": 3.0, "stochastic_sampling": stochastic})
    x, out = torch.randn(2, 2, 4, 5, generator=torch.Generator().manual_seed(1)).unbind()
    levels = peers.timesteps[[0, 2, 3, 6, 6, 1, 0, 4]].reshape(2, 4) * torch.tensor([1.0, 1.0, 0.97, 0.0])
    stepped = [
        s.step(
            out, s.timesteps[1], x, per_token_timesteps=levels, generator=torch.Generator().manual_seed(0)
        ).prev_sample
        for s in (ours, peers)
    ]
    assert_close(*stepped)


WHOLE = sorted({"DPMSolverMultistepScheduler", "DDIMScheduler", "UniPCMultistepScheduler"} & set(TABLE))


def takes(name: str, options: dict[str, Any]) -> bool:
    return {*inspect.signature(getattr(diffusers, name).__init__).parameters} >= {*options}


COUNTED = [{}, *RAMPS, LEADING, TRAILING, FLOW]


@pytest.mark.parametrize(("name", "options"), [(n, o) for n in WHOLE for o in COUNTED if takes(n, o)], ids=str)
def test_timesteps_are_the_peers_for_every_count(name: str, options: dict[str, Any]) -> None:
    ours, peers = getattr(schedulers, name)(**SD, **options), getattr(diffusers, name)(**SD, **options)
    for count in [*range(1, 61), 100, 250]:
        ours.set_timesteps(count)
        peers.set_timesteps(count)
        assert ours.timesteps.tolist() == peers.timesteps.tolist(), count


def test_beta_quantile_is_scipys() -> None:
    p = np.concatenate([np.linspace(0, 1, 201), 10.0 ** -np.arange(3, 12)])
    assert np.abs(beta_quantile(p, 0.6, 0.6) - scipy.stats.beta.ppf(p, 0.6, 0.6)).max() < 1e-10


@pytest.mark.parametrize("seeds", [None, 0, [0, 1], [3]])
def test_noise_is_drawn_as_the_peer_draws_it(seeds: int | list[int] | None) -> None:
    def draws(draw: Any) -> torch.Tensor:
        torch.manual_seed(7)
        made = [
            torch.Generator().manual_seed(seed) for seed in np.atleast_1d(seeds if seeds is not None else 0).tolist()
        ]
        generator = None if seeds is None else made if isinstance(seeds, list) else made[0]
        return draw((2, 3, 4), generator=generator, device=torch.device("cpu"), dtype=torch.float32)

    assert torch.equal(draws(randn_tensor), draws(torch_utils.randn_tensor))
