"""Linear layers whose weights take a byte each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype.core.errors import InvalidArgument

FLOAT8 = torch.float8_e4m3fn
LARGEST = torch.finfo(FLOAT8).max
TINIEST = 1e-12  # of scales: rows may be zero


class Float8Linear(nn.Module):
    """A linear layer in float8, each channel under a scale of its own.

    Where the device multiplies such numbers the inputs become float8 as well, each token under its own scale; elsewhere
    weights grow to the inputs' type for the moment.
    """

    weight_bytes: Tensor
    scale_bytes: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight, scale = rounded(layer.weight.detach())
        # as bytes, so that ``to`` and the like, which cast what is floating point, leave them be
        self.register_buffer("weight_bytes", weight.view(torch.uint8))
        self.register_buffer("scale_bytes", scale.view(torch.uint8))
        self.bias = layer.bias

    def forward(self, input: Tensor) -> Tensor:
        weight, scale = self.weight_bytes.view(FLOAT8), self.scale_bytes.view(torch.float32).T  # (1, channels)
        if multiplies(input.device) and input.dtype is torch.bfloat16 and not any(n % 16 for n in weight.shape):
            tokens, scales = rounded(input.flatten(0, -2))
            bias = None if self.bias is None else self.bias.to(input.dtype)
            told = {"out_dtype": input.dtype, "use_fast_accum": True}
            made = torch._scaled_mm(tokens, weight.T, scales, scale, bias, **told)  # pyright: ignore
            return made.unflatten(0, input.shape[:-1])
        return F.linear(input, (weight.float() * scale.T).to(input.dtype), self.bias)

    def _save_to_state_dict(self, *args: Any, **kwargs: Any) -> None:
        fix = "Save before quantize, and quantize after loading: it takes a moment."
        raise InvalidArgument("save_pretrained", "a network with its weights as they were", "some in float8", fix)


def rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows in float8, and their scales (rows, 1) in float32."""
    scale = (rows.abs().amax(dim=-1, keepdim=True).float() / LARGEST).clamp_min(TINIEST)
    return (rows.float() / scale).to(FLOAT8), scale


def multiplies(device: torch.device) -> bool:
    """Whether the device multiplies matrices of float8."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 9)


def as_float8(blocks: Iterable[nn.Module]) -> None:
    """Put such a layer in the place of each linear layer within these blocks."""
    for block in blocks:
        for part in [*block.modules()]:
            for name, layer in [*part.named_children()]:
                if type(layer) is nn.Linear:
                    setattr(part, name, Float8Linear(layer))
