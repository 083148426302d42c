"""Several ControlNets as one component."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from calotype.core.atomic import Saving, saving
from calotype.core.bundle import Bundle
from calotype.core.errors import InvalidArgument
from calotype.core.files import Source, locate
from calotype.models.controlnet import ControlNetModel, ControlNetOutput


class MultiControlNetModel(Bundle):
    """Several ControlNets, each with a hint and a scale; the UNet adds what all of them say."""

    def __init__(self, controlnets: Sequence[ControlNetModel]) -> None:
        super().__init__()
        for i, net in enumerate(controlnets):
            if not isinstance(net, ControlNetModel):
                raise InvalidArgument(f"controlnet[{i}]", "a ControlNetModel", type(net).__name__)
        if not controlnets:
            raise InvalidArgument("controlnet", "at least one ControlNetModel", "none")
        self.nets = nn.ModuleList(controlnets)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the first; the others may have their own."""
        return self.nets[0].dtype  # pyright: ignore[reportReturnType]

    @property
    def device(self) -> torch.device:
        return self.nets[0].device  # pyright: ignore[reportReturnType]

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor | float,
        encoder_hidden_states: torch.Tensor,
        controlnet_cond: Sequence[torch.Tensor],
        conditioning_scale: Sequence[float],
        class_labels: torch.Tensor | None = None,
        timestep_cond: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        added_cond_kwargs: dict[str, torch.Tensor] | None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
        guess_mode: bool = False,
        return_dict: bool = True,
    ) -> ControlNetOutput | tuple[list[torch.Tensor], torch.Tensor]:
        for name, given in (("controlnet_cond", controlnet_cond), ("conditioning_scale", conditioning_scale)):
            if len(given) != len(self.nets):
                raise InvalidArgument(name, f"one for each of {len(self.nets)} ControlNets", str(len(given)))
        told = (class_labels, timestep_cond, attention_mask, added_cond_kwargs, cross_attention_kwargs, guess_mode)
        down, middle = list[torch.Tensor](), torch.zeros(())
        for i, net in enumerate(self.nets):
            hint, scale = controlnet_cond[i], conditioning_scale[i]
            more, centre = net(sample, timestep, encoder_hidden_states, hint, scale, *told, return_dict=False)
            down, middle = ([a + b for a, b in zip(down, more, strict=True)], middle + centre) if i else (more, centre)
        return ControlNetOutput(down, middle) if return_dict else (down, middle)

    # ------------------------------------------------------------------ files: controlnet, controlnet_1, ...

    @classmethod
    def from_pretrained(cls, pretrained_model_path: str | os.PathLike[str], **kwargs: Any) -> MultiControlNetModel:
        """The nets in a folder and in those beside it that have its name and a number."""
        path = Path(pretrained_model_path)
        if path.is_dir() and not kwargs.get("subfolder"):
            path = path.absolute()
            kwargs, pretrained_model_path = {**kwargs, "subfolder": path.name}, path.parent
        source, options = locate(pretrained_model_path, kwargs)
        return cls.from_source(source, **options)

    @classmethod
    def from_source(cls, source: Source, **options: Any) -> MultiControlNetModel:
        """The nets in a located folder and in those beside it."""
        found = [source]
        while (following := beside(source, len(found))).has(ControlNetModel.config_name):
            found.append(following)
        return cls([ControlNetModel.from_source(each, **options) for each in found])

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], safe_serialization: bool = True, variant: str | None = None
    ) -> None:
        """Write the first into this folder, the others beside it, all of them or none."""
        folder = Path(save_directory)
        with saving(folder.parent) as save:
            self.stage(save, folder.name, safe_serialization, variant)

    def stage(self, save: Saving, folder: str, *options: Any) -> None:
        """Write the nets into folders of a larger save."""
        for name, net in self.apart(folder).items():
            net.stage(save, name, *options)  # pyright: ignore[reportCallIssue]


def beside(source: Source, number: int) -> Source:
    """The folder of the same name and this number."""
    return replace(source, prefix=f"{source.prefix.rstrip('/')}_{number}/")
