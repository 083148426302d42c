from __future__ import annotations

import pytest
import torch

from calotype.ops.fourier import scale_low_frequencies


def by_transform(pictures: torch.Tensor, scale: float) -> torch.Tensor:
    """The definition: two frequencies either way of the middle of the shifted spectrum are scaled."""
    spectrum = torch.fft.fft2(pictures.double())
    rows, columns = ({0, size - 1} for size in pictures.shape[-2:])
    for row in rows:
        for column in columns:
            spectrum[..., row, column] *= scale
    return torch.fft.ifft2(spectrum).real


@pytest.mark.parametrize("size", [(8, 8), (5, 12), (2, 3), (1, 7), (7, 1), (1, 1)], ids=str)
def test_scales_what_the_transform_would(size: tuple[int, int]) -> None:
    pictures = torch.randn(2, 3, *size)
    assert torch.allclose(scale_low_frequencies(pictures, 0.3).double(), by_transform(pictures, 0.3), atol=1e-5)


def test_a_scale_of_one_changes_nothing_and_zero_takes_the_mean_away() -> None:
    pictures = torch.randn(1, 2, 6, 6)
    assert torch.equal(scale_low_frequencies(pictures, 1.0), pictures)
    assert scale_low_frequencies(pictures, 0.0).mean(dim=(-2, -1)).abs().max() < 1e-6


def test_the_dtype_stays() -> None:
    assert scale_low_frequencies(torch.randn(1, 1, 4, 4, dtype=torch.bfloat16), 0.5).dtype == torch.bfloat16
