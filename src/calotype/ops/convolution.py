"""The door to the kernels of convolutions in space and time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def convolve(x: Tensor, layer: torch.nn.Conv3d) -> Tensor:
    """What the layer's own forward makes of ``x``, where it pads with zeros."""
    told = layer.padding, layer.stride, layer.dilation, layer.groups
    if _kernel_is_missed(x):
        return torch.ops.aten.mkldnn_convolution(x.contiguous(), layer.weight, layer.bias, *told)
    padding, stride, dilation, groups = told
    return F.conv3d(x, layer.weight, layer.bias, stride, padding, dilation, groups)


def _kernel_is_missed(x: Tensor) -> bool:
    """Whether torch might take its slow kernel: on a CPU it does for a single video that is small.

    Nine frames of 64 x 64 with 16 channels took 34 ms with that one and 3 ms with the other, which is no slower where
    videos are large.
    """
    if torch.compiler.is_compiling():  # which brings kernels of its own
        return False
    plain = x.device.type == "cpu" and x.dtype is torch.float32
    return plain and torch.backends.mkldnn.is_available() and not torch.is_autocast_enabled("cpu")
