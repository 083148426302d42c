"""The video autoencoder computes what the peer's computes, in groups of any size, whole or in tiles."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch

from calotype.models import wan_vae
from calotype.models.wan_vae import AutoencoderKLWan
from tests.parity.test_signatures import assert_takes_what_the_peer_takes
from tests.tiny_helios import VAE, vae

CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two blocks": {"num_res_blocks": 2},
    "another decoder": {"decoder_base_dim": 6},
    "half the frames once": {"temperal_downsample": [True, False, False]},
    "three levels": {"dim_mult": [1, 2, 3], "temperal_downsample": [True, True], "scale_factor_spatial": 4},
    "other channels": {"in_channels": 4, "out_channels": 2},
}


def pair(**config: Any) -> tuple[AutoencoderKLWan, diffusers.AutoencoderKLWan]:
    ours = vae(**config)
    peer = diffusers.AutoencoderKLWan(**VAE | config).eval()
    peer.load_state_dict(ours.state_dict())
    return ours, peer


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, atol=3e-5, rtol=0)  # norms of four channels


@pytest.mark.parametrize("attn_scales", [(), (1.0, 0.25)])  # the peer cannot run what it makes of these
def test_keys_and_shapes_of_the_true_size_are_the_peers(attn_scales: tuple[float, ...]) -> None:
    with torch.device("meta"):
        ours, peer = (library.AutoencoderKLWan(attn_scales=attn_scales) for library in (wan_vae, diffusers))
    shapes = {key: tensor.shape for key, tensor in ours.state_dict().items()}
    assert shapes == {key: tensor.shape for key, tensor in peer.state_dict().items()}
    assert ours.spatial_compression_ratio == peer.spatial_compression_ratio
    for name in ("min_height", "min_width", "stride_height", "stride_width"):
        assert getattr(ours, f"tile_sample_{name}") == getattr(peer, f"tile_sample_{name}")


@pytest.mark.parametrize("name", ["__init__", "encode", "decode", "forward", "enable_tiling", "enable_slicing"])
def test_arguments_are_the_peers(name: str) -> None:
    assert_takes_what_the_peer_takes(getattr(AutoencoderKLWan, name), getattr(diffusers.AutoencoderKLWan, name))


def test_the_config_is_the_peers() -> None:
    with torch.device("meta"):
        configs = [dict(network.config) for network in (AutoencoderKLWan(), diffusers.AutoencoderKLWan())]
    ours, theirs = (
        {key: list(value) if isinstance(value, tuple) else value for key, value in config.items() if key[0] != "_"}
        for config in configs
    )
    assert ours == theirs


@torch.no_grad()
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_same_latents_and_same_video(config: dict[str, Any]) -> None:
    ours, peer = pair(**config)
    video = torch.randn(2, ours.config.in_channels, 9, 16, 24)
    mine, theirs = ours.encode(video).latent_dist, peer.encode(video).latent_dist
    close(mine.parameters, theirs.parameters)
    latents = theirs.sample(torch.Generator().manual_seed(3))
    close(mine.sample(torch.Generator().manual_seed(3)), latents)
    close(ours.decode(latents).sample, peer.decode(latents).sample)
    close(ours.decode(latents, return_dict=False)[0], peer.decode(latents, return_dict=False)[0])


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 5, 13])
@pytest.mark.parametrize("size", [(16, 16), (17, 27)], ids=str)
def test_same_video_of_any_length_and_size(frames: int, size: tuple[int, int]) -> None:
    ours, peer = pair()
    video, latents = torch.randn(1, 3, frames, *size), torch.randn(1, 4, 1 + frames // 4, 2, 3)
    encoded, decoded = peer.encode(video).latent_dist.parameters, peer.decode(latents).sample
    for latents_at_once in (1, 2, 9):
        ours.latents_at_once = latents_at_once
        close(ours.encode(video).latent_dist.parameters, encoded)
        close(ours.decode(latents).sample, decoded)


@torch.no_grad()
def test_same_chunk_of_helios() -> None:
    ours, peer = pair()
    latents = torch.randn(1, 4, 9, 3, 2)
    close(ours.decode(latents).sample, peer.decode(latents).sample)


@torch.no_grad()
@pytest.mark.parametrize("sample_posterior", [False, True])
def test_same_video_there_and_back(sample_posterior: bool) -> None:
    ours, peer = pair()
    video = torch.randn(1, 3, 5, 16, 16)
    there_and_back = (
        network(video, sample_posterior, generator=torch.Generator().manual_seed(1)).sample for network in (ours, peer)
    )
    close(*there_and_back)


@torch.no_grad()
@pytest.mark.parametrize("size", [(40, 56), (32, 48), (43, 56), (83, 24)], ids=str)
def test_same_tiles(size: tuple[int, int]) -> None:
    ours, peer = pair()
    for network in (ours, peer):
        network.enable_tiling(32, 40, 24, 32)
        network.enable_slicing()
    video = torch.randn(2, 3, 5, *size)
    close(ours.encode(video).latent_dist.mode(), peer.encode(video).latent_dist.mode())
    latents = torch.randn(2, 4, 3, size[0] // 8, size[1] // 8)
    close(ours.decode(latents).sample, peer.decode(latents).sample)


@torch.no_grad()
def test_as_close_to_full_precision_in_halves() -> None:
    ours, peer = pair()
    latents = torch.randn(1, 4, 3, 2, 2)
    exact = peer.decode(latents).sample
    mine, theirs = (
        (network.bfloat16().decode(latents.bfloat16()).sample - exact).abs().mean() for network in (ours, peer)
    )
    assert mine < 1.1 * theirs < 0.02
