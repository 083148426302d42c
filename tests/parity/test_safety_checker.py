"""The safety checker flags what the peer's flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker as Peer
from transformers import CLIPConfig

from calotype.models.safety_checker import StableDiffusionSafetyChecker
from tests.tiny import VISION_CONFIG, tiny_safety_checker

# What the safety checker of SD 1.x has in its config.json, among much else.
TRUE_VISION = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 224,
    "model_type": "clip_vision_model",
}


def peer_of(vision: dict[str, Any], width: int) -> Peer:
    return Peer(CLIPConfig(vision_config=vision, projection_dim=width)).eval()


def spelt_as(peer: Peer, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our tensors under this peer's names, which depend on its version of transformers."""
    names = {StableDiffusionSafetyChecker.old_keys(key): key for key in peer.state_dict()}
    return {names[key]: tensor for key, tensor in state.items()}


def pair() -> tuple[StableDiffusionSafetyChecker, Peer]:
    ours, peer = tiny_safety_checker(), peer_of(VISION_CONFIG, VISION_CONFIG["projection_dim"])
    peer.load_state_dict(spelt_as(peer, ours.state_dict()))
    return ours, peer


def test_keys_and_shapes_of_the_true_size_are_the_peers() -> None:
    with torch.device("meta"):
        ours = StableDiffusionSafetyChecker(vision_config=TRUE_VISION, projection_dim=768)
        peer = peer_of(TRUE_VISION, 768)
    shapes = {key: tensor.shape for key, tensor in ours.state_dict().items()}
    assert shapes == {ours.old_keys(key): tensor.shape for key, tensor in peer.state_dict().items()}
    assert "vision_model.vision_model.embeddings.class_embedding" in shapes


@torch.no_grad()
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.2])
def test_same_flags_and_same_pictures(threshold: float) -> None:
    torch.manual_seed(1)
    ours, peer = pair()
    inputs, images = torch.randn(40, 3, 30, 30), torch.rand(40, 3, 8, 8).numpy()
    # thresholds around the scores of these pictures, so that some are flagged and the special care decides for some
    embeds = ours.visual_projection(ours.vision_model(inputs)[0])
    for name in ("concept_embeds", "special_care_embeds"):
        cosines = torch.nn.functional.normalize(embeds) @ torch.nn.functional.normalize(getattr(ours, name)).T
        weights = cosines.quantile(0.98 if name == "concept_embeds" else 0.8, dim=0) - threshold / 100
        for checker in (ours, peer):
            getattr(checker, f"{name}_weights").copy_(weights)
    mine, my_flags = ours(inputs, images.copy())
    theirs, their_flags = peer(inputs, images.copy())
    assert my_flags == their_flags
    assert 0 < sum(my_flags) < 40
    np.testing.assert_array_equal(mine, theirs)


def test_each_loads_what_the_other_saved(tmp_path: Path) -> None:
    ours, peer = pair()
    ours.save_pretrained(tmp_path / "ours")
    peer.save_pretrained(tmp_path / "peer")
    expected = spelt_as(peer, ours.state_dict())
    again = Peer.from_pretrained(tmp_path / "ours").state_dict()
    assert all(torch.equal(again[key], tensor) for key, tensor in expected.items())
    again = StableDiffusionSafetyChecker.from_pretrained(tmp_path / "peer").state_dict()
    assert all(torch.equal(again[key], tensor) for key, tensor in ours.state_dict().items())
