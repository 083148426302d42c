"""The LoRA methods of each family's pipelines: theirs differ in the networks whose layers are saved."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from calotype.adapters.lora import LoraAdapters, Told, load_into
from calotype.adapters.lora_files import read_lora
from calotype.adapters.lora_saving import Layers, save_lora


class StableDiffusionLoraLoaderMixin(LoraAdapters):
    """LoRA in a UNet and a text encoder."""

    lora_components = ("unet", "text_encoder")

    @classmethod
    def save_lora_weights(
        cls,
        save_directory: str | os.PathLike[str],
        unet_lora_layers: Layers | None = None,
        text_encoder_lora_layers: Layers | None = None,
        is_main_process: bool = True,
        weight_name: str | None = None,
        save_function: Callable[[dict[str, Tensor], str], Any] | None = None,
        safe_serialization: bool = True,
        unet_lora_adapter_metadata: Mapping[str, Any] | None = None,
        text_encoder_lora_adapter_metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the layers of a LoRA into a folder, as one file."""
        layers = {"unet": unet_lora_layers, "text_encoder": text_encoder_lora_layers}
        configs = {"unet": unet_lora_adapter_metadata, "text_encoder": text_encoder_lora_adapter_metadata}
        if is_main_process:
            save_lora(save_directory, layers, configs, weight_name, save_function, safe_serialization)


class StableDiffusionXLLoraLoaderMixin(LoraAdapters):
    """LoRA in a UNet and two text encoders."""

    @classmethod
    def save_lora_weights(
        cls,
        save_directory: str | os.PathLike[str],
        unet_lora_layers: Layers | None = None,
        text_encoder_lora_layers: Layers | None = None,
        text_encoder_2_lora_layers: Layers | None = None,
        is_main_process: bool = True,
        weight_name: str | None = None,
        save_function: Callable[[dict[str, Tensor], str], Any] | None = None,
        safe_serialization: bool = True,
        unet_lora_adapter_metadata: Mapping[str, Any] | None = None,
        text_encoder_lora_adapter_metadata: Mapping[str, Any] | None = None,
        text_encoder_2_lora_adapter_metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the layers of a LoRA into a folder, as one file."""
        layers = {
            "unet": unet_lora_layers,
            "text_encoder": text_encoder_lora_layers,
            "text_encoder_2": text_encoder_2_lora_layers,
        }
        configs = {
            "unet": unet_lora_adapter_metadata,
            "text_encoder": text_encoder_lora_adapter_metadata,
            "text_encoder_2": text_encoder_2_lora_adapter_metadata,
        }
        if is_main_process:
            save_lora(save_directory, layers, configs, weight_name, save_function, safe_serialization)


class HeliosLoraLoaderMixin(LoraAdapters):
    """LoRA in the transformer of Helios; those for Wan fit it too."""

    lora_components = ("transformer",)

    @classmethod
    def lora_state_dict(cls, pretrained_model_name_or_path_or_dict: Told, **kwargs: Any) -> Any:
        """The tensors of a LoRA as the file spells them, alphas too; with ``return_lora_metadata`` what it says."""
        metadata = kwargs.pop("return_lora_metadata", False)
        lora = read_lora(pretrained_model_name_or_path_or_dict, kwargs, "lora_state_dict")
        alphas = {f"{layer}.alpha": torch.tensor(alpha) for layer, alpha in lora.alphas.items()}
        tensors = {**lora.tensors, **alphas}
        return (tensors, dict(lora.configs) or None) if metadata else tensors

    @classmethod
    def load_lora_into_transformer(
        cls,
        state_dict: Mapping[str, Tensor],
        transformer: nn.Module,
        adapter_name: str | None = None,
        _pipeline: Any = None,
        low_cpu_mem_usage: bool = False,
        hotswap: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Load what a state dict has for the transformer into it, and use it and no other."""
        load_into("transformer", transformer, state_dict, None, adapter_name, hotswap, metadata)

    @classmethod
    def save_lora_weights(
        cls,
        save_directory: str | os.PathLike[str],
        transformer_lora_layers: Layers | None = None,
        is_main_process: bool = True,
        weight_name: str | None = None,
        save_function: Callable[[dict[str, Tensor], str], Any] | None = None,
        safe_serialization: bool = True,
        transformer_lora_adapter_metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the layers of a LoRA into a folder, as one file."""
        layers, configs = {"transformer": transformer_lora_layers}, {"transformer": transformer_lora_adapter_metadata}
        if is_main_process:
            save_lora(save_directory, layers, configs, weight_name, save_function, safe_serialization)
