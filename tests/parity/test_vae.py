"""The autoencoder computes what the peer's computes, whole or in tiles."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution as PeerDistribution

from calotype.models.autoencoder_kl import AutoencoderKL
from calotype.ops.gaussian import DiagonalGaussianDistribution
from tests.tiny import VAE_CONFIG, tiny_vae

TRUE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "sample_size": 1024,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two layers": {"layers_per_block": 2, "act_fn": "relu", "in_channels": 4, "out_channels": 2},
    "no convolutions at the latents": {"use_quant_conv": False, "use_post_quant_conv": False, "latent_channels": 16},
    "no attention": {"mid_block_add_attention": False},
    "attention on a level": {
        "down_block_types": ("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        "up_block_types": ("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
    },
    "three levels": {
        "block_out_channels": (4, 8, 16),
        "down_block_types": ("DownEncoderBlock2D",) * 3,
        "up_block_types": ("UpDecoderBlock2D",) * 3,
    },
}


def pair(**config: Any) -> tuple[AutoencoderKL, diffusers.AutoencoderKL]:
    ours = tiny_vae(**config)
    peer = diffusers.AutoencoderKL(**VAE_CONFIG | config).eval()
    peer.load_state_dict(ours.state_dict())
    return ours, peer


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_keys_and_shapes_of_the_true_size_are_the_peers() -> None:
    with torch.device("meta"):
        ours, peer = AutoencoderKL(**TRUE), diffusers.AutoencoderKL(**TRUE)
    shapes = {key: tensor.shape for key, tensor in ours.state_dict().items()}
    assert shapes == {key: tensor.shape for key, tensor in peer.state_dict().items()}
    for name in ("tile_sample_min_size", "tile_latent_min_size", "tile_overlap_factor"):
        assert getattr(ours, name) == getattr(peer, name)


def test_the_config_is_the_peers() -> None:
    ours, peer = AutoencoderKL(), diffusers.AutoencoderKL()
    told = {key: value for key, value in peer.config.items() if not key.startswith("_")}
    assert {key: value for key, value in ours.config.items() if not key.startswith("_")} == told


@torch.no_grad()
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_same_latents_and_same_pictures(config: dict[str, Any]) -> None:
    ours, peer = pair(**config)
    pixels = torch.randn(2, ours.config.in_channels, 24, 40)
    mine, theirs = ours.encode(pixels).latent_dist, peer.encode(pixels).latent_dist
    close(mine.parameters, theirs.parameters)
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    latents = theirs.sample(generators[1])
    close(mine.sample(generators[0]), latents)
    close(ours.decode(latents).sample, peer.decode(latents).sample)
    close(ours.decode(latents, return_dict=False)[0], peer.decode(latents, return_dict=False)[0])


@torch.no_grad()
@pytest.mark.parametrize("sample_posterior", [False, True])
def test_same_picture_there_and_back(sample_posterior: bool) -> None:
    ours, peer = pair()
    pixels = torch.randn(1, 3, 16, 16)
    there_and_back = (
        network(pixels, sample_posterior, generator=torch.Generator().manual_seed(1)).sample for network in (ours, peer)
    )
    close(*there_and_back)


@torch.no_grad()
@pytest.mark.parametrize("size", [(40, 70), (32, 33), (16, 64), (100, 50)], ids=str)
def test_same_tiles(size: tuple[int, int]) -> None:
    ours, peer = pair()
    ours.enable_tiling(seams=True)
    peer.enable_tiling()
    for network in (ours, peer):
        network.enable_slicing()
    pixels, latents = torch.randn(2, 3, *size), torch.randn(2, 4, *size)
    close(ours.encode(pixels).latent_dist.mode(), peer.encode(pixels).latent_dist.mode())
    close(ours.decode(latents).sample, peer.decode(latents).sample)


@torch.no_grad()
def test_same_pictures_with_fused_projections() -> None:
    ours, peer = pair()
    pixels, names = torch.randn(1, 3, 16, 16), set(ours.attn_processors)
    assert names == set(peer.attn_processors)
    expected = peer(pixels).sample
    ours.fuse_qkv_projections()
    close(ours(pixels).sample, expected)
    ours.unfuse_qkv_projections()
    close(ours(pixels).sample, expected)
    assert set(ours.state_dict()) == set(peer.state_dict())


@pytest.mark.parametrize("deterministic", [False, True])
def test_same_distribution(deterministic: bool) -> None:
    parameters, others, sample = 30 * torch.randn(2, 8, 3, 3), torch.randn(2, 8, 3, 3), torch.randn(2, 4, 3, 3)
    mine = [DiagonalGaussianDistribution(values, deterministic) for values in (parameters, others)]
    theirs = [PeerDistribution(values, deterministic) for values in (parameters, others)]
    for name in ("mean", "std", "var"):
        torch.testing.assert_close(getattr(mine[0], name), getattr(theirs[0], name))
    for one, other in (
        (mine[0].kl(), theirs[0].kl()),
        (mine[0].kl(mine[1]), theirs[0].kl(theirs[1])),
        (mine[0].nll(sample), theirs[0].nll(sample)),
        (mine[0].mode(), theirs[0].mode()),
    ):
        torch.testing.assert_close(one, other)
