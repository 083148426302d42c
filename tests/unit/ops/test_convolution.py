from __future__ import annotations

import pytest
import torch

from calotype.ops.convolution import convolve


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [((3, 3, 3), 1, (0, 1, 1)), ((3, 1, 1), (2, 1, 1), 0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_it_is_what_the_layer_computes(threads, kernel, stride, padding, dtype):
    layer, x = torch.nn.Conv3d(4, 6, kernel, stride, padding).to(dtype), torch.randn(2, 5, 4, 7, 6, dtype=dtype)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        made, expected = (function(x.transpose(1, 2).requires_grad_()) for function in (run(layer), layer))
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(made, expected)
    ours, theirs = (torch.autograd.grad(y.float().square().sum(), layer.weight)[0] for y in (made, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-2 if dtype is torch.bfloat16 else 1e-4, atol=1e-3)


def run(layer):
    return lambda x: convolve(x, layer)
