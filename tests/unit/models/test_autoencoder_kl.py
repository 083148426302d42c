from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from calotype.core.errors import InvalidArgument
from calotype.models.autoencoder_kl import AutoencoderKL
from calotype.models.layers.processors import AttnProcessor
from tests.tiny import tiny_vae


@torch.no_grad()
def test_slices_are_the_batch() -> None:
    vae, pixels = tiny_vae(), torch.randn(3, 3, 16, 16)
    whole = vae(pixels).sample
    vae.enable_slicing()
    torch.testing.assert_close(vae(pixels).sample, whole)
    vae.disable_slicing()
    assert not vae.use_slicing


@torch.no_grad()
def test_tiles_are_used_for_large_pictures_only_and_only_when_asked() -> None:
    vae, small, large = tiny_vae(), torch.randn(1, 4, 16, 16), torch.randn(1, 4, 24, 16)
    expected = vae.decode(small).sample, vae.decode(large).sample
    vae.enable_tiling(seams=True)
    assert torch.equal(vae.decode(small).sample, expected[0])
    assert not torch.equal(vae.decode(large).sample, expected[1])
    vae.disable_tiling()
    assert torch.equal(vae.decode(large).sample, expected[1])


FOUR = {
    "block_out_channels": (8, 16, 16, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}
AUTOENCODERS = {
    "stable-diffusion": FOUR | {"sample_size": 64},
    "stable-diffusion-xl": FOUR | {"sample_size": 64, "scaling_factor": 0.13025, "layers_per_block": 2},
    "attention on a level": {
        "down_block_types": ("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        "up_block_types": ("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
    },
}


@torch.no_grad()
@pytest.mark.parametrize("size", [(128, 128), (72, 184), (200, 64), (97, 131)], ids=str)
@pytest.mark.parametrize("config", AUTOENCODERS.values(), ids=AUTOENCODERS)
def test_tiles_leave_no_seams(config: dict[str, object], size: tuple[int, int]) -> None:
    vae, pixels = tiny_vae(**config), torch.rand(2, 3, *size) * 2 - 1
    latents = vae.encode(pixels).latent_dist.parameters
    picture = vae.decode(latents[:, :4]).sample
    vae.enable_tiling()
    level = 2 / 255  # of pixels in [-1, 1]: one of 255 levels
    assert (vae.encode(pixels).latent_dist.parameters - latents).abs().max() < 0.01 * level
    assert (vae.decode(latents[:, :4]).sample - picture).abs().max() < 0.01 * level
    assert picture.std() > 10 * level


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_tiles_of_half_precision_are_as_near_to_the_truth_as_the_whole(dtype: torch.dtype) -> None:
    vae, latents = tiny_vae(**FOUR, sample_size=64), torch.randn(1, 4, 16, 12)
    truth = vae.decode(latents).sample
    vae = vae.to(dtype)
    whole = vae.decode(latents.to(dtype)).sample
    vae.enable_tiling()
    tiles = vae.decode(latents.to(dtype)).sample
    assert tiles.dtype == dtype
    assert (tiles - truth).abs().mean() < 1.2 * (whole - truth).abs().mean()


def test_gradients_flow_through_tiles() -> None:
    vae, latents = tiny_vae(), torch.randn(1, 4, 24, 16)
    expected = torch.autograd.grad(vae.decode(latents.requires_grad_()).sample.square().sum(), latents)[0]
    vae.enable_tiling()
    found = torch.autograd.grad(vae.decode(latents).sample.square().sum(), latents)[0]
    torch.testing.assert_close(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=0)


@torch.no_grad()
def test_no_convolution_sees_more_than_a_tile_and_its_margin() -> None:
    vae, seen = tiny_vae(**FOUR, sample_size=64), []
    for name, layer in vae.decoder.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_pre_hook(lambda layer, given, name=name: seen.append((name, *given[0].shape[-2:])))
    vae.enable_tiling()
    vae.decode(torch.randn(1, 4, 24, 16))
    assert max(max(height, width) for _, height, width in seen) <= 64 + 2 * 4  # doubled within the layer that doubles
    assert len(seen) == 6 * len({name for name, *_ in seen})  # 3 rows of 2


@torch.no_grad()
def test_other_attention_processors_see_the_same_picture() -> None:
    vae, pixels = tiny_vae(), torch.randn(1, 3, 16, 16)
    expected = vae(pixels).sample
    vae.set_attn_processor(AttnProcessor())
    assert {type(processor) for processor in vae.attn_processors.values()} == {AttnProcessor}
    torch.testing.assert_close(vae(pixels).sample, expected)


def test_files_with_the_first_names_of_attention_layers_are_read(tmp_path: Path) -> None:
    vae = tiny_vae()
    vae.save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    for new, old in {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}.items():
        state = {key.replace(new, old): tensor for key, tensor in state.items()}
    assert sum(".query." in key for key in state) == 4
    save_file(state, file)
    again = AutoencoderKL.from_pretrained(tmp_path)
    assert all(torch.equal(tensor, again.state_dict()[key]) for key, tensor in vae.state_dict().items())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"down_block_types": ("DownEncoderBlock2D",)}, ["down_block_types", "2 names", "1"]),
        (
            {"up_block_types": ("UpDecoderBlock2D", "UpBlock2D")},
            ["up_block_types", "AttnUpDecoderBlock2D", "'UpBlock2D'"],
        ),
        ({"act_fn": "sin"}, ["act_fn", "silu", "'sin'"]),
        ({"latent_channels": "4"}, ["latent_channels", "int", '"4"']),
    ],
    ids=lambda value: None,
)
def test_a_config_that_cannot_be_built_is_refused_by_name(config: dict[str, object], words: list[str]) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        tiny_vae(**config)
    assert all(word in str(refusal.value) for word in words)
