"""Schedulers: solvers that walk from noise to a picture, under the names of the ecosystem's config files."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ddim import DDIMScheduler as DDIMScheduler
    from .ddpm import DDPMScheduler as DDPMScheduler
    from .deis_multistep import DEISMultistepScheduler as DEISMultistepScheduler
    from .dpmsolver_multistep import DPMSolverMultistepScheduler as DPMSolverMultistepScheduler
    from .dpmsolver_sde import DPMSolverSDEScheduler as DPMSolverSDEScheduler
    from .dpmsolver_singlestep import DPMSolverSinglestepScheduler as DPMSolverSinglestepScheduler
    from .euler_ancestral_discrete import EulerAncestralDiscreteScheduler as EulerAncestralDiscreteScheduler
    from .euler_discrete import EulerDiscreteScheduler as EulerDiscreteScheduler
    from .flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler as FlowMatchEulerDiscreteScheduler
    from .helios import HeliosScheduler as HeliosScheduler
    from .helios_dmd import HeliosDMDScheduler as HeliosDMDScheduler
    from .heun_discrete import HeunDiscreteScheduler as HeunDiscreteScheduler
    from .k_dpm_2_ancestral_discrete import KDPM2AncestralDiscreteScheduler as KDPM2AncestralDiscreteScheduler
    from .k_dpm_2_discrete import KDPM2DiscreteScheduler as KDPM2DiscreteScheduler
    from .lcm import LCMScheduler as LCMScheduler
    from .lms_discrete import LMSDiscreteScheduler as LMSDiscreteScheduler
    from .mixin import KarrasDiffusionSchedulers as KarrasDiffusionSchedulers
    from .mixin import SchedulerMixin as SchedulerMixin
    from .mixin import SchedulerOutput as SchedulerOutput
    from .pndm import PNDMScheduler as PNDMScheduler
    from .tcd import TCDScheduler as TCDScheduler
    from .unclip import UnCLIPScheduler as UnCLIPScheduler
    from .unipc_multistep import UniPCMultistepScheduler as UniPCMultistepScheduler

MODULES = {
    "DDIMScheduler": "ddim",
    "DDPMScheduler": "ddpm",
    "DEISMultistepScheduler": "deis_multistep",
    "DPMSolverMultistepScheduler": "dpmsolver_multistep",
    "DPMSolverSDEScheduler": "dpmsolver_sde",
    "DPMSolverSinglestepScheduler": "dpmsolver_singlestep",
    "EulerAncestralDiscreteScheduler": "euler_ancestral_discrete",
    "EulerDiscreteScheduler": "euler_discrete",
    "FlowMatchEulerDiscreteScheduler": "flow_match_euler_discrete",
    "HeliosDMDScheduler": "helios_dmd",
    "HeliosScheduler": "helios",
    "HeunDiscreteScheduler": "heun_discrete",
    "KDPM2AncestralDiscreteScheduler": "k_dpm_2_ancestral_discrete",
    "KDPM2DiscreteScheduler": "k_dpm_2_discrete",
    "KarrasDiffusionSchedulers": "mixin",
    "LCMScheduler": "lcm",
    "LMSDiscreteScheduler": "lms_discrete",
    "PNDMScheduler": "pndm",
    "SchedulerMixin": "mixin",
    "SchedulerOutput": "mixin",
    "TCDScheduler": "tcd",
    "UnCLIPScheduler": "unclip",
    "UniPCMultistepScheduler": "unipc_multistep",
}
"""Where each public name lives; it is imported when it is first used."""

__all__ = sorted(MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{MODULES[name]}", __name__), name)
