"""CLIP's encoders compute what transformers' compute, from the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from calotype.models.text_encoders import CLIPTextModel, CLIPTextModelWithProjection
from calotype.models.vision import CLIPVisionModelWithProjection
from tests.tiny import TEXT_CONFIG, VISION_CONFIG

CONFIGS = {"CLIPText": transformers.CLIPTextConfig, "CLIPVision": transformers.CLIPVisionConfig}
CLASSES = [CLIPTextModel, CLIPTextModelWithProjection, CLIPVisionModelWithProjection]
TRUE_SIZES: dict[str, tuple[type, dict[str, Any]]] = {
    "SD 1.5 and SDXL's first": (
        CLIPTextModel,
        {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
    ),
    "SDXL's second": (
        CLIPTextModelWithProjection,
        {
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "projection_dim": 1280,
            "num_hidden_layers": 32,
            "num_attention_heads": 20,
            "hidden_act": "gelu",
        },
    ),
    "the safety checker's": (
        CLIPVisionModelWithProjection,
        {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "projection_dim": 768,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "patch_size": 14,
        },
    ),
}


def peer_of(kind: type, config: dict[str, Any]) -> Any:
    family = CONFIGS["CLIPText" if "Text" in kind.__name__ else "CLIPVision"]
    return getattr(transformers, kind.__name__)(family(**config, attn_implementation="sdpa")).eval()


def pair(kind: type, **config: Any) -> tuple[Any, Any]:
    config = (TEXT_CONFIG if "Text" in kind.__name__ else VISION_CONFIG) | config
    torch.manual_seed(0)
    ours, peer = kind(**config).eval(), peer_of(kind, config)
    peer.load_state_dict(dict(zip_keys(ours.state_dict(), peer)))
    return ours, peer


def zip_keys(state: dict[str, Any], peer: Any) -> list[tuple[str, Any]]:
    """Our tensors under the peer's names, which lack ``text_model.`` in its plain text encoder."""
    bare = any(key.startswith("embeddings.") for key in peer.state_dict())
    return [(key.removeprefix("text_model.") if bare else key, tensor) for key, tensor in state.items()]


@pytest.mark.parametrize(("kind", "config"), TRUE_SIZES.values(), ids=TRUE_SIZES)
def test_keys_and_shapes_of_true_sizes_are_the_peers(kind: type, config: dict[str, Any]) -> None:
    with torch.device("meta"):
        ours, peer = kind(**config), peer_of(kind, config)
    shapes = {key: tensor.shape for key, tensor in zip_keys(ours.state_dict(), peer)}
    assert shapes == {key: tensor.shape for key, tensor in peer.state_dict().items()}


def inputs(kind: type) -> torch.Tensor:
    if kind is CLIPVisionModelWithProjection:
        return torch.randn(2, 3, VISION_CONFIG["image_size"], VISION_CONFIG["image_size"])
    ids = torch.randint(0, TEXT_CONFIG["vocab_size"] - 2, (3, 77))
    for row, end in enumerate((4, 30, 76)):
        ids[row, end:] = TEXT_CONFIG["eos_token_id"]
    return ids


@torch.no_grad()
@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("kind", CLASSES)
def test_same_states_and_embeddings(kind: type, activation: str) -> None:
    ours, peer = pair(kind, hidden_act=activation)
    given = inputs(kind)
    mine, theirs = ours(given, output_hidden_states=True), peer(given, output_hidden_states=True)
    assert set(theirs.keys()) <= set(mine.keys())
    for name in set(theirs.keys()) - {"hidden_states"}:
        torch.testing.assert_close(mine[name], theirs[name], atol=1e-5, rtol=0)
    for one, other in zip(mine.hidden_states, theirs.hidden_states, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    assert mine[0].shape == theirs[0].shape
    assert mine[-1] is mine.hidden_states


@torch.no_grad()
@pytest.mark.parametrize("eos", [2, TEXT_CONFIG["eos_token_id"]])
@pytest.mark.parametrize("kind", CLASSES[:2])
def test_same_end_of_text_and_same_masked_reading(kind: type, eos: int) -> None:
    ours, peer = pair(kind, eos_token_id=eos)
    ids = inputs(kind)
    mask = (torch.arange(77) <= ids.argmax(-1, keepdim=True)).long()
    for options in ({}, {"attention_mask": mask}):
        mine, theirs = ours(ids, **options), peer(ids, **options)
        for name in theirs:
            torch.testing.assert_close(mine[name], theirs[name], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("kind", CLASSES)
def test_each_loads_what_the_other_saved(tmp_path: Path, kind: type) -> None:
    ours, peer = pair(kind)
    ours.save_pretrained(tmp_path / "ours")
    peer.save_pretrained(tmp_path / "peer")
    given = inputs(kind)
    expected = peer(given)[0]
    for family in (kind, getattr(transformers, kind.__name__)):
        for place in ("ours", "peer"):
            torch.testing.assert_close(family.from_pretrained(tmp_path / place)(given)[0], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", CLASSES)
def test_defaults_are_the_peers(kind: type) -> None:
    family = CONFIGS["CLIPText" if "Text" in kind.__name__ else "CLIPVision"]
    with torch.device("meta"):
        ours, theirs = kind().config, family().to_dict()
    assert {key: theirs[key] for key in ours if not key.startswith("_")} == {
        key: value for key, value in ours.items() if not key.startswith("_")
    }
