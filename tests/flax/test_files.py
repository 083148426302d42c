"""Pipelines of JAX come from and go to files: Flax's own, and PyTorch's."""

from __future__ import annotations

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import calotype
from calotype.core.errors import CorruptFile, IncompatibleWeights, InvalidArgument, MissingFile, NotFinite
from calotype.flax.model import as_tensor
from calotype.flax.msgpack import msgpack_bytes
from calotype.flax.names import grown, leaves
from tests.flax.pairs import tiny_pair

Flax = calotype.FlaxStableDiffusionImg2ImgPipeline


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return tiny_pair(tmp_path_factory.mktemp("twins"))


@pytest.fixture
def folder(pair, tmp_path):
    pair.flax.save_pretrained(tmp_path, params=pair.params)
    return tmp_path


def index_of(folder, **changes):
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(leaf, other[key]) for key, leaf in one.items())


def test_what_is_saved_is_loaded_again_by_whichever_class(pair, folder):
    for kind in (Flax, calotype.FlaxDiffusionPipeline):
        made, params = kind.from_pretrained(folder)
        assert type(made) is Flax and params.keys() == pair.params.keys()
        for name in ("unet", "vae", "text_encoder"):
            assert same(leaves(params[name]), leaves(pair.params[name]))
            theirs, ours = getattr(pair.torch, name).config, getattr(made, name).config
            assert all(ours[key] == value for key, value in theirs.items() if not key.startswith("_"))
        assert isinstance(made.scheduler, calotype.FlaxDDIMScheduler)


def test_files_carry_the_published_names(folder):
    named = {path.relative_to(folder).as_posix() for path in folder.rglob("*.msgpack")}
    weights = "diffusion_flax_model.msgpack"
    assert named == {f"unet/{weights}", f"vae/{weights}", "text_encoder/flax_model.msgpack"}
    index = json.loads((folder / "model_index.json").read_text())
    assert index["text_encoder"] == ["transformers", "FlaxCLIPTextModel"]
    assert index["unet"] == ["diffusers", "FlaxUNet2DConditionModel"]
    assert json.loads((folder / "unet" / "config.json").read_text())["_class_name"] == "FlaxUNet2DConditionModel"


def test_a_folder_that_the_text_to_image_pipeline_of_flax_wrote_is_read(folder):
    index_of(folder, _class_name="FlaxStableDiffusionPipeline")
    assert type(Flax.from_pretrained(folder)[0]) is Flax


def test_components_that_are_given_are_not_loaded(folder):
    shutil.rmtree(folder / "scheduler")
    made, params = Flax.from_pretrained(folder, scheduler=calotype.FlaxPNDMScheduler(skip_prk_steps=True))
    assert isinstance(made.scheduler, calotype.FlaxPNDMScheduler)
    assert params["scheduler"].known.shape == (1000,)


def test_weights_in_half_stay_so_and_are_cast_where_asked(pair, folder):
    unet = pair.flax.unet
    unet.save_pretrained(folder / "unet", unet.to_bf16(pair.params["unet"]))
    made, params = calotype.FlaxUNet2DConditionModel.from_pretrained(folder, subfolder="unet", dtype="bfloat16")
    assert made.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in leaves(params).values()} == {jnp.dtype(jnp.bfloat16)}


def test_weights_of_pytorch_are_read_when_asked(pair, tmp_path):
    pair.torch.save_pretrained(tmp_path)
    with pytest.raises(MissingFile, match=r"diffusion_flax_model.msgpack.*from_pt=True"):
        Flax.from_pretrained(tmp_path)
    _, params = Flax.from_pretrained(tmp_path, from_pt=True)
    kernel = params["vae"]["encoder"]["conv_in"]["kernel"]
    assert torch.equal(as_tensor(kernel).permute(3, 2, 0, 1), pair.torch.vae.encoder.conv_in.weight)


def test_a_scheduler_without_a_twin_is_said_with_what_would_do(pair, tmp_path):
    pair.torch.save_pretrained(tmp_path)
    index_of(tmp_path, scheduler=["diffusers", "UniPCMultistepScheduler"])
    with pytest.raises(InvalidArgument, match=r"scheduler: .*FlaxPNDMScheduler.*UniPCMultistepScheduler"):
        Flax.from_pretrained(tmp_path, from_pt=True)


def test_pytorch_refuses_a_folder_of_flax(folder):
    with pytest.raises(InvalidArgument, match="FlaxStableDiffusionImg2ImgPipeline"):
        calotype.StableDiffusionImg2ImgPipeline.from_pretrained(folder)
    with pytest.raises(CorruptFile, match="_class_name"):
        calotype.DiffusionPipeline.from_pretrained(folder)


def rewritten(folder, change):
    """The UNet's weights, changed behind its back."""
    _, params = calotype.FlaxUNet2DConditionModel.from_pretrained(folder, subfolder="unet")
    tensors = {key: as_tensor(leaf) for key, leaf in leaves(params).items()}
    change(tensors)
    (folder / "unet" / "diffusion_flax_model.msgpack").write_bytes(b"".join(msgpack_bytes(grown(tensors))))


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (lambda t: t.pop("conv_in/bias"), IncompatibleWeights, "1 of .* missing: 'conv_in/bias'"),
        (lambda t: t.update({"conv_inn/bias": torch.zeros(1)}), IncompatibleWeights, "conv_inn/bias.*conv_in/bias"),
        (lambda t: t.update({"conv_in/bias": torch.zeros(5)}), IncompatibleWeights, r"conv_in/bias.*\(32,\).*\(5,\)"),
        (lambda t: t["conv_in/bias"].fill_(torch.nan), NotFinite, "conv_in/bias"),
    ],
    ids=["missing", "unknown", "another shape", "not finite"],
)
def test_weights_that_do_not_fit_are_refused_by_file_and_path(change, error, told, folder):
    rewritten(folder, change)
    with pytest.raises(error, match=told) as raised:
        Flax.from_pretrained(folder)
    assert "diffusion_flax_model.msgpack" in str(raised.value)


def test_a_config_that_does_not_fit_is_refused_by_file_and_name(folder):
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"block_out_channels": "wide"}))
    with pytest.raises(InvalidArgument, match=r"unet/config\.json: block_out_channels"):
        Flax.from_pretrained(folder)


def test_options_of_others_that_change_nothing_are_let_pass_and_unknown_ones_refused(folder):
    Flax.from_pretrained(folder, split_head_dim=True, use_memory_efficient_attention=True)
    with pytest.raises(TypeError, match="safety_checkers"):
        Flax.from_pretrained(folder, safety_checkers=None)


def test_weights_of_another_network_are_not_saved(pair, tmp_path):
    with pytest.raises(IncompatibleWeights, match="params"):
        pair.flax.unet.save_pretrained(tmp_path, pair.params["vae"])
    assert not any(tmp_path.iterdir())


def test_a_new_text_encoder_can_be_made_and_saved(tmp_path, pair):
    made = calotype.FlaxCLIPTextModel.from_config(pair.torch.text_encoder.config)
    params = made.init_weights(jax.random.PRNGKey(1))
    made.save_pretrained(tmp_path, params)
    assert same(leaves(calotype.FlaxCLIPTextModel.from_pretrained(tmp_path)[1]), leaves(params))
