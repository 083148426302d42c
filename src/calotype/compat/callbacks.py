"""Callbacks that are written down already: guidance, or adapters, until a certain step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from calotype.core.config import ConfigMixin, register_to_config
from calotype.core.errors import InvalidArgument


class PipelineCallback(ConfigMixin):
    """What is done once, at a step or after a share of the steps; ``callback_fn`` says what."""

    tensor_inputs: ClassVar[list[str]] = []

    @register_to_config
    def __init__(self, cutoff_step_ratio: float | None = 1.0, cutoff_step_index: int | None = None) -> None:
        super().__init__()
        if (cutoff_step_ratio is None) == (cutoff_step_index is None):
            both = f"{cutoff_step_ratio!r} and {cutoff_step_index!r}"
            raise InvalidArgument("cutoff_step_ratio, cutoff_step_index", "one of them, and None for the other", both)
        if cutoff_step_ratio is not None and not 0.0 <= cutoff_step_ratio <= 1.0:
            raise InvalidArgument("cutoff_step_ratio", "a number from 0 to 1", repr(cutoff_step_ratio))

    def is_time(self, pipeline: Any, step_index: int) -> bool:
        """Whether this is the step."""
        index, share = self.config["cutoff_step_index"], self.config["cutoff_step_ratio"]
        return step_index == (index if index is not None else int(pipeline.num_timesteps * share))

    def callback_fn(self, pipeline: Any, step_index: int, timesteps: Any, callback_kwargs: dict[str, Any]) -> Any:
        """What is done after each step, with the tensors that were asked for."""
        raise NotImplementedError(f"{type(self).__name__} has no callback_fn")

    def __call__(self, pipeline: Any, step_index: int, timestep: Any, callback_kwargs: dict[str, Any]) -> Any:
        return self.callback_fn(pipeline, step_index, timestep, callback_kwargs)


class MultiPipelineCallbacks:
    """Several callbacks, one after the other."""

    def __init__(self, callbacks: list[PipelineCallback]) -> None:
        self.callbacks = callbacks

    @property
    def tensor_inputs(self) -> list[str]:
        return [name for callback in self.callbacks for name in callback.tensor_inputs]

    def __call__(self, pipeline: Any, step_index: int, timestep: Any, callback_kwargs: dict[str, Any]) -> Any:
        for callback in self.callbacks:
            callback_kwargs = callback(pipeline, step_index, timestep, callback_kwargs)
        return callback_kwargs


class Unguided(PipelineCallback):
    """Guidance ends here: of what was told twice, the conditional half goes on."""

    def callback_fn(self, pipeline: Any, step_index: int, timesteps: Any, callback_kwargs: dict[str, Any]) -> Any:
        if not self.is_time(pipeline, step_index):
            return callback_kwargs
        pipeline._guidance_scale = 0.0
        return callback_kwargs | self.conditional({name: callback_kwargs[name] for name in self.tensor_inputs})

    def conditional(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The last row of each: that of the one prompt."""
        return {name: tensor[-1:] for name, tensor in tensors.items()}


class SDCFGCutoffCallback(Unguided):
    """No guidance any more, for Stable Diffusion 1 and 2."""

    tensor_inputs: ClassVar[list[str]] = ["prompt_embeds"]


class SDXLCFGCutoffCallback(Unguided):
    """No guidance any more, for Stable Diffusion XL."""

    tensor_inputs: ClassVar[list[str]] = ["prompt_embeds", "add_text_embeds", "add_time_ids"]


class SDXLControlnetCFGCutoffCallback(Unguided):
    """No guidance any more, for Stable Diffusion XL with ControlNets, whose hints are never doubled."""

    tensor_inputs: ClassVar[list[str]] = ["prompt_embeds", "add_text_embeds", "add_time_ids"]


class IPAdapterScaleCutoffCallback(PipelineCallback):
    """Pictures that stand beside the prompt count no more."""

    def callback_fn(self, pipeline: Any, step_index: int, timesteps: Any, callback_kwargs: dict[str, Any]) -> Any:
        if self.is_time(pipeline, step_index):
            pipeline.set_ip_adapter_scale(0.0)
        return callback_kwargs
