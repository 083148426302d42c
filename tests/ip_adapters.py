"""IP-Adapters of random numbers, as their files spell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from calotype.adapters.ip_adapter_layers import looking_layers

SEEN, PATCH, FACE = 24, 32, 20  # the widths of a tiny image encoder's vectors and patches, and of a face's vector

Half = Mapping[str, tuple[int, ...]]


def base(width: int, words: int = 4) -> Half:
    return {"proj.weight": (words * width, SEEN), "proj.bias": (words * width,), **norm("norm", width)}


def full(width: int, words: int = 0) -> Half:
    return {**linear("proj.0", PATCH, PATCH), **linear("proj.2", width, PATCH), **norm("proj.3", width)}


def face(width: int, words: int = 4) -> Half:
    hidden = 2 * FACE
    return {**linear("proj.0", hidden, FACE), **linear("proj.2", words * width, hidden), **norm("norm", width)}


def plus(width: int, words: int = 4) -> Half:
    hidden, inner = 16, 128
    shapes: dict[str, tuple[int, ...]] = {"latents": (1, words, hidden)}
    shapes |= {**linear("proj_in", hidden, PATCH), **linear("proj_out", width, hidden), **norm("norm_out", width)}
    for i in range(4):
        look, think = f"layers.{i}.0", f"layers.{i}.1"
        shapes |= {**norm(f"{look}.norm1", hidden), **norm(f"{look}.norm2", hidden), **norm(f"{think}.0", hidden)}
        shapes |= {f"{look}.to_q.weight": (inner, hidden), f"{look}.to_kv.weight": (2 * inner, hidden)}
        shapes |= {f"{look}.to_out.weight": (hidden, inner)}
        shapes |= {f"{think}.1.weight": (4 * hidden, hidden), f"{think}.3.weight": (hidden, 4 * hidden)}
    return shapes


KINDS = {"base": base, "plus": plus, "full": full, "face": face}


def linear(name: str, outputs: int, inputs: int) -> Half:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> Half:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def adapter(unet: Any, kind: str = "base", seed: int = 0) -> dict[str, dict[str, Tensor]]:
    """An adapter of this kind for a UNet, in two halves as a .bin file holds it."""
    generator = torch.Generator().manual_seed(seed)
    layers = [layer.to_k.weight.shape for layer in looking_layers(unet).values()]
    shapes = {
        "image_proj": KINDS[kind](layers[0][1]),
        "ip_adapter": {f"{2 * i + 1}.to_{role}_ip.weight": tuple(s) for i, s in enumerate(layers) for role in "kv"},
    }
    return {
        half: {key: 0.4 * torch.randn(shape, generator=generator) for key, shape in own.items()}
        for half, own in shapes.items()
    }


def faceid(unet: Any, seed: int = 0) -> dict[str, dict[str, Tensor]]:
    """A FaceID adapter with the LoRA that it brings."""
    generator, halves = torch.Generator().manual_seed(seed), adapter(unet, "face", seed)
    for i, layer in enumerate(unet.attention_layers().values()):
        for role in ("q", "k", "v", "out"):
            outputs, inputs = (layer.to_out[0] if role == "out" else getattr(layer, f"to_{role}")).weight.shape
            for half, shape in (("down", (2, inputs)), ("up", (outputs, 2))):
                tensor = 0.3 * torch.randn(shape, generator=generator)
                halves["ip_adapter"][f"{i}.to_{role}_lora.{half}.weight"] = tensor
    return halves


def flat(halves: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The halves as a .safetensors file holds them."""
    return {f"{half}.{key}": tensor for half, own in halves.items() for key, tensor in own.items()}
