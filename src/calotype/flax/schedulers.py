"""The schedulers of JAX by name, each the twin of one of PyTorch's."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from calotype.flax.scheduler import FlaxSchedulerMixin
from calotype.schedulers.checks import chosen
from calotype.schedulers.ddim import DDIMScheduler
from calotype.schedulers.dpmsolver_multistep import DPMSolverMultistepScheduler
from calotype.schedulers.euler_discrete import EulerDiscreteScheduler
from calotype.schedulers.lms_discrete import LMSDiscreteScheduler
from calotype.schedulers.pndm import PNDMScheduler


class FlaxDDIMScheduler(FlaxSchedulerMixin):
    """Denoising diffusion implicit models, without fresh noise."""

    twin = DDIMScheduler


class FlaxPNDMScheduler(FlaxSchedulerMixin):
    """Pseudo numerical methods for diffusion models."""

    twin = PNDMScheduler


class FlaxLMSDiscreteScheduler(FlaxSchedulerMixin):
    """Linear multistep."""

    twin = LMSDiscreteScheduler


class FlaxEulerDiscreteScheduler(FlaxSchedulerMixin):
    """Euler's method."""

    twin = EulerDiscreteScheduler


class FlaxDPMSolverMultistepScheduler(FlaxSchedulerMixin):
    """DPM-Solver and DPM-Solver++, of order 1 to 3, without fresh noise."""

    twin = DPMSolverMultistepScheduler

    def __init__(self, dtype: Any = jnp.float32, **config: Any) -> None:
        super().__init__(dtype, **config)
        chosen("algorithm_type", self.config["algorithm_type"], ("dpmsolver", "dpmsolver++"))
