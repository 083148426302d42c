"""LoRA for pipelines: small changes of big networks, loaded once, chosen and mixed at will, and taken away again."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from calotype.adapters.choices import Choice
from calotype.adapters.lora_files import LoraFile, checked, read_lora
from calotype.adapters.lora_keys import PREFIXES, components_of
from calotype.adapters.lora_sets import Loras
from calotype.adapters.wearing import WearsAdapters
from calotype.core.devices import device_of
from calotype.core.errors import InvalidArgument

log = logging.getLogger("calotype.adapters.lora")

Told = str | os.PathLike[str] | Mapping[str, Tensor]
Weight = float | dict[str, Any] | None


class LoraAdapters(WearsAdapters):
    """LoRA in the networks of a pipeline."""

    # ------------------------------------------------------------------ in and out

    def load_lora_weights(
        self,
        pretrained_model_name_or_path_or_dict: Told,
        adapter_name: str | None = None,
        hotswap: bool = False,
        **kwargs: Any,
    ) -> None:
        """Load a LoRA into all networks that it is of, and use it and no other; all of it is loaded, or nothing."""
        lora, loras = read_lora(pretrained_model_name_or_path_or_dict, kwargs, "load_lora_weights"), self._loras
        self._wear(loras.load(lora, adapter_name, hotswap))

    @classmethod
    def lora_state_dict(cls, pretrained_model_name_or_path_or_dict: Told, **kwargs: Any) -> tuple[Any, ...]:
        """The tensors of a LoRA and its alphas, as the file spells them; with ``return_lora_metadata`` what it says."""
        kwargs.pop("unet_config", None)  # the spellings of the original UNet are known by its layers
        metadata = kwargs.pop("return_lora_metadata", False)
        lora = read_lora(pretrained_model_name_or_path_or_dict, kwargs, "lora_state_dict")
        alphas = {f"{layer}.alpha": alpha for layer, alpha in lora.alphas.items()} or None
        return (dict(lora.tensors), alphas, dict(lora.configs) or None)[: 3 if metadata else 2]

    @classmethod
    def load_lora_into_unet(
        cls,
        state_dict: Mapping[str, Tensor],
        network_alphas: Mapping[str, float] | None,
        unet: nn.Module,
        adapter_name: str | None = None,
        _pipeline: Any = None,
        low_cpu_mem_usage: bool = False,
        hotswap: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Load what a state dict has for the UNet into it, and use it and no other."""
        load_into("unet", unet, state_dict, network_alphas, adapter_name, hotswap, metadata)

    @classmethod
    def load_lora_into_text_encoder(
        cls,
        state_dict: Mapping[str, Tensor],
        network_alphas: Mapping[str, float] | None,
        text_encoder: nn.Module,
        prefix: str | None = None,
        lora_scale: float = 1.0,
        adapter_name: str | None = None,
        _pipeline: Any = None,
        low_cpu_mem_usage: bool = False,
        hotswap: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Load what a state dict has under this prefix into a text encoder, and use it and no other."""
        name = prefix or "text_encoder"
        load_into(name, text_encoder, state_dict, network_alphas, adapter_name, hotswap, metadata, lora_scale)

    def unload_lora_weights(self) -> None:
        """Forget every adapter; all weights are what they were before the first was loaded."""
        loras = self._loras
        if loras.fused:
            log.warning("unloaded, and taken out of the weights too: %s", ", ".join(sorted(loras.fused)))
        loras.unfuse(loras.parts)
        loras.forget(loras.names)
        self._wear({component: Choice() for component in loras.parts})

    def delete_adapters(self, adapter_names: str | Sequence[str]) -> None:
        """Forget these adapters."""
        loras = self._loras
        names = loras.known("adapter_names", adapter_names)
        loras.refuse_fused("adapter_names", names)
        loras.forget(names)

    # ------------------------------------------------------------------ chosen

    def set_adapters(
        self, adapter_names: str | Sequence[str], adapter_weights: Weight | Sequence[Weight] = None
    ) -> None:
        """Use these adapters alone, each at its weight: one number, or numbers for networks, blocks and layers."""
        loras = self._loras
        names = loras.known("adapter_names", adapter_names)
        listed = isinstance(adapter_weights, Sequence) and not isinstance(adapter_weights, str)
        weights = list(adapter_weights) if listed else [adapter_weights] * len(names)  # pyright: ignore
        if len(weights) != len(names):
            raise InvalidArgument("adapter_weights", f"{len(names)}, one for each adapter", str(len(weights)))
        enabled = all(choice.enabled for choice in self._choices(loras).values())
        choices = loras.choose(names, weights)
        self._wear({component: replace(choice, enabled=enabled) for component, choice in choices.items()})

    def get_active_adapters(self) -> list[str]:
        """The names of the adapters in use."""
        return [*dict.fromkeys(name for choice in self._choices(self._loras).values() for name in choice.weights)]

    def get_list_adapters(self) -> dict[str, list[str]]:
        """The names of all adapters, by the network that they change."""
        return {component: [*part.adapters] for component, part in self._loras.parts.items() if part.adapters}

    def enable_lora(self) -> None:
        """Use the chosen adapters again."""
        self._enable(True)

    def disable_lora(self) -> None:
        """Use no adapters for now; which were chosen is remembered."""
        self._enable(False)

    def _enable(self, enabled: bool) -> None:
        chosen = self._choices(self._loras)
        self._wear({component: replace(choice, enabled=enabled) for component, choice in chosen.items()})

    def set_lora_device(self, adapter_names: str | Sequence[str], device: torch.device | str | int) -> None:
        """Let these adapters lie on a device while they are not in use; in use they are where their layers are."""
        loras = self._loras
        names = loras.known("adapter_names", adapter_names)
        place = device_of("device", device)
        for part in loras.parts.values():
            for adapter in (part.adapters[name] for name in names if name in part.adapters):
                for change in adapter.changes.values():
                    change.rest(place)

    # ------------------------------------------------------------------ in the weights

    def fuse_lora(
        self,
        components: Sequence[str] | None = None,
        lora_scale: float = 1.0,
        safe_fusing: bool = False,
        adapter_names: Sequence[str] | None = None,
    ) -> None:
        """Put adapters into the weights, those in use or the named ones; ``unfuse_lora`` gives back what was there."""
        loras = self._loras
        names = None if adapter_names is None else loras.known("adapter_names", adapter_names)
        loras.fuse(loras.among("components", components), names, lora_scale)

    def unfuse_lora(self, components: Sequence[str] | None = None) -> None:
        """Every weight as it was before ``fuse_lora``."""
        loras = self._loras
        loras.unfuse(loras.among("components", components))

    @property
    def fused_loras(self) -> set[str]:
        """The adapters that are in the weights."""
        return self._loras.fused

    @property
    def num_fused_loras(self) -> int:
        return len(self.fused_loras)


def load_into(
    component: str,
    network: nn.Module,
    state_dict: Mapping[str, Tensor],
    alphas: Mapping[str, float] | None,
    name: str | None,
    hotswap: bool,
    configs: Mapping[str, Any] | None,
    scale: float = 1.0,
) -> None:
    """Load what is of one network, which is what names no other."""
    if component not in PREFIXES:
        raise InvalidArgument("prefix", f"one of {', '.join(PREFIXES)}", repr(component))
    told = {**state_dict, **(alphas or {})}
    own = {key: t for key, t in told.items() if component in (components_of(key) or [component])}
    named = {f"{component}.{key}": value for key, value in (configs or {}).items()}
    lora: LoraFile = checked("LoRA state dict", own, named)
    loras = Loras({component: network})
    for part, choice in loras.load(lora, name, hotswap, scale).items():
        loras.parts[part].choice = choice
