"""The transformer of Helios against the peer's, on grids that do not divide evenly."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch

from calotype.models.helios_transformer import HeliosTransformer3DModel
from tests.tiny_helios import TRANSFORMER, helios_inputs, transformer

CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no norm before the text": {"cross_attn_norm": False},
    "everyone reads the text": {"guidance_cross_attn": False},
    "noisy past": {"zero_history_timestep": False},
    "amplified past": {"is_amplify_history": True},
    "amplified past, one scale": {"is_amplify_history": True, "history_scale_mode": "scalar"},
    "more channels out": {"out_channels": 8},
    "another eps": {"eps": 1e-2},
    "another theta": {"rope_theta": 100.0, "rope_dim": (2, 6, 4)},
}


def like(ours: HeliosTransformer3DModel, **config: Any) -> Any:
    peer = diffusers.HeliosTransformer3DModel(**TRANSFORMER | config).eval()
    peer.load_state_dict(ours.state_dict())
    return peer


@torch.no_grad()
def close(ours: HeliosTransformer3DModel, peer: Any, told: dict[str, Any]) -> None:
    torch.testing.assert_close(ours(**told).sample, peer(**told).sample, rtol=1e-5, atol=1e-5)


def test_signatures_are_the_peers() -> None:
    for name in ("__init__", "forward"):
        ours, theirs = (
            {key: value.default for key, value in inspect.signature(getattr(kind, name)).parameters.items()}
            for kind in (HeliosTransformer3DModel, diffusers.HeliosTransformer3DModel)
        )
        assert list(ours.items()) == list(theirs.items())


def test_weights_of_the_published_size_have_the_peers_names_and_shapes() -> None:
    with torch.device("meta"):
        ours, theirs = (
            {key: value.shape for key, value in kind().state_dict().items()}
            for kind in (HeliosTransformer3DModel, diffusers.HeliosTransformer3DModel)
        )
    assert ours == theirs


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_same_velocity(config: dict[str, Any]) -> None:
    ours = transformer(**config)
    close(ours, like(ours, **config), helios_inputs(size=(10, 14), past=(10, 14)))


@pytest.mark.parametrize("past", [(2, 2), (6, 10), (14, 18), (16, 32)])
def test_same_velocity_where_patches_reach_over_the_edge(past: tuple[int, int]) -> None:
    ours = transformer()
    close(ours, like(ours), helios_inputs(size=(4, 6), past=past))


@pytest.mark.parametrize("side", [1, 3])
def test_same_velocity_with_patches_of_other_sides(side: int) -> None:
    ours = transformer(patch_size=(1, side, side))
    close(ours, like(ours, patch_size=(1, side, side)), helios_inputs(size=(12, 12), past=(24, 24)))


def test_same_velocity_of_a_batch() -> None:
    ours, told = transformer(), helios_inputs(batch=2)
    rows = {name: torch.cat([value, value + 3]) for name, value in told.items() if name.startswith("indices")}
    close(ours, like(ours), told | rows | {"timestep": torch.tensor([3.7, 900], dtype=torch.float64)})


@pytest.mark.parametrize("without", [("short", "mid", "long"), ("mid", "long"), ("long",), ("mid",)], ids=str)
def test_same_velocity_with_less_of_a_past(without: tuple[str, ...]) -> None:
    ours = transformer()
    close(ours, like(ours), helios_inputs() | {f"latents_history_{distance}": None for distance in without})


def test_same_velocity_without_indices_or_past() -> None:
    ours = transformer()
    told = {name: value for name, value in helios_inputs().items() if "indices" not in name and "history" not in name}
    close(ours, like(ours), told)


@pytest.mark.parametrize("frames", [(3, 3, 5), (1, 1, 1)], ids=str)
def test_same_velocity_with_a_past_of_other_lengths(frames: tuple[int, int, int]) -> None:
    ours, told = transformer(), helios_inputs()
    for distance, count in zip(("short", "mid", "long"), frames, strict=True):
        told[f"latents_history_{distance}"] = torch.randn(1, 4, count, 12, 20)
        told[f"indices_latents_history_{distance}"] = torch.arange(count)[None] * 2
    close(ours, like(ours), told)


@torch.no_grad()
def test_bfloat16_is_rounded_where_the_peer_rounds(tmp_path: Path) -> None:
    transformer().save_pretrained(tmp_path)
    ours, peer = (
        kind.from_pretrained(tmp_path, torch_dtype=torch.bfloat16)
        for kind in (HeliosTransformer3DModel, diffusers.HeliosTransformer3DModel)
    )
    kinds = [{key: value.dtype for key, value in network.state_dict().items()} for network in (ours, peer)]
    assert kinds[0] == kinds[1]
    told = {name: value.bfloat16() if value.is_floating_point() else value for name, value in helios_inputs().items()}
    mine, theirs = (network(**told).sample.float() for network in (ours, peer))
    assert (mine - theirs).norm() < 2e-3 * theirs.norm()


def test_gradients_are_the_peers() -> None:
    ours, told = transformer(), helios_inputs(size=(4, 6))
    peer = like(ours)
    for network in (ours, peer):
        network(**told).sample.square().mean().backward()
    theirs = dict(peer.named_parameters())
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, theirs[name].grad, rtol=1e-4, atol=1e-6, msg=name)
