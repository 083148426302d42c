from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from calotype.core.errors import InvalidArgument
from calotype.models.wan_vae import AutoencoderKLWan
from tests.tiny_helios import vae


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, atol=3e-5, rtol=0)


def test_the_true_size_is_that_of_the_files() -> None:
    with torch.device("meta"):
        network = AutoencoderKLWan()
    assert (len(network.state_dict()), network.num_parameters()) == (194, 126_892_531)


def test_weights_and_config_come_back_from_a_folder(tmp_path: Path) -> None:
    network = vae()
    network.save_pretrained(tmp_path)
    again = AutoencoderKLWan.from_pretrained(tmp_path)
    assert {**again.config}.items() >= {key: value for key, value in network.config.items() if key[0] != "_"}.items()
    for key, weight in network.state_dict().items():
        assert torch.equal(again.state_dict()[key], weight)


@torch.no_grad()
def test_no_frame_depends_on_a_later_latent() -> None:
    network, latents = vae(), torch.randn(1, 4, 4, 2, 2)
    whole = network.decode(latents).sample
    for count in (1, 2, 3):
        close(network.decode(latents[:, :, :count]).sample, whole[:, :, : 4 * count - 3])


@torch.no_grad()
def test_no_latent_depends_on_a_later_frame() -> None:
    network, video = vae(), torch.randn(1, 3, 13, 16, 16)
    whole = network.encode(video).latent_dist.parameters
    for count in (1, 5, 9):
        close(network.encode(video[:, :, :count]).latent_dist.parameters, whole[:, :, : 1 + count // 4])


@torch.no_grad()
def test_later_frames_depend_on_earlier_latents() -> None:
    network, latents = vae(), torch.randn(1, 4, 2, 2, 2)
    other = torch.cat([torch.randn(1, 4, 1, 2, 2), latents[:, :, 1:]], dim=2)
    before, after = (network.decode(z).sample[:, :, -1] for z in (latents, other))
    assert (before - after).abs().max() > 0.01


@torch.no_grad()
@pytest.mark.parametrize("latents_at_once", [1, 2, 3, 4])
def test_groups_are_the_whole(latents_at_once: int) -> None:
    network, video, latents = vae(attn_scales=(0.5,)), torch.randn(2, 3, 21, 16, 16), torch.randn(2, 4, 6, 2, 2)
    whole = network.encode(video).latent_dist.parameters, network.decode(latents).sample
    network.latents_at_once = latents_at_once
    close(network.encode(video).latent_dist.parameters, whole[0])
    close(network.decode(latents).sample, whole[1])


@torch.no_grad()
def test_frames_come_group_by_group() -> None:
    network, latents = vae(), torch.randn(1, 4, 5, 2, 2)
    groups = list(network.decode_frames(latents, latents_at_once=2))
    assert [group.shape[2] for group in groups] == [5, 8, 4]
    close(torch.cat(groups, dim=2), network.decode(latents).sample)


@torch.no_grad()
def test_a_group_is_made_when_it_is_asked_for() -> None:
    network, latents = vae(), torch.randn(1, 4, 3, 2, 2)
    frames = network.decode_frames(latents, latents_at_once=1)
    first = next(frames)
    latents[:, :, 1:] = 0
    close(torch.cat([first, *frames], dim=2), network.decode(latents).sample)


@torch.no_grad()
def test_videos_on_several_threads_do_not_meet() -> None:
    network = vae()
    network.latents_at_once = 1
    latents = torch.randn(6, 4, 3, 2, 2).split(1)
    alone = [network.decode(z).sample for z in latents]
    with ThreadPoolExecutor(6) as threads:
        for made, expected in zip(threads.map(decoded, [network] * 6, latents), alone, strict=True):
            close(made, expected)


@torch.no_grad()
def decoded(network: AutoencoderKLWan, z: torch.Tensor) -> torch.Tensor:
    return network.decode(z).sample


@torch.no_grad()
def test_an_abandoned_video_leaves_nothing_behind() -> None:
    network, latents = vae(), torch.randn(1, 4, 3, 2, 2)
    whole = network.decode(latents).sample
    next(network.decode_frames(latents, latents_at_once=1))
    close(network.decode(latents).sample, whole)


@torch.no_grad()
def test_slices_are_the_batch() -> None:
    network, video = vae(), torch.randn(3, 3, 5, 16, 16)
    whole = network(video).sample
    network.enable_slicing()
    network.latents_at_once = 1
    close(network(video).sample, whole)
    network.disable_slicing()
    close(network(video).sample, whole)


@torch.no_grad()
def test_a_tile_is_what_it_is_alone_and_fades_into_the_next() -> None:
    network, latents = vae(), torch.randn(1, 4, 3, 4, 8)
    network.decoder.conv_out.weight.mul_(0.1)  # blended before it is held to [-1, 1]
    left, right = (network.decode(part).sample for part in (latents[..., :6], latents[..., 4:]))
    network.enable_tiling(48, 48, 32, 32)  # latents 0 to 5 and 4 to 7
    tiles = network.decode(latents).sample
    close(tiles[..., :32], left[..., :32])
    close(tiles[..., 48:], right[..., 16:])
    share = torch.arange(16) / 16
    close(tiles[..., 32:48], left[..., 32:] * (1 - share) + right[..., :16] * share)


@torch.no_grad()
def test_tiles_of_groups_are_tiles_of_the_whole() -> None:
    network, video = vae(), torch.randn(2, 3, 9, 40, 56)
    whole = network(video).sample
    network.enable_tiling(32, 32, 24, 24)
    tiles = network(video).sample
    assert tiles.shape == whole.shape
    assert not torch.equal(tiles, whole)
    network.latents_at_once = 1
    close(network(video).sample, tiles)
    network.disable_tiling()
    close(network(video).sample, whole)


def test_training_reaches_every_weight() -> None:
    network = vae().train()
    network(torch.randn(1, 3, 9, 16, 16), sample_posterior=True).sample.square().mean().backward()
    assert not [name for name, weight in network.named_parameters() if weight.grad is None]


@torch.no_grad()
def test_half_precision_is_near() -> None:
    network, video = vae(), torch.rand(1, 3, 9, 16, 16) * 2 - 1
    moments = network.encode(video).latent_dist.mode()
    whole = network.decode(moments).sample
    network.to(dtype=torch.bfloat16)
    torch.testing.assert_close(network.encode(video.bfloat16()).latent_dist.mode().float(), moments, atol=0.05, rtol=0)
    frames = network.decode(moments.bfloat16()).sample
    assert frames.dtype is torch.bfloat16
    assert (frames - whole).abs().mean() < 0.02


WRONG: dict[str, tuple[str, Any]] = {
    r"x: expected shape \(batch, 3, frames, height, width\), found shape \(1, 3, 16, 16\)": ("encode", (1, 3, 16, 16)),
    r"x: .*found shape \(1, 4, 5, 16, 16\)": ("encode", (1, 4, 5, 16, 16)),
    r"x: expected 1 \+ 4 \* n frames, found 7. Leave out 2 or add 2": ("encode", (1, 3, 7, 16, 16)),
    r"x: expected frames of at least 8 x 8 pixels, found 4 x 16": ("encode", (1, 3, 1, 4, 16)),
    r"z: expected shape \(batch, 4, frames, height, width\), found shape \(1, 16, 2, 2, 2\)": (
        "decode",
        (1, 16, 2, 2, 2),
    ),
    r"z: .*found shape \(1, 4, 0, 2, 2\)": ("decode_frames", (1, 4, 0, 2, 2)),
}


@pytest.mark.parametrize(("message", "call"), WRONG.items())
def test_what_does_not_fit_is_refused(message: str, call: tuple[str, tuple[int, ...]]) -> None:
    with pytest.raises(InvalidArgument, match=message):
        getattr(vae(), call[0])(torch.zeros(call[1]))


@pytest.mark.parametrize("latents_at_once", [0, -1, 1.5])
def test_groups_of_no_latents_are_refused(latents_at_once: Any) -> None:
    with pytest.raises(InvalidArgument, match="latents_at_once: expected a whole number from 1"):
        vae().decode_frames(torch.zeros(1, 4, 2, 2, 2), latents_at_once)


@pytest.mark.parametrize("sizes", [(0,), (100,), (64, 64, 96), (64, 64, 64, -8)])
def test_tiles_that_do_not_fit_are_refused(sizes: tuple[int, ...]) -> None:
    network = vae()
    with pytest.raises(InvalidArgument, match=r"tile_sample_.*: expected a multiple of 8 pixels"):
        network.enable_tiling(*sizes)
    assert (network.use_tiling, network.tile_sample_min_height) == (False, 256)


def test_a_last_tile_of_few_pixels_is_refused() -> None:
    network = vae()
    network.enable_tiling(32, 32, 24, 24)
    with pytest.raises(InvalidArgument, match="x: expected frames that leave 8 pixels for the last tile, found 1"):
        network.encode(torch.zeros(1, 3, 1, 16, 49))


@pytest.mark.parametrize(
    "config", [{"is_residual": True}, {"patch_size": 2}, {"temperal_downsample": (True,)}], ids=str
)
def test_other_autoencoders_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(config))):
        vae(**config)
