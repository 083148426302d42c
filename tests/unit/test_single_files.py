"""Single files: recognised by keys and shapes, read without a network, written back tensor by tensor."""

from __future__ import annotations

import io
import json
import pickle
import socket

import pytest
import torch
from safetensors.torch import load_file, save_file

import calotype
from calotype.core.errors import CorruptFile, IncompatibleWeights, InvalidArgument, MissingFile, NotFinite, UnsafeFile
from calotype.core.links import linked_file
from calotype.core.tensors import SafetensorsFile
from calotype.models.original_files import contents
from calotype.models.vocabulary import clip_tokenizer, clip_words
from tests import originals
from tests.tiny import tiny_controlnet, tiny_pipeline, tiny_text_encoder, tiny_unet, tiny_vae

FULL = {
    "stable-diffusion": (originals.sd, {}),
    "stable-diffusion-xl": (originals.xl, {}),
    "stable-diffusion-xl-refiner": (originals.refiner, {}),
}
PIPELINES = {
    "stable-diffusion": "StableDiffusionPipeline",
    "stable-diffusion-xl": "StableDiffusionXLPipeline",
    "stable-diffusion-xl-refiner": "StableDiffusionXLImg2ImgPipeline",
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny pipeline, its folder, and its single file."""
    folder = tmp_path_factory.mktemp("single")
    pipe = tiny_pipeline(calotype.StableDiffusionPipeline)
    pipe.save_pretrained(folder / "folder")
    pipe.save_single_file(folder / "one.safetensors")
    return pipe, folder / "folder", folder / "one.safetensors"


def same(one, two):
    left, right = one.state_dict(), two.state_dict()
    return left.keys() == right.keys() and all(torch.equal(tensor, right[key]) for key, tensor in left.items())


@pytest.mark.parametrize("family", FULL)
def test_files_of_full_size_load_with_what_ships_with_the_package(tmp_path, family):
    """Each name and each shape of the originals finds its place; the files are hollow, so nothing is read of them."""
    path = originals.hollow(tmp_path / "a.safetensors", FULL[family][0]())
    assert contents(SafetensorsFile(path)).family == family
    kind = getattr(calotype, PIPELINES[family])
    pipe = kind.from_single_file(path, torch_dtype="auto", allow_nonfinite=True)
    assert all(network.dtype == torch.float16 for network in pipe.networks.values())
    refiner = family.endswith("refiner")
    assert (getattr(pipe, "text_encoder", None) is None) == refiner
    assert pipe.config.get("requires_aesthetics_score", False) == refiner
    assert pipe.vae.config.scaling_factor == (0.13025 if "xl" in family else 0.18215)
    name = "PNDMScheduler" if family == "stable-diffusion" else "EulerDiscreteScheduler"
    assert type(pipe.scheduler).__name__ == name


@pytest.mark.parametrize("base", ["SD", "XL"])
def test_nine_channels_are_for_inpainting(tmp_path, base):
    unet = originals.UNet(**{**vars(getattr(originals, base)), "entering": 9})
    path = originals.hollow(tmp_path / "a.safetensors", originals.behind("model.diffusion_model.", unet.unet()))
    found = contents(SafetensorsFile(path))
    assert found.inpaints and found.kind == f"stable-diffusion{'-xl' if base == 'XL' else ''} inpainting, original file"
    network = calotype.UNet2DConditionModel.from_single_file(path, torch_dtype="auto", allow_nonfinite=True)
    assert network.config.in_channels == 9


@pytest.mark.parametrize(("base", "scheduler"), [("SD", "DDIMScheduler"), ("XL", "EulerDiscreteScheduler")])
def test_inpainting_is_walked_as_it_was_published(tmp_path, base, scheduler):
    unet = originals.UNet(**{**vars(getattr(originals, base)), "entering": 9})
    path = originals.hollow(tmp_path / "a.safetensors", (originals.sd if base == "SD" else originals.xl)(unet))
    kind = f"StableDiffusion{'XL' if base == 'XL' else ''}InpaintPipeline"
    pipe = getattr(calotype, kind).from_single_file(path, torch_dtype="auto", allow_nonfinite=True)
    assert type(pipe.scheduler).__name__ == scheduler and pipe.unet.config.in_channels == 9
    assert pipe.scheduler.config.steps_offset == 1 and pipe.scheduler.config.beta_schedule == "scaled_linear"


@pytest.mark.parametrize("base", ["SD", "XL"])
@pytest.mark.parametrize("prefix", ["control_model.", ""])
def test_control_nets_of_full_size_load(tmp_path, base, prefix):
    shapes = originals.behind(prefix, getattr(originals, base).controlnet())
    path = originals.hollow(tmp_path / "a.safetensors", shapes)
    assert contents(SafetensorsFile(path)).kind.startswith("ControlNet of stable-diffusion")
    network = calotype.ControlNetModel.from_single_file(path, torch_dtype="auto", allow_nonfinite=True)
    assert network.config.cross_attention_dim == getattr(originals, base).context


@pytest.mark.parametrize("prefix", ["first_stage_model.", ""])
def test_autoencoders_of_full_size_load(tmp_path, prefix):
    path = originals.hollow(tmp_path / "a.safetensors", originals.behind(prefix, originals.vae()) | {"loss.logvar": ()})
    vae = calotype.AutoencoderKL.from_single_file(
        path, torch_dtype="auto", allow_nonfinite=True, scaling_factor=0.13025
    )
    assert vae.config.scaling_factor == 0.13025 and vae.dtype == torch.float16


@pytest.mark.parametrize("kind", ["StableDiffusionPipeline", "StableDiffusionXLPipeline", "refiner"])
def test_what_is_written_is_read_back_exactly(tmp_path, kind):
    refiner = {"refiner": True} if kind == "refiner" else {}
    cls = getattr(calotype, "StableDiffusionXLImg2ImgPipeline" if refiner else kind)
    pipe = tiny_pipeline(cls, **refiner)
    pipe.save_pretrained(tmp_path / "folder")
    pipe.save_single_file(tmp_path / "a.safetensors")
    back = cls.from_single_file(tmp_path / "a.safetensors", config=tmp_path / "folder")
    assert pipe.networks.keys() == back.networks.keys()
    assert all(same(network, back.networks[name]) for name, network in pipe.networks.items())
    back.save_single_file(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("make", [tiny_unet, tiny_vae, tiny_controlnet])
def test_networks_are_written_alone_and_read_back_exactly(tmp_path, make):
    network = make()
    network.save_single_file(tmp_path / "a.safetensors")
    network.save_pretrained(tmp_path / "folder")
    back = type(network).from_single_file(tmp_path / "a.safetensors", config=tmp_path / "folder")
    own = type(network).from_single_file(
        tmp_path / "folder" / "diffusion_pytorch_model.safetensors", config=network.config
    )
    assert same(network, back) and same(network, own)


def test_a_given_component_takes_the_place_of_the_files(made):
    _, folder, path = made
    other = tiny_text_encoder(7)
    pipe = calotype.StableDiffusionPipeline.from_single_file(path, config=folder, text_encoder=other)
    assert pipe.text_encoder is other and pipe.safety_checker is None


def test_types_are_as_asked(made):
    _, folder, path = made
    pipe = calotype.StableDiffusionPipeline.from_single_file(path, config=folder, torch_dtype=torch.bfloat16)
    assert {network.dtype for network in pipe.networks.values()} == {torch.bfloat16}


def test_averaged_weights_are_read_when_asked_for(made, tmp_path):
    _, folder, path = made
    tensors = load_file(path)
    weights = {key: t for key, t in tensors.items() if key.startswith("model.diffusion_model.")}
    averaged = {f"model_ema.{key.removeprefix('model.').replace('.', '')}": t + 1 for key, t in weights.items()}
    save_file(tensors | averaged, tmp_path / "a.safetensors")
    plain, ema = (
        calotype.UNet2DConditionModel.from_single_file(tmp_path / "a.safetensors", config=folder, extract_ema=asked)
        for asked in (False, True)
    )
    assert torch.equal(plain.conv_in.weight + 1, ema.conv_in.weight)
    with pytest.raises(InvalidArgument, match="extract_ema"):
        calotype.UNet2DConditionModel.from_single_file(path, config=folder, extract_ema=True)


def test_marks_of_velocity_reach_the_scheduler(made, tmp_path):
    _, folder, path = made
    save_file(load_file(path) | {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}, tmp_path / "a.safetensors")
    pipe = calotype.StableDiffusionPipeline.from_single_file(tmp_path / "a.safetensors", config=folder)
    told = pipe.scheduler.config
    assert told.prediction_type == "v_prediction" and told.rescale_betas_zero_snr
    pipe.save_single_file(tmp_path / "b.safetensors")
    assert {"v_pred", "ztsnr"} <= load_file(tmp_path / "b.safetensors").keys()


def test_pickles_are_read_with_permission_and_then_as_tensors_alone(made, tmp_path):
    pipe, folder, path = made
    torch.save({"state_dict": load_file(path)}, tmp_path / "a.ckpt")
    with pytest.raises(UnsafeFile, match="use_safetensors=False"):
        calotype.StableDiffusionPipeline.from_single_file(tmp_path / "a.ckpt", config=folder)
    back = calotype.StableDiffusionPipeline.from_single_file(tmp_path / "a.ckpt", config=folder, use_safetensors=False)
    assert same(pipe.unet, back.unet)
    (tmp_path / "harm.ckpt").write_bytes(pickle.dumps(io.BytesIO, 2))
    with pytest.raises(UnsafeFile, match="BytesIO"):
        calotype.StableDiffusionPipeline.from_single_file(tmp_path / "harm.ckpt", use_safetensors=False)


def spoilt(path, target, drop=(), **more):
    tensors = {key: t for key, t in load_file(path).items() if not key.startswith(tuple(drop) or "\0")}
    save_file(tensors | more, target)
    return target


def test_faults_are_named(made, tmp_path):
    _, folder, path = made
    read, target = calotype.StableDiffusionPipeline.from_single_file, tmp_path / "a.safetensors"
    for drop, name in (("first_stage_model.", "vae"), ("cond_stage_model.", "text_encoder")):
        with pytest.raises(IncompatibleWeights, match=f"weights of {name}"):
            read(spoilt(path, target, [drop]), config=folder)
    with pytest.raises(IncompatibleWeights, match=r"model\.layers\.0\.odd"):
        save_file({"model.layers.0.odd": torch.zeros(2)}, target)
        read(target)
    with pytest.raises(IncompatibleWeights, match="load_lora_weights"):
        save_file({"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": torch.zeros(2, 2)}, target)
        read(target)
    with pytest.raises(IncompatibleWeights, match=r"1 of .* tensors are missing"):
        read(spoilt(path, target, ["model.diffusion_model.out.2.bias"]), config=folder)
    with pytest.raises(IncompatibleWeights, match=r"fit no layer: 'odd\.weight'"):
        read(spoilt(path, target, **{"model.diffusion_model.odd.weight": torch.zeros(1)}), config=folder)
    with pytest.raises(IncompatibleWeights, match="expected shape"):
        read(path)  # a tiny file, and the configs of the full size
    with pytest.raises(NotFinite, match=r"out\.2\.bias"):
        bad = torch.full((4,), float("nan"))
        read(spoilt(path, target, **{"model.diffusion_model.out.2.bias": bad}), config=folder)
    with pytest.raises(CorruptFile, match="missing"):
        target.write_bytes(path.read_bytes()[:-8])
        read(target, config=folder)
    with pytest.raises(MissingFile, match="from_pretrained"):
        read(folder)
    with pytest.raises(MissingFile, match="safety_checker"):
        read(path, config=folder, load_safety_checker=True)
    with pytest.raises(InvalidArgument, match="controlnet"):
        calotype.StableDiffusionControlNetPipeline.from_single_file(path, config=folder)
    with pytest.raises(InvalidArgument, match=r"\.safetensors"):
        made[0].save_single_file(tmp_path / "a.ckpt")


def test_a_file_that_was_converted_halfway_is_read_whole(made, tmp_path):
    pipe, folder, path = made
    start, tensors = "model.diffusion_model.", load_file(path)
    for theirs, ours in (
        ("input_blocks.0.0.", "conv_in."),
        ("out.2.", "conv_out."),
        ("time_embed.0.", "time_embedding.linear_1."),
    ):
        for end in ("weight", "bias"):
            tensors[f"{start}{ours}{end}"] = tensors.pop(f"{start}{theirs}{end}")
    save_file(tensors, tmp_path / "a.safetensors")
    back = calotype.StableDiffusionPipeline.from_single_file(tmp_path / "a.safetensors", config=folder)
    assert same(pipe.unet, back.unet)


def test_a_file_of_another_family_is_refused_by_name(made, tmp_path):
    _, folder, path = made
    with pytest.raises(IncompatibleWeights, match="Load it with StableDiffusionPipeline"):
        calotype.StableDiffusionXLPipeline.from_single_file(path, config=folder)
    save_file({"cond_stage_model.model.ln_final.weight": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(IncompatibleWeights, match="stable-diffusion-2"):
        calotype.StableDiffusionPipeline.from_single_file(tmp_path / "a.safetensors")


@pytest.mark.parametrize("address", ["https://example.org/a/b/blob/main/c.safetensors", "https://example.org/a/b"])
def test_links_elsewhere_are_refused(address):
    with pytest.raises(InvalidArgument, match="another address"):
        linked_file(address, {}, (".safetensors",))


def test_original_configs_are_understood(tmp_path):
    sizes = dict(ch=8, ch_mult=[1, 2], num_res_blocks=1, in_channels=3, out_ch=3, z_channels=4, resolution=32)
    told = {"model": {"params": {"first_stage_config": {"params": {"ddconfig": sizes}}, "scale_factor": 0.5}}}
    tiny_vae(norm_num_groups=8).save_single_file(tmp_path / "a.safetensors")
    (tmp_path / "a.yaml").write_text(json.dumps(told))  # YAML reads JSON too
    for given in (told, tmp_path / "a.yaml"):
        vae = calotype.AutoencoderKL.from_single_file(
            tmp_path / "a.safetensors", original_config=given, norm_num_groups=8
        )
        assert vae.config.block_out_channels == (8, 16) and vae.config.scaling_factor == 0.5
    with pytest.raises(InvalidArgument, match="first_stage_config"):
        calotype.AutoencoderKL.from_single_file(tmp_path / "a.safetensors", original_config={"model": {"params": {}}})


def test_the_words_of_clip_ship_with_the_package():
    words, tokenizer = clip_words(), clip_tokenizer(pad_token="!")
    assert len(words.vocab) == len(tokenizer) == 49408
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokenizer.pad_token_id == 0 and tokenizer.model_max_length == 77
