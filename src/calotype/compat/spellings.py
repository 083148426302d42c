"""The keys of a LoRA's tensors: as PEFT spells them, and as files spelt them before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

OF_TEXT_ENCODERS = ("q_proj", "k_proj", "v_proj", "out_proj")
# older spellings of a LoRA's keys as PEFT spells them
OLD_KEYS = {
    r"\.processor\.to_(\w+)_lora\.": r".to_\1.lora.",
    r"\.to_(\w+)_lora\.": r".to_\1.lora.",
    r"\.to_out\.lora": ".to_out.0.lora",
    r"\.lora(_linear_layer)?\.down\.": ".lora_A.",
    r"\.lora(_linear_layer)?\.up\.": ".lora_B.",
}


def convert_state_dict_to_diffusers(
    state_dict: Mapping[str, torch.Tensor], original_type: Any = None
) -> dict[str, torch.Tensor]:
    """PEFT's tensors of a LoRA under the keys by which files spelt them before."""
    spelt = {"lora_A.weight": "down.weight", "lora_B.weight": "up.weight"}
    found: dict[str, torch.Tensor] = {}
    for key, tensor in state_dict.items():
        layer, _, last = key.rpartition(".lora_")
        words = "lora_linear_layer" if layer.endswith(OF_TEXT_ENCODERS) else "lora"
        old = spelt.get(f"lora_{last}")
        found[f"{layer}.{words}.{old}" if old else key] = tensor
    return found


def convert_unet_state_dict_to_peft(state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a LoRA under PEFT's keys, which name an A and a B beside each layer."""
    found: dict[str, torch.Tensor] = {}
    for key, tensor in state_dict.items():
        for old, new in OLD_KEYS.items():
            key = re.sub(old, new, key)
        found[key] = tensor
    return found
