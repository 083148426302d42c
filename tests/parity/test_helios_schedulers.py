"""The schedulers of Helios against the peer's: the same tables in float64, the same samples, the same rounding."""

from __future__ import annotations

import inspect
import types
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import calotype
from calotype.ops.pyramid import block_noise
from tests.parity.helios import robust_cholesky

UNIPC, DMD = "HeliosScheduler", "HeliosDMDScheduler"
ONE: dict[str, Any] = {"stages": 1, "stage_range": [0, 1]}
LINEAR: dict[str, Any] = {"use_dynamic_shifting": True, "time_shift_type": "linear"}
EXPONENTIAL: dict[str, Any] = {"use_dynamic_shifting": True, "time_shift_type": "exponential"}
TAPER = np.linspace(0.999, 0, 8)[:-1]

OPTIONS: list[dict[str, Any]] = [
    {},
    {"shift": 3.0},
    {"gamma": 0.2},
    {"num_train_timesteps": 100, "shift": 3.0},
    {"stages": 2, "stage_range": [0, 0.4, 1]},
    {"stages": 4, "stage_range": [0, 0.25, 0.5, 0.75, 1]},
]

# class, its options, and what set_timesteps is told
WALKS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    *[
        (name, {}, {"stage_index": stage, "num_inference_steps": steps})
        for name in (UNIPC, DMD)
        for stage in (0, 1, 2)
        for steps in (1, 2, 3, 7)
    ],
    # two steps: where timesteps lie closer together, the peer's DMD reads its neighbour's level
    *[(name, options, {"stage_index": 1, "num_inference_steps": 2}) for name in (UNIPC, DMD) for options in OPTIONS],
    *[(UNIPC, options, {"stage_index": 1}) for options in OPTIONS],
    *[
        (name, shifting, {"stage_index": stage, "mu": mu})
        for name in (UNIPC, DMD)
        for shifting in (LINEAR, EXPONENTIAL)
        for stage, mu in enumerate((0.548, 0.548, 0.822))
    ],
    *[(UNIPC, {"solver_order": order}, {"stage_index": 1}) for order in (1, 3)],
    *[(UNIPC, {"solver_type": kind}, {"stage_index": 1}) for kind in ("bh1", "midpoint", "heun", "logrho")],
    (UNIPC, {"disable_corrector": [0, 3]}, {"stage_index": 1}),
    (UNIPC, {"scheduler_type": "euler"}, {"stage_index": 1}),
    (UNIPC, ONE, {}),
    (UNIPC, ONE, {"sigmas": TAPER}),
    (UNIPC, ONE | {"scheduler_type": "euler"}, {}),
    *[(UNIPC, ONE | shifting, {"sigmas": TAPER, "mu": 1.919}) for shifting in (LINEAR, EXPONENTIAL)],
    (DMD, ONE, {}),
    (DMD, ONE | LINEAR, {"mu": 1.919}),
    *[(DMD, LINEAR, {"stage_index": k, "mu": 0.5, "is_amplify_first_chunk": True}) for k in (0, 2)],
]


def pair(name: str, options: dict[str, Any], told: dict[str, Any]) -> tuple[Any, Any]:
    ours, peers = getattr(calotype, name)(**options), getattr(diffusers, name)(**options)
    for scheduler in (ours, peers):
        scheduler.set_timesteps(**{"num_inference_steps": 7} | told)
    return ours, peers


def walk(scheduler: Any, dtype: torch.dtype = torch.float32, sample: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """Every sample of a walk; the network's outputs are noise, so that no rounding of a sample grows."""
    generator = torch.Generator().manual_seed(0)
    x = first = torch.randn(2, 4, 3, 6, 4, generator=generator).to(sample)
    samples: list[torch.Tensor] = []
    for place, t in enumerate(scheduler.timesteps):
        told: dict[str, Any] = {}
        if "dmd_sigmas" in inspect.signature(scheduler.step).parameters:
            tables = {"dmd_timesteps": scheduler.timesteps, "all_timesteps": scheduler.timesteps}
            told = tables | {"dmd_sigmas": scheduler.sigmas, "dmd_noisy_tensor": first, "cur_sampling_step": place}
        output = torch.randn(x.shape, generator=generator).to(dtype)
        x = scheduler.step(output, t, x, return_dict=False, **told)[0]
        samples.append(x)
    return samples


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", [UNIPC, DMD])
def test_stages_are_the_peers(name: str, options: dict[str, Any]) -> None:
    ours, peers = getattr(calotype, name)(**options), getattr(diffusers, name)(**options)
    for table in (
        "timestep_ratios", "start_sigmas", "end_sigmas", "ori_start_sigmas", "timesteps_per_stage", "sigmas_per_stage",
    ):  # fmt: skip
        mine, theirs = getattr(ours, table), getattr(peers, table)
        assert mine.keys() == theirs.keys()
        for stage in theirs:
            np.testing.assert_allclose(mine[stage], theirs[stage], rtol=0, atol=1e-10)
    assert (ours.sigma_min, ours.sigma_max) == pytest.approx((peers.sigma_min, peers.sigma_max), abs=1e-12)


@pytest.mark.parametrize(("name", "options", "told"), WALKS, ids=str)
def test_walk_is_the_peers(name: str, options: dict[str, Any], told: dict[str, Any]) -> None:
    ours, peers = pair(name, options, told)
    exact = peers.timesteps.dtype == torch.float64  # the peer's walk without stages and sigmas is a float32 one
    for table in ("timesteps", "sigmas"):
        mine, theirs = getattr(ours, table), getattr(peers, table).double()
        torch.testing.assert_close(mine, theirs, rtol=0 if exact else 1e-6, atol=1e-10 if exact else 1e-6)
    for mine, theirs in zip(walk(ours), walk(peers), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=3e-5, atol=3e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("name", "options", "narrow"),
    [
        (UNIPC, {}, False),
        *[(DMD, {}, narrow) for narrow in (False, True)],
        *[(UNIPC, {"scheduler_type": "euler"}, narrow) for narrow in (False, True)],
    ],
)
def test_half_precision_is_rounded_as_the_peers(
    name: str, options: dict[str, Any], narrow: bool, dtype: torch.dtype
) -> None:
    """A step's own rounding is a hundred times as large as what is left between the two."""
    ours, peers = pair(name, options, {"stage_index": 1, "num_inference_steps": 5})
    sample = dtype if narrow else torch.float32
    for mine, theirs in zip(walk(ours, dtype, sample), walk(peers, dtype, sample), strict=True):
        assert mine.dtype == theirs.dtype
        # float64 there, float32 here: where the output is narrow too, one value in thousands falls to the other side
        apart = (mine.double() - theirs.double()).abs()
        assert float(apart.mean()) < torch.finfo(dtype).eps / 100


@pytest.mark.parametrize("timestep", [[913.8], [900], [999.0, 830.0]])
def test_noise_is_put_back_as_the_peer_puts_it(timestep: list[float]) -> None:
    ours, peers = pair(DMD, {}, {"stage_index": 0, "num_inference_steps": 3})
    x, noise = torch.randn(2, 2, 4, 3, 6, 4, generator=torch.Generator().manual_seed(0))
    t = torch.tensor(timestep)
    theirs = peers.add_noise(x, noise, t, peers.sigmas, peers.timesteps)
    torch.testing.assert_close(ours.add_noise(x, noise, t), theirs)
    torch.testing.assert_close(ours.add_noise(x, noise, t, peers.sigmas, peers.timesteps), theirs)


@pytest.mark.parametrize("gamma", [1 / 3, 0.2])
def test_block_noise_is_the_peers(gamma: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.linalg, "cholesky", robust_cholesky)  # for a third it fails there on this machine
    pipeline = types.SimpleNamespace(scheduler=diffusers.HeliosDMDScheduler(gamma=gamma))
    first, again = (torch.Generator().manual_seed(3) for _ in range(2))
    sample: Any = diffusers.HeliosPyramidPipeline.sample_block_noise
    theirs = sample(pipeline, 2, 4, 3, 6, 8, device=torch.device("cpu"), generator=first)
    torch.testing.assert_close(block_noise((2, 4, 3, 6, 8), gamma, again), theirs, rtol=0, atol=1e-5)
    assert torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=again)), "another number of draws"


@pytest.mark.parametrize("name", [UNIPC, DMD])
def test_signatures_are_the_peers(name: str) -> None:
    ours, peers = getattr(calotype, name), getattr(diffusers, name)
    for method in ("__init__", "step"):
        mine, theirs = (inspect.signature(getattr(cls, method)).parameters.values() for cls in (ours, peers))
        assert [(p.name, p.default) for p in mine] == [(p.name, p.default) for p in theirs]
    mine, theirs = (inspect.signature(cls.set_timesteps).parameters for cls in (ours, peers))
    assert [*mine] == [*theirs]


@pytest.mark.parametrize("name", [UNIPC, DMD])
def test_the_peers_config_makes_ours(name: str) -> None:
    peers = getattr(diffusers, name)(gamma=0.25, **LINEAR)
    ours = getattr(calotype, name).from_config(dict(peers.config))
    public = [{k: v for k, v in s.config.items() if not k.startswith("_")} for s in (ours, peers)]
    assert public[0] == public[1]
