from __future__ import annotations

import pytest
import torch

from calotype.ops.attention import attend


@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize("masked", [False, True])
def test_attend_is_the_softmax_of_scores(scale: float | None, masked: bool) -> None:
    query, key, value = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 7, 8), torch.randn(2, 3, 7, 8)
    mask = torch.randn(2, 1, 1, 7) if masked else None
    scores = query @ key.transpose(-1, -2) * (8**-0.5 if scale is None else scale) + (0 if mask is None else mask)
    assert torch.allclose(attend(query, key, value, mask, scale), scores.softmax(dim=-1) @ value, atol=1e-6)
