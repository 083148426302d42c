"""Pipelines from files and into files: what is asked for is loaded, what is wrong is refused at load, never at the first step."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import calotype
from calotype.core.errors import (
    CalotypeError,
    CorruptFile,
    IncompatibleWeights,
    InvalidArgument,
    MissingFile,
    UnknownArgument,
)
from tests.tiny import tiny_safety_checker, tiny_stable_diffusion

Pipeline = calotype.StableDiffusionPipeline
FILES = {
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
    "safety_checker": "model.safetensors",
}


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A saved pipeline with all components."""
    folder = tmp_path_factory.mktemp("saved")
    extractor = calotype.CLIPImageProcessor(size={"shortest_edge": 30}, crop_size={"height": 30, "width": 30})
    pipe = tiny_stable_diffusion(Pipeline, safety_checker=tiny_safety_checker(), feature_extractor=extractor)
    pipe.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(original, tmp_path) -> Path:
    """A copy of it to spoil."""
    return Path(shutil.copytree(original, tmp_path / "spoilt"))


def picture(pipe):
    pipe.set_progress_bar_config(disable=True)
    return pipe("a cube", height=32, width=32, num_inference_steps=2, generator=0, output_type="np").images


def change_index(folder, **changes):
    path = folder / "model_index.json"
    index = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in index.items() if v != "gone"}))


@pytest.mark.parametrize("part", FILES)
def test_without_any_one_of_its_tensors_no_network_loads(original, tmp_path, part):
    path = original / part / FILES[part]
    tensors, folder = load_file(path), tmp_path / part
    shutil.copytree(original / part, folder)
    network = type(getattr(Pipeline.from_pretrained(original), part))
    for key in tensors:
        save_file({k: v for k, v in tensors.items() if k != key}, folder / FILES[part], {"format": "pt"})
        with pytest.raises(IncompatibleWeights, match=key.replace(".", r"\.")):
            network.from_pretrained(folder)


@pytest.mark.parametrize("part", FILES)
def test_weights_of_another_shape_or_with_extra_tensors_are_refused(folder, part):
    path = folder / part / FILES[part]
    tensors = load_file(path)
    key = next(k for k, v in tensors.items() if v.ndim > 1)
    save_file({**tensors, key: tensors[key][:-1].clone()}, path, {"format": "pt"})
    with pytest.raises(IncompatibleWeights, match=key.replace(".", r"\.")):
        Pipeline.from_pretrained(folder)
    save_file({**tensors, f"{key}.extra": torch.zeros(1)}, path, {"format": "pt"})
    with pytest.raises(IncompatibleWeights, match="extra"):
        Pipeline.from_pretrained(folder)


def test_dtypes_are_given_to_all_or_by_name(original):
    assert {n.dtype for n in Pipeline.from_pretrained(original, torch_dtype=torch.bfloat16).networks.values()} == {
        torch.bfloat16
    }
    assert {n.dtype for n in Pipeline.from_pretrained(original, dtype=torch.float16).networks.values()} == {
        torch.float16
    }
    mixed = Pipeline.from_pretrained(original, torch_dtype={"vae": torch.float32, "default": torch.bfloat16})
    assert (mixed.vae.dtype, mixed.unet.dtype) == (torch.float32, torch.bfloat16)
    unsaid = Pipeline.from_pretrained(original, torch_dtype={"unet": torch.bfloat16})
    assert (unsaid.vae.dtype, unsaid.unet.dtype) == (torch.float32, torch.bfloat16)


def test_a_variant_is_loaded_where_it_is_and_said_where_it_is_not(folder, caplog):
    unet = calotype.UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float16)
    unet.save_pretrained(folder / "unet", variant="fp16")
    with caplog.at_level("WARNING", "calotype"):
        pipe = Pipeline.from_pretrained(folder, variant="fp16", torch_dtype="auto")
    assert (pipe.unet.dtype, pipe.vae.dtype) == (torch.float16, torch.float32)
    assert "vae" in caplog.text and "fp16" in caplog.text


def test_components_that_are_passed_are_not_loaded(original, folder):
    (folder / "unet" / FILES["unet"]).unlink()
    unet = Pipeline.from_pretrained(original).unet
    pipe = Pipeline.from_pretrained(folder, unet=unet, safety_checker=None, feature_extractor=None)
    assert pipe.unet is unet and pipe.safety_checker is None
    assert np.array_equal(picture(pipe), picture(Pipeline.from_pretrained(original, safety_checker=None)))


def test_a_device_map_places_the_networks(original):
    assert Pipeline.from_pretrained(original, device_map="cpu").device == torch.device("cpu")
    with pytest.raises(InvalidArgument, match="device_map"):
        Pipeline.from_pretrained(original, device_map="everywhere")


def test_a_pipe_of_another_task_shares_the_components(original):
    first = Pipeline.from_pretrained(original)
    for task in ("Image2Image", "Inpainting", "Text2Image"):
        other = getattr(calotype, f"AutoPipelineFor{task}").from_pipe(first)
        assert all(other.components[name] is part for name, part in first.components.items() if name != "scheduler")
    changed = calotype.StableDiffusionImg2ImgPipeline.from_pipe(
        first, safety_checker=None, requires_safety_checker=False
    )
    assert changed.safety_checker is None and changed.config.requires_safety_checker is False
    with pytest.raises(UnknownArgument, match=r"unett.*unet"):
        Pipeline.from_pipe(first, unett=None)


@pytest.mark.parametrize(
    "name", ["AutoPipelineForText2Image", "AutoPipelineForImage2Image", "AutoPipelineForInpainting"]
)
def test_auto_pipelines_are_not_made_by_hand(name):
    with pytest.raises(OSError, match="from_pretrained"):
        getattr(calotype, name)()


# What is changed in a good folder, the error, and words of its text.
SPOILT = {
    "no index": (lambda f: (f / "model_index.json").unlink(), MissingFile, ["model_index.json"]),
    "empty index": (lambda f: (f / "model_index.json").write_text(""), CorruptFile, ["model_index.json"]),
    "an array": (lambda f: (f / "model_index.json").write_text("[]"), CorruptFile, ["model_index.json"]),
    "no class": (lambda f: change_index(f, _class_name="gone"), CorruptFile, ["_class_name"]),
    "class is a number": (lambda f: change_index(f, _class_name=3), CorruptFile, ["_class_name", "3"]),
    "unknown class": (lambda f: change_index(f, _class_name="StableDifusionPipeline"), CalotypeError, ["StableDifusionPipeline", "StableDiffusionPipeline"]),
    "no pipeline": (lambda f: change_index(f, _class_name="AutoencoderKL"), CorruptFile, ["AutoencoderKL"]),
    "a word for a component": (lambda f: change_index(f, unet="UNet2DConditionModel"), CorruptFile, ["unet"]),
    "three words": (lambda f: change_index(f, unet=["diffusers", "UNet2DConditionModel", "x"]), CorruptFile, ["unet"]),
    "null": (lambda f: change_index(f, unet=None), CorruptFile, ["unet"]),
    "nothing": (lambda f: change_index(f, unet="gone"), CorruptFile, ["unet"]),
    "numbers": (lambda f: change_index(f, unet=[1, 2]), CorruptFile, ["unet"]),
    "unknown component": (lambda f: change_index(f, unet=["diffusers", "UNet2DConditonModel"]), CalotypeError, ["UNet2DConditonModel", "UNet2DConditionModel"]),
    "a module of Python": (lambda f: change_index(f, unet=["os", "system"]), CalotypeError, ["system"]),
    "code in the repository": (lambda f: change_index(f, unet=["unet.my_unet", "MyUNet"]), CalotypeError, ["MyUNet"]),
    "another network": (lambda f: change_index(f, unet=["diffusers", "AutoencoderKL"]), CalotypeError, ["unet/config.json", "UNet2DConditionModel"]),
    "no folder": (lambda f: shutil.rmtree(f / "unet"), MissingFile, ["unet"]),
    "no weights": (lambda f: (f / "unet" / FILES["unet"]).unlink(), MissingFile, ["unet", "safetensors"]),
    "no config": (lambda f: (f / "vae" / "config.json").unlink(), MissingFile, ["vae", "config.json"]),
    "no tokenizer": (lambda f: shutil.rmtree(f / "tokenizer"), MissingFile, ["tokenizer"]),
    "no merges": (lambda f: (f / "tokenizer" / "merges.txt").unlink(), MissingFile, ["merges.txt"]),
    "no scheduler": (lambda f: (f / "scheduler" / "scheduler_config.json").unlink(), MissingFile, ["scheduler_config.json"]),
    "unknown scheduler option value": (lambda f: change_config(f / "scheduler/scheduler_config.json", prediction_type="zzz"), InvalidArgument, ["prediction_type", "zzz", "epsilon"]),
    "a text for a number": (lambda f: change_config(f / "vae/config.json", latent_channels="4"), CalotypeError, ["vae/config.json", "latent_channels", "4"]),
    "a config that the weights contradict": (lambda f: change_config(f / "unet/config.json", layers_per_block=2), IncompatibleWeights, ["unet"]),
    "a folder above": (lambda f: change_index(f, **{"../unet": ["diffusers", "UNet2DConditionModel"]}), None, []),
}  # fmt: skip


def change_config(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_folder_is_refused_at_load(folder, fault):
    spoil, error, words = SPOILT[fault]
    spoil(folder)
    if error is None:  # names that no pipeline takes reach nothing
        Pipeline.from_pretrained(folder)
        return
    with pytest.raises(error) as caught:
        calotype.DiffusionPipeline.from_pretrained(folder)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("given", "error", "word"),
    [
        ({"torch_dtyp": torch.float16}, UnknownArgument, "torch_dtype"),
        ({"unett": None}, UnknownArgument, "unet"),
        ({"custom_pipeline": "clip_guided"}, CalotypeError, "custom_pipeline"),
        ({"trust_remote_code": True}, CalotypeError, "trust_remote_code"),
        ({"torch_dtype": torch.int8}, CalotypeError, "torch_dtype"),
        ({"torch_dtype": "float33"}, CalotypeError, "torch_dtype"),
        ({"variant": "fp16"}, CalotypeError, "fp16"),
    ],
)
def test_unknown_ways_to_load_are_refused(original, given, error, word):
    with pytest.raises(error, match=word):
        Pipeline.from_pretrained(original, **given)


def test_a_save_that_fails_leaves_the_old_pipeline_whole(original, folder, monkeypatch):
    before = picture(Pipeline.from_pretrained(folder, safety_checker=None))
    other = tiny_stable_diffusion(Pipeline, seed=1)
    monkeypatch.setattr(type(other.vae), "state_dict", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        other.save_pretrained(folder)
    monkeypatch.undo()
    assert np.array_equal(picture(Pipeline.from_pretrained(folder, safety_checker=None)), before)
    assert not list(folder.rglob("*.tmp"))
