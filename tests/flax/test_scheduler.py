"""The steps of JAX are those of PyTorch's solvers, of which it asks the numbers."""

from __future__ import annotations

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import calotype
from calotype.core.errors import InvalidArgument
from calotype.generation.latents import walk

SOLVERS = {
    "DDIM": {"clip_sample": False, "steps_offset": 1},
    "PNDM": {"skip_prk_steps": True},
    "PNDM with a Runge-Kutta start": {},
    "LMSDiscrete": {"use_karras_sigmas": True},
    "EulerDiscrete": {"prediction_type": "v_prediction"},
    "DPMSolverMultistep": {"solver_order": 3},
    "DPMSolverMultistep from noises": {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"},
}


@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("name", SOLVERS)
def test_a_walk_is_that_of_the_twin(name, strength):
    ours = getattr(calotype, f"Flax{name.split()[0]}Scheduler")(**SOLVERS[name])
    theirs = ours.twin.from_config(ours.config)
    state = ours.set_timesteps(ours.create_state(), 8, (5,), strength)
    times = walk(SimpleNamespace(scheduler=theirs, _execution_device="cpu"), 8, strength=strength)
    assert state.timesteps.tolist() == times.tolist()
    torch.manual_seed(0)
    sample = torch.randn(5)
    here = jnp.asarray(sample.numpy())
    for t in times:
        output = torch.randn(5)
        np.testing.assert_allclose(
            ours.scale_model_input(state, here, t), theirs.scale_model_input(sample, t), atol=1e-4, rtol=1e-4
        )
        sample = theirs.step(output, t, sample).prev_sample
        here, state = ours.step(state, jnp.asarray(output.numpy()), t, here)
        np.testing.assert_allclose(here, sample, atol=1e-4, rtol=1e-4)
    assert state.place == len(times)


@pytest.mark.parametrize("name", ["DDIM", "LMSDiscrete"])
def test_noise_is_added_as_by_the_twin(name):
    ours = getattr(calotype, f"Flax{name}Scheduler")()
    theirs, times = ours.twin(), torch.tensor([999, 10])
    clean, noise = torch.randn(2, 4, 3), torch.randn(2, 4, 3)
    added = ours.add_noise(ours.create_state(), *(jnp.asarray(each.numpy()) for each in (clean, noise, times)))
    np.testing.assert_allclose(added, theirs.add_noise(clean, noise, times), rtol=1e-5)


def test_noise_at_an_unknown_timestep_is_no_number():
    scheduler = calotype.FlaxDDIMScheduler()
    assert jnp.isnan(scheduler.add_noise(scheduler.create_state(), jnp.ones(1), jnp.ones(1), jnp.array([1000]))).all()


def test_steps_that_are_not_linear_are_refused():
    scheduler = calotype.FlaxDDIMScheduler(clip_sample=True)
    with pytest.raises(InvalidArgument, match="clip_sample"):
        scheduler.set_timesteps(scheduler.create_state(), 5)
    with pytest.raises(InvalidArgument, match=r"algorithm_type: .*sde-dpmsolver\+\+"):
        calotype.FlaxDPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++")


def test_a_state_without_a_walk_takes_no_step():
    scheduler = calotype.FlaxDDIMScheduler(clip_sample=False)
    with pytest.raises(InvalidArgument, match="set_timesteps"):
        scheduler.step(scheduler.create_state(), jnp.ones(1), 5, jnp.ones(1))


def test_too_little_strength_is_said():
    scheduler = calotype.FlaxDDIMScheduler(clip_sample=False)
    with pytest.raises(InvalidArgument, match="strength"):
        scheduler.set_timesteps(scheduler.create_state(), 5, strength=0.1)


@pytest.mark.parametrize("name", ["PNDMScheduler", "FlaxPNDMScheduler"])
def test_configs_of_either_twin_are_read(name, tmp_path):
    getattr(calotype, name)(skip_prk_steps=True, beta_end=0.012).save_pretrained(tmp_path)
    scheduler, state = calotype.FlaxPNDMScheduler.from_pretrained(tmp_path)
    assert scheduler.config.skip_prk_steps and scheduler.config.beta_end == 0.012
    assert calotype.PNDMScheduler.from_config(scheduler.config).config.beta_end == 0.012
    assert len(state.known) == 1000


def test_what_the_twin_does_not_know_is_refused():
    with pytest.raises(TypeError, match="beta_starts"):
        calotype.FlaxDDIMScheduler(beta_starts=0.1)
