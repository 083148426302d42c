"""The LoRA methods of each family's pipelines: theirs differ in the networks whose layers are saved."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from calotype.adapters.lora import LoraAdapters
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
