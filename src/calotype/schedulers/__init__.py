"""Schedulers: solvers that walk from noise to a picture, under the names of the ecosystem's config files."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ddim import DDIMScheduler as DDIMScheduler
    from .ddpm import DDPMScheduler as DDPMScheduler
    from .deis_multistep import DEISMultistepScheduler as DEISMultistepScheduler
    from .dpmsolver_multistep import DPMSolverMultistepScheduler as DPMSolverMultistepScheduler
    from .euler_ancestral_discrete import EulerAncestralDiscreteScheduler as EulerAncestralDiscreteScheduler
    from .euler_discrete import EulerDiscreteScheduler as EulerDiscreteScheduler
    from .solver import KarrasDiffusionSchedulers as KarrasDiffusionSchedulers
    from .solver import SchedulerMixin as SchedulerMixin
    from .solver import SchedulerOutput as SchedulerOutput
    from .unipc_multistep import UniPCMultistepScheduler as UniPCMultistepScheduler

MODULES = {
    "DDIMScheduler": "ddim",
    "DDPMScheduler": "ddpm",
    "DEISMultistepScheduler": "deis_multistep",
    "DPMSolverMultistepScheduler": "dpmsolver_multistep",
    "EulerAncestralDiscreteScheduler": "euler_ancestral_discrete",
    "EulerDiscreteScheduler": "euler_discrete",
    "KarrasDiffusionSchedulers": "solver",
    "SchedulerMixin": "solver",
    "SchedulerOutput": "solver",
    "UniPCMultistepScheduler": "unipc_multistep",
}
"""Where each public name lives; it is imported when it is first used."""

__all__ = sorted(MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{MODULES[name]}", __name__), name)
