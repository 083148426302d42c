from __future__ import annotations

import pytest
import torch

from calotype.core.errors import InvalidArgument
from tests.tiny import VISION_CONFIG, tiny_image_encoder

PIXELS = torch.linspace(-2, 2, 2 * 3 * 30 * 30).reshape(2, 3, 30, 30)


@torch.no_grad()
def test_an_image_becomes_one_embedding_and_a_state_per_patch() -> None:
    encoder = tiny_image_encoder()
    seen = encoder(PIXELS, output_hidden_states=True)
    assert seen.image_embeds.shape == (2, VISION_CONFIG["projection_dim"])
    assert seen.last_hidden_state.shape == (2, 1 + 9, VISION_CONFIG["hidden_size"])
    assert len(seen.hidden_states) == 1 + VISION_CONFIG["num_hidden_layers"]
    assert torch.equal(encoder(PIXELS, return_dict=False)[0], seen.image_embeds)
    assert encoder(PIXELS).hidden_states is None


@torch.no_grad()
def test_an_image_is_seen_alone_as_in_its_batch() -> None:
    encoder = tiny_image_encoder()
    torch.testing.assert_close(encoder(PIXELS[1:]).image_embeds, encoder(PIXELS).image_embeds[1:])


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(
        InvalidArgument, match=r"pixel_values: expected images of 30 x 30, found shape \(1, 3, 20, 30\)"
    ):
        tiny_image_encoder()(torch.zeros(1, 3, 20, 30))
