"""LoRA files as diffusers writes them."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from calotype.adapters.lora_configs import METADATA
from calotype.adapters.lora_files import STEM
from calotype.core.atomic import write_atomic
from calotype.core.errors import InvalidArgument, NotFinite
from calotype.core.tensors import safetensors_bytes

Layers = Mapping[str, Tensor] | nn.Module


def packed(layers: Layers | None, component: str) -> dict[str, Tensor]:
    """The tensors of a network's LoRA under the keys that they have in a file."""
    tensors = dict(layers.state_dict() if isinstance(layers, nn.Module) else layers or {})
    for key, tensor in tensors.items():
        where = f"{component}_lora_layers[{key!r}]"
        if not isinstance(tensor, Tensor):
            raise InvalidArgument(where, "a tensor", type(tensor).__name__)
        if not tensor.isfinite().all():
            raise NotFinite(where, "finite numbers", "NaN or infinity")
    return {key if key.startswith(f"{component}.") else f"{component}.{key}": t for key, t in tensors.items()}


def save_lora(
    save_directory: str | os.PathLike[str],
    layers: Mapping[str, Layers | None],  # by network
    configs: Mapping[str, Mapping[str, Any] | None],
    weight_name: str | None,
    save_function: Callable[[dict[str, Tensor], str], Any] | None,
    safe_serialization: bool,
) -> None:
    """Write a LoRA into a folder, whole or not at all."""
    tensors = {key: t for name, own in layers.items() for key, t in packed(own, name).items()}
    if not tensors:
        given = " or ".join(f"{name}_lora_layers" for name in layers)
        raise InvalidArgument(given, "the layers of a LoRA", "none")
    if os.path.isfile(save_directory):
        raise InvalidArgument("save_directory", "a folder", f"the file {os.fspath(save_directory)}")
    path = Path(save_directory) / (weight_name or f"{STEM}{'.safetensors' if safe_serialization else '.bin'}")
    if save_function is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_function(tensors, str(path))
    elif safe_serialization:
        told = {f"{name}.{key}": value for name, own in configs.items() for key, value in (own or {}).items()}
        written = json.dumps(told, indent=2, sort_keys=True, default=_plain) if told else None
        metadata = {"format": "pt", **({METADATA: written} if written else {})}
        write_atomic(path, safetensors_bytes(tensors, metadata))
    else:
        buffer = io.BytesIO()
        torch.save({key: tensor.detach().cpu() for key, tensor in tensors.items()}, buffer)
        write_atomic(path, [buffer.getbuffer()])


def _plain(value: Any) -> Any:
    """Sets and words of PEFT's configs as JSON has them."""
    return sorted(value) if isinstance(value, (set, frozenset)) else getattr(value, "value", str(value))
