"""A fresh IP-Adapter to be trained beside a frozen UNet, and saved as its file."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from calotype.adapters.ip_adapter_layers import ImageAdapter, looking_layers, put_beside, take_away
from calotype.core.atomic import write_atomic
from calotype.core.errors import InvalidArgument
from calotype.core.tensors import safetensors_bytes
from calotype.models.layers.embeddings import ImageProjection


def fresh_adapter(unet: nn.Module, image_width: int, words: int = 4) -> ImageAdapter:
    """An adapter that makes so many words of an image's vector; its keys and values begin as those of the text."""
    layers = [layer for layer in looking_layers(unet).values() if layer.to_k is not None and layer.to_v is not None]
    if not layers:
        raise InvalidArgument("unet", "a UNet whose layers read a text", "one without such layers")
    keys, values = ([getattr(layer, name).weight.detach().clone() for layer in layers] for name in ("to_k", "to_v"))
    return ImageAdapter(ImageProjection(image_width, keys[0].shape[1], words), keys, values)


@contextmanager
def beside(unet: Any, adapter: ImageAdapter) -> Generator[None, None, None]:
    """Let a UNet look as this adapter does; it is told ``added_cond_kwargs={"image_embeds": [(batch, 1, width)]}``."""
    put_beside(unet, [adapter])
    try:
        yield
    finally:
        take_away(unet)


def save_adapter(path: str | os.PathLike[str], adapter: ImageAdapter) -> None:
    """Write an adapter that reads vectors into a safetensors file, as ``load_ip_adapter`` reads it."""
    projected = adapter.projection.state_dict()
    tensors = {f"image_proj.{key.replace('image_embeds.', 'proj.')}": tensor for key, tensor in projected.items()}
    for i, (key, value) in enumerate(zip(adapter.keys, adapter.values, strict=True)):
        tensors |= {f"ip_adapter.{2 * i + 1}.to_k_ip.weight": key, f"ip_adapter.{2 * i + 1}.to_v_ip.weight": value}
    contiguous = {key: torch.as_tensor(tensor).detach().contiguous() for key, tensor in tensors.items()}
    write_atomic(path, safetensors_bytes(contiguous, {"format": "pt"}))
