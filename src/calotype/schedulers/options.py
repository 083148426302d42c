"""The options that solvers share, and the words that they take."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from .checks import at_most_one

PredictionType = Literal["epsilon", "sample", "v_prediction"]
FlowPredictionType = Literal["epsilon", "sample", "v_prediction", "flow_prediction"]
LEARNED = ("learned", "learned_range")
VARIANCES = ("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", *LEARNED, None)
"""The variances of DDPM, and None, which other solvers' configs say; these care only whether it is learned."""


@dataclass(frozen=True)
class Options:
    """The options that several solvers have, read from a config; the values here hold for solvers that lack them."""

    num_train_timesteps: int = 1000
    beta_start: float = 0.0001
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    trained_betas: Sequence[float] | np.ndarray | None = None
    rescale_betas_zero_snr: bool = False
    prediction_type: str = "epsilon"
    clip_sample: bool = False
    clip_sample_range: float = 1.0
    thresholding: bool = False
    dynamic_thresholding_ratio: float = 0.995
    sample_max_value: float = 1.0
    timestep_spacing: str | None = None
    steps_offset: int = 0
    use_karras_sigmas: bool = False
    use_exponential_sigmas: bool = False
    use_beta_sigmas: bool = False
    use_lu_lambdas: bool = False
    use_flow_sigmas: bool = False
    flow_shift: float = 1.0
    shift_terminal: float | None = None
    use_dynamic_shifting: bool = False
    time_shift_type: str = "exponential"
    sigma_min: float | None = None
    sigma_max: float | None = None
    final_sigmas_type: str | None = None

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Options:
        return cls(**{field.name: config[field.name] for field in fields(cls) if field.name in config})

    @property
    def ramp(self) -> str | None:
        """The name of the one ramp that is switched on, a flow being none."""
        return RAMP_OPTIONS[at_most_one({name: getattr(self, name) for name in RAMP_OPTIONS if name})]


OF_KIN = {field.name for field in fields(Options)} | {
    "algorithm_type",
    "disable_corrector",
    "euler_at_final",
    "interpolation_type",
    "lambda_min_clipped",
    "lower_order_final",
    "noise_sampler_seed",
    "original_inference_steps",
    "predict_x0",
    "set_alpha_to_one",
    "sigma_data",
    "skip_prk_steps",
    "solver_order",
    "solver_p",
    "solver_type",
    "timestep_scaling",
    "timestep_type",
    "variance_type",
}
"""Every option that a scheduler of any class may write into its config."""

RAMP_OPTIONS = {
    None: None,
    "use_flow_sigmas": None,
    "use_karras_sigmas": "karras",
    "use_exponential_sigmas": "exponential",
    "use_beta_sigmas": "beta",
    "use_lu_lambdas": "lu",
}
"""Switches that exclude each other, and the ramps of the grid that they mean."""

SHIFTS: dict[str, Callable[[float], float]] = {"exponential": math.exp, "linear": float}
"""How much a flow is shifted by ``mu``."""
