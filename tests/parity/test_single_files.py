"""The peer reads the single files that we write, we read what its converter reads, and the pictures are the same."""

from __future__ import annotations

import diffusers
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file

import calotype
from calotype.models.original_configs import NETWORKS
from tests import originals
from tests.tiny import tiny_inputs, tiny_pipeline, tiny_unet, tiny_vae

KINDS = {
    "SD": ("StableDiffusionPipeline", {}),
    "SD inpainting": ("StableDiffusionInpaintPipeline", {"in_channels": 9}),
    "SDXL": ("StableDiffusionXLPipeline", {}),
    "SDXL inpainting": ("StableDiffusionXLInpaintPipeline", {"in_channels": 9}),
    "SDXL refiner": ("StableDiffusionXLImg2ImgPipeline", {"refiner": True}),
}


def made(kind, options):
    """A tiny pipeline of this class; its UNet with other channels, or as a refiner."""
    if "in_channels" not in options:
        return tiny_pipeline(getattr(calotype, kind), **options)
    plain = tiny_pipeline(getattr(calotype, kind))
    told = {name: value for name, value in plain.unet.config.items() if not name.startswith("_")}
    plain.unet = tiny_unet(**{**told, **options})
    return plain


@pytest.mark.parametrize(("kind", "options"), KINDS.values(), ids=KINDS)
def test_both_make_the_same_picture_of_a_single_file(tmp_path, kind, options):
    pipe = made(kind, options)
    pipe.save_pretrained(tmp_path / "folder")
    pipe.save_single_file(tmp_path / "a.safetensors")
    # the peer fills the second encoder only where it has its published width: here it is given it
    second = {}
    if "XL" in kind:
        folder = tmp_path / "folder" / "text_encoder_2"
        second = {"text_encoder_2": transformers.CLIPTextModelWithProjection.from_pretrained(folder)}
    pictures = []
    for library, given in ((diffusers, second), (calotype, {})):
        read = getattr(library, kind).from_single_file
        where = {"config": str(tmp_path / "folder"), "local_files_only": True}
        one = read(str(tmp_path / "a.safetensors"), **where, **given)
        one.set_progress_bar_config(disable=True)
        asked = tiny_inputs(kind) | dict(prompt="hello cat", num_inference_steps=2, output_type="np")
        pictures.append(one(**asked, generator=torch.Generator().manual_seed(0)).images)
    assert np.abs(pictures[0] - pictures[1]).max() <= 1e-4


def assert_both_read_the_same(kind, path, folder):
    expected, got = (
        getattr(library, kind).from_single_file(str(path), config=str(folder), local_files_only=True).state_dict()
        for library in (diffusers, calotype)
    )
    assert expected.keys() == got.keys()
    assert all(torch.equal(tensor, got[key]) for key, tensor in expected.items())


def filled(shapes):
    """Random tensors; names and shapes are the originals', laid down apart from our rules."""
    torch.manual_seed(0)
    return {name: torch.randn(shape) * 0.05 for name, shape in shapes.items()}


def test_the_peers_converter_finds_the_same_weights_in_a_controlnet(tmp_path):
    small = {"width": 32, "context": 16, "depth": (1,) * len(originals.SD.mult)}
    shapes = originals.UNet(**{**vars(originals.SD), **small}).controlnet()
    save_file(filled(originals.behind("control_model.", shapes)), tmp_path / "a.safetensors")
    sizes = {"block_out_channels": (32, 64, 128, 128), "cross_attention_dim": 16, "attention_head_dim": 8}
    calotype.ControlNetModel(**NETWORKS["stable-diffusion"]["controlnet"] | sizes).save_pretrained(tmp_path / "folder")
    assert_both_read_the_same("ControlNetModel", tmp_path / "a.safetensors", tmp_path / "folder")


@pytest.mark.parametrize("prefix", ["first_stage_model.", ""])
def test_the_peers_converter_finds_the_same_weights_in_an_autoencoder(tmp_path, prefix):
    save_file(filled(originals.behind(prefix, originals.vae(width=8))), tmp_path / "a.safetensors")
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    config = blocks | {"block_out_channels": (8, 16, 32, 32), "layers_per_block": 2}
    tiny_vae(**config).save_pretrained(tmp_path / "folder")
    assert_both_read_the_same("AutoencoderKL", tmp_path / "a.safetensors", tmp_path / "folder")


def test_the_peer_reads_the_networks_that_we_write(tmp_path):
    vae = tiny_vae()
    vae.save_single_file(tmp_path / "a.safetensors")
    vae.save_pretrained(tmp_path / "folder")
    assert_both_read_the_same("AutoencoderKL", tmp_path / "a.safetensors", tmp_path / "folder")
