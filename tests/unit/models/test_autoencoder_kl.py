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
    vae.enable_tiling()
    assert torch.equal(vae.decode(small).sample, expected[0])
    assert not torch.equal(vae.decode(large).sample, expected[1])
    vae.disable_tiling()
    assert torch.equal(vae.decode(large).sample, expected[1])


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
