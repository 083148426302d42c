"""What every scheduler is to the outside: files, kin, and what a step returns."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

import torch

from ..core.config import ConfigMixin
from ..core.outputs import BaseOutput
from .options import OF_KIN


class KarrasDiffusionSchedulers(Enum):
    """Solvers that can stand in for each other: any of them can be made from the config of another."""

    DDIMScheduler = 1
    DDPMScheduler = 2
    PNDMScheduler = 3
    LMSDiscreteScheduler = 4
    EulerDiscreteScheduler = 5
    HeunDiscreteScheduler = 6
    EulerAncestralDiscreteScheduler = 7
    DPMSolverMultistepScheduler = 8
    DPMSolverSinglestepScheduler = 9
    KDPM2DiscreteScheduler = 10
    KDPM2AncestralDiscreteScheduler = 11
    DEISMultistepScheduler = 12
    UniPCMultistepScheduler = 13
    DPMSolverSDEScheduler = 14
    EDMEulerScheduler = 15


@dataclass
class SchedulerOutput(BaseOutput):
    """The sample one step further, and the clean sample as it was estimated on the way."""

    prev_sample: torch.Tensor
    pred_original_sample: torch.Tensor | None = None


class SchedulerMixin(ConfigMixin):
    """A scheduler's own files and its kin."""

    config_name = "scheduler_config.json"
    convertible = True
    also_known = frozenset(OF_KIN)
    _compatibles: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        subfolder: str | None = None,
        return_unused_kwargs: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The scheduler of a folder or a Hub repository; keyword arguments win over what its config says."""
        config, unused = cls.load_config(
            pretrained_model_name_or_path, subfolder=subfolder, return_unused_kwargs=True, **kwargs
        )
        return cls.from_config(config, return_unused_kwargs=return_unused_kwargs, **unused)

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write the config into a folder."""
        self.save_config(save_directory)

    @property
    def compatibles(self) -> list[type[SchedulerMixin]]:
        """The classes that can be made from this scheduler's config."""
        from .. import schedulers

        known = [name for name in self._compatibles if name in schedulers.__all__]
        return [getattr(schedulers, name) for name in known] or [type(self)]
