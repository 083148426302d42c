"""Norms that are computed in float32 whatever the states are."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm32(nn.LayerNorm):
    """A layer norm whose result is float32, for what goes on in float32 after it."""

    def forward(self, input: Tensor) -> Tensor:  # the name that ``nn.LayerNorm`` gives it
        weight, bias = (None if own is None else own.float() for own in (self.weight, self.bias))
        return F.layer_norm(input.float(), self.normalized_shape, weight, bias, self.eps)
