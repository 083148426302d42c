"""IP-Adapters come, are looked at, and go without a trace; what does not fit is refused before anything changes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import calotype
from calotype import IPAdapterMaskProcessor, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from calotype.adapters.ip_adapter_training import beside, fresh_adapter, save_adapter
from calotype.core.errors import (
    CalotypeError,
    CorruptFile,
    IncompatibleWeights,
    InvalidArgument,
    MissingFile,
    NotFinite,
)
from tests.ip_adapters import FACE, PATCH, SEEN, adapter, faceid, flat
from tests.tiny import tiny_image_encoder, tiny_inputs, tiny_pipeline, tiny_unet
from tests.unit.test_offload import DEVICE

KINDS = [name for name in calotype.__all__ if name.startswith("StableDiffusion") and name.endswith("Pipeline")]


def picture(seed: int) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(levels).resize((40, 40), Image.Resampling.NEAREST)


@pytest.fixture
def pipe() -> Any:
    return tiny_pipeline(StableDiffusionPipeline)


@pytest.fixture(scope="module")
def lent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A pipeline without an adapter and one with, for tests of what changes nothing."""
    bare, seeing = (tiny_pipeline(StableDiffusionPipeline) for _ in range(2))
    return bare, load(seeing, filled(tmp_path_factory.mktemp("adapters"), seeing.unet))


@pytest.fixture
def folder(pipe: Any, tmp_path: Path) -> Path:
    return filled(tmp_path, pipe.unet)


def filled(folder: Path, unet: Any) -> Path:
    """A folder with two adapters for a UNet and an image encoder."""
    tiny_image_encoder().save_pretrained(folder / "image_encoder")
    for kind in ("base", "plus"):
        save_file(flat(adapter(unet, kind)), folder / f"{kind}.safetensors")
    return folder


def load(pipe: Any, folder: Path, *names: str, **options: Any) -> Any:
    pipe.load_ip_adapter(folder, weight_name=[f"{name}.safetensors" for name in names or ("base",)], **options)
    return pipe


def drawn(pipe: Any, **options: Any) -> Any:
    given = {"prompt": "a cat", "generator": 0, "num_inference_steps": 2, "output_type": "np"}
    return pipe(**given | options).images


def state(pipe: Any) -> Any:
    """All that an adapter could change."""
    unet = pipe.unet
    tensors = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    return (
        list(tensors),
        dict(unet.config),
        {name: id(processor) for name, processor in unet.attn_processors.items()},
        {name: id(part) for name, part in pipe.components.items()},
        {name: list(getattr(processor, "scale", ())) for name, processor in unet.attn_processors.items()},
        dict(pipe.config),
    )


# ---------------------------------------------------------------------- in and out


@pytest.mark.parametrize("kind", KINDS)
def test_every_pipeline_looks_at_pictures_and_forgets_them(kind: str, tmp_path: Path):
    pipe = tiny_pipeline(getattr(calotype, kind))
    before, given = state(pipe), tiny_inputs(kind)
    plain = drawn(pipe, **given)
    load(pipe, filled(tmp_path, pipe.unet))
    one, other = (drawn(pipe, ip_adapter_image=picture(seed), **given) for seed in (1, 2))
    assert np.abs(one - other).max() > 1e-3
    pipe.set_ip_adapter_scale(0.0)
    assert np.array_equal(drawn(pipe, ip_adapter_image=picture(1), **given), plain)
    pipe.unload_ip_adapter()
    assert state(pipe) == before
    assert np.array_equal(drawn(pipe, **given), plain)


def test_unloading_keeps_the_encoder_that_the_pipeline_had(folder: Path):
    encoder = tiny_image_encoder(1)
    pipe = tiny_pipeline(StableDiffusionPipeline, image_encoder=encoder)
    load(pipe, folder)
    assert pipe.image_encoder is encoder
    pipe.unload_ip_adapter()
    assert pipe.image_encoder is encoder and pipe.feature_extractor is None


def test_another_adapter_takes_the_place_of_the_first(pipe: Any, folder: Path):
    before = state(pipe)
    alone = drawn(load(tiny_pipeline(StableDiffusionPipeline), folder, "plus"), ip_adapter_image=picture(1))
    load(load(pipe, folder), folder, "plus")
    assert np.array_equal(drawn(pipe, ip_adapter_image=picture(1)), alone)
    pipe.unload_ip_adapter()
    assert state(pipe) == before


def test_state_dicts_and_files_of_both_kinds_are_one(pipe: Any, folder: Path):
    halves = adapter(pipe.unet)
    torch.save(halves, folder / "base.bin")
    load(pipe, folder)
    expected = drawn(pipe, ip_adapter_image=picture(1))
    for told in (halves, flat(halves), [halves], folder / "base.bin", str(folder / "base.safetensors")):
        pipe.load_ip_adapter(told)
        assert np.array_equal(drawn(pipe, ip_adapter_image=picture(1)), expected)


def test_the_lora_of_a_face_comes_and_goes_with_it(pipe: Any, folder: Path):
    before, plain = state(pipe), drawn(pipe)
    given = {"ip_adapter_image_embeds": [torch.randn(2, 1, FACE, generator=torch.Generator().manual_seed(0))]}
    pipe.load_ip_adapter(adapter(pipe.unet, "face"))
    without = drawn(pipe, **given)
    pipe.load_ip_adapter(faceid(pipe.unet))
    assert pipe.get_active_adapters() == ["faceid_0"]
    assert np.abs(drawn(pipe, **given) - without).max() > 1e-3
    load(pipe, folder)
    assert pipe.get_list_adapters() == {}
    pipe.load_ip_adapter(faceid(pipe.unet))
    pipe.unload_ip_adapter()
    assert pipe.get_list_adapters() == {} and state(pipe) == before
    assert np.array_equal(drawn(pipe), plain)


def test_one_number_is_for_all_adapters(pipe: Any, folder: Path):
    load(pipe, folder, "base", "plus")
    pipe.set_ip_adapter_scale([0.4, 0.4])
    expected = drawn(pipe, ip_adapter_image=[picture(1), picture(2)])
    pipe.set_ip_adapter_scale(0.4)
    assert np.array_equal(drawn(pipe, ip_adapter_image=[picture(1), picture(2)]), expected)


# ---------------------------------------------------------------------- together with all else


def test_a_batch_draws_what_each_of_its_pictures_draws_alone(pipe: Any, folder: Path):
    load(pipe, folder, "base", "plus")
    one, other = picture(1), picture(2)
    alone = [drawn(pipe, ip_adapter_image=[a, b], generator=[3]) for a, b in ((one, other), (other, one))]
    batch = drawn(pipe, prompt=["a cat"] * 2, ip_adapter_image=[[[one], [other]], [[other], [one]]], generator=[3, 3])
    assert np.abs(batch - np.concatenate(alone)).max() < 1e-5


def test_a_batch_shares_a_picture_that_is_told_once(pipe: Any, folder: Path):
    load(pipe, folder)
    alone = drawn(pipe, ip_adapter_image=picture(1), generator=[3])
    batch = drawn(pipe, prompt=["a cat"] * 2, num_images_per_prompt=2, ip_adapter_image=picture(1), generator=[3] * 4)
    assert np.abs(batch - alone).max() < 1e-5


@pytest.mark.parametrize("switch", ["enable_attention_slicing", "fuse_qkv_projections"])
def test_switches_of_attention_keep_looking(pipe: Any, folder: Path, switch: str):
    load(pipe, folder)
    expected = drawn(pipe, ip_adapter_image=picture(1))
    getattr(pipe, switch)()
    assert np.abs(drawn(pipe, ip_adapter_image=picture(1)) - expected).max() < 1e-5
    pipe.unet.set_default_attn_processor()
    assert np.abs(drawn(pipe, ip_adapter_image=picture(1)) - expected).max() < 1e-5


@pytest.mark.parametrize("switch", ["enable_model_cpu_offload", "enable_sequential_cpu_offload"])
def test_offloaded_pipelines_load_look_and_unload(pipe: Any, folder: Path, switch: str):
    expected = drawn(load(tiny_pipeline(StableDiffusionPipeline), folder), ip_adapter_image=picture(1))
    getattr(pipe, switch)(device=DEVICE)
    offload = pipe._offload
    load(pipe, folder)
    assert type(pipe._offload) is type(offload) and pipe._offload.device == DEVICE
    assert np.abs(drawn(pipe, ip_adapter_image=picture(1)) - expected).max() < 1e-5
    pipe.unload_ip_adapter()
    assert type(pipe._offload) is type(offload)


def test_pipelines_are_saved_without_adapters(pipe: Any, folder: Path, tmp_path: Path):
    load(pipe, folder)
    with pytest.raises(InvalidArgument, match="unload_ip_adapter"):
        pipe.save_pretrained(tmp_path / "saved")
    pipe.unload_ip_adapter()
    pipe.save_pretrained(tmp_path / "saved")
    again = StableDiffusionPipeline.from_pretrained(tmp_path / "saved")
    again.set_progress_bar_config(disable=True)
    assert np.array_equal(drawn(again), drawn(pipe))


def test_groups_that_come_and_go_are_not_changed(pipe: Any, folder: Path):
    pipe.enable_group_offload(DEVICE, offload_type="leaf_level")
    before = state(pipe)
    with pytest.raises(InvalidArgument, match="enable_group_offload"):
        load(pipe, folder)
    assert state(pipe) == before


def test_calls_on_threads_look_at_their_own_pictures(pipe: Any, folder: Path):
    load(pipe, folder)
    expected = [drawn(pipe, ip_adapter_image=picture(seed)) for seed in range(3)]
    found: dict[int, Any] = {}

    def draw(seed: int) -> None:
        found[seed] = drawn(pipe, ip_adapter_image=picture(seed))

    threads = [threading.Thread(target=draw, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[seed], expected[seed]) for seed in range(3))


def test_a_call_keeps_the_scale_that_it_began_with(pipe: Any, folder: Path):
    load(pipe, folder)
    expected = drawn(pipe, ip_adapter_image=picture(1))
    stream = pipe.stream("a cat", generator=0, num_inference_steps=2, output_type="np", ip_adapter_image=picture(1))
    next(stream)
    pipe.set_ip_adapter_scale(0.0)
    assert np.array_equal(stream.output.images, expected)


def test_a_callback_changes_the_scale_of_its_own_call(pipe: Any, folder: Path):
    load(pipe, folder)

    def no_more(call: Any, i: int, t: Any, tensors: Any) -> Any:
        call.set_ip_adapter_scale(0.0)
        return {}

    whole = drawn(pipe, ip_adapter_image=picture(1))
    part = drawn(pipe, ip_adapter_image=picture(1), callback_on_step_end=no_more)
    assert np.abs(whole - part).max() > 1e-3
    assert np.array_equal(drawn(pipe, ip_adapter_image=picture(1)), whole)


def test_a_stopped_call_goes_on_to_the_same_picture(pipe: Any, folder: Path, tmp_path: Path):
    load(pipe, folder)
    masks = IPAdapterMaskProcessor().preprocess(Image.new("L", (32, 32), 255))
    given = {"ip_adapter_image": picture(1), "cross_attention_kwargs": {"ip_adapter_masks": masks}}
    expected = drawn(pipe, num_inference_steps=4, **given)
    with pipe.stream(
        "a cat", generator=0, num_inference_steps=4, output_type="np", state_file=tmp_path / "state", **given
    ) as stream:
        next(stream), next(stream)
    assert np.array_equal(pipe.resume(tmp_path / "state").output.images, expected)
    pipe.unload_ip_adapter()
    with pytest.raises(CalotypeError, match="ip_adapter"):
        _ = pipe.resume(tmp_path / "state").output


def test_pipelines_made_from_one_share_its_adapters(pipe: Any, folder: Path):
    load(pipe, folder)
    other = StableDiffusionImg2ImgPipeline.from_pipe(pipe)
    other.set_progress_bar_config(disable=True)
    given = {"image": picture(3), "strength": 1.0}
    assert (
        np.abs(
            drawn(other, ip_adapter_image=picture(1), **given) - drawn(other, ip_adapter_image=picture(2), **given)
        ).max()
        > 1e-3
    )


def test_half_a_mask_changes_half_a_picture(pipe: Any, folder: Path):
    load(pipe, folder)
    white, black = (Image.new("L", (32, 32), level) for level in (255, 0))
    processor = IPAdapterMaskProcessor()
    seen, unseen = (
        drawn(
            pipe,
            ip_adapter_image=picture(1),
            cross_attention_kwargs={"ip_adapter_masks": processor.preprocess(mask, height=32, width=32)},
        )
        for mask in (white, black)
    )
    assert np.abs(seen - drawn(pipe, ip_adapter_image=picture(1))).max() < 1e-5
    pipe.unload_ip_adapter()
    assert np.abs(unseen - drawn(pipe)).max() < 1e-5


# ---------------------------------------------------------------------- training


def test_a_fresh_adapter_learns_beside_a_frozen_unet_and_is_saved(pipe: Any, tmp_path: Path):
    unet = pipe.unet.requires_grad_(False)
    fresh = fresh_adapter(unet, SEEN, words=3)
    noisy, states = torch.randn(2, 4, 16, 16), torch.randn(2, 5, 32)
    with beside(unet, fresh):
        told = unet(noisy, 3, states, added_cond_kwargs={"image_embeds": [torch.randn(2, 1, SEEN)]}).sample
    told.square().mean().backward()
    assert all(parameter.grad is not None for parameter in fresh.parameters())
    assert unet.encoder_hid_proj is None and not any(p.grad is not None for p in unet.parameters())
    save_adapter(tmp_path / "ip-adapter.safetensors", fresh)
    pipe.load_ip_adapter(tmp_path / "ip-adapter.safetensors")
    assert torch.equal(
        unet.state_dict()["mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_k_ip.0.weight"],
        fresh.keys[-1],
    )
    assert pipe.unet.attn_processors["mid_block.attentions.0.transformer_blocks.0.attn2.processor"].num_tokens == (3,)


# ---------------------------------------------------------------------- refused


def without(halves: Any, half: str, key: str) -> Any:
    return {name: {k: t for k, t in own.items() if (name, k) != (half, key)} for name, own in halves.items()}


def changed(halves: Any, half: str, key: str, tensor: Any) -> Any:
    return {**halves, half: {**halves[half], key: tensor}}


PROJ, K = ("image_proj", "proj.weight"), ("ip_adapter", "1.to_k_ip.weight")
BAD_FILES: dict[str, Any] = {
    "empty": (lambda good: {}, IncompatibleWeights, "none of image_proj or ip_adapter"),
    "foreign keys": (lambda good: {"lora.up": torch.ones(2)}, IncompatibleWeights, "lora.up"),
    "no projection": (lambda good: {"ip_adapter": good["ip_adapter"]}, IncompatibleWeights, "none of image_proj"),
    "no layers": (lambda good: {"image_proj": good["image_proj"]}, IncompatibleWeights, "none of ip_adapter"),
    "a missing layer": (lambda good: without(good, "ip_adapter", "3.to_v_ip.weight"), IncompatibleWeights, "3.to_v_ip"),
    "a layer too many": (lambda good: changed(good, "ip_adapter", "9.to_k_ip.weight", torch.ones(64, 32)), IncompatibleWeights, "9.to_k_ip"),
    "a bias that is missing": (lambda good: without(good, "image_proj", "proj.bias"), IncompatibleWeights, "image_embeds.bias"),
    "an unknown kind": (lambda good: without(good, *PROJ), IncompatibleWeights, "tells its kind"),
    "another shape": (lambda good: changed(good, *K, torch.ones(60, 32)), IncompatibleWeights, "1.to_k_ip"),
    "NaN": (lambda good: changed(good, *K, torch.full((64, 32), torch.nan)), NotFinite, "1.to_k_ip"),
    "whole numbers": (lambda good: changed(good, *K, torch.ones(64, 32, dtype=torch.int8)), IncompatibleWeights, "int8"),
    "SDXL's": (lambda good: adapter(tiny_unet(cross_attention_dim=2048)), IncompatibleWeights, "Stable Diffusion XL"),
    "a FaceID Plus": (lambda good: changed(without(good, *PROJ), "image_proj", "perceiver_resampler.proj_in.weight", torch.ones(2)), IncompatibleWeights, "FaceID Plus"),
    "a LoRA of no layer": (lambda good: changed(good, "ip_adapter", "99.to_q_lora.up.weight", torch.ones(2, 2)), IncompatibleWeights, "99.to_q"),
    "half a LoRA": (lambda good: changed(good, "ip_adapter", "0.to_q_lora.up.weight", torch.ones(64, 2)), IncompatibleWeights, "IP-Adapter state dict"),
    "a number": (lambda good: 3, InvalidArgument, "int"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_FILES)
@pytest.mark.parametrize("loaded", [False, True])
def test_files_that_do_not_fit_change_nothing(lent: tuple[Any, Any], kind: str, loaded: bool):
    make, error, told = BAD_FILES[kind]
    pipe = lent[loaded]
    good = adapter(lent[0].unet)
    before = state(pipe)
    with pytest.raises(error, match=told):
        pipe.load_ip_adapter([good, make(good)])
    assert state(pipe) == before


def test_a_cut_file_and_a_pickle_that_nobody_named_are_refused(pipe: Any, folder: Path):
    before = state(pipe)
    whole = (folder / "base.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptFile, match=r"cut\.safetensors"):
        load(pipe, folder, "cut")
    with pytest.raises(MissingFile, match="image_encoder_folder"):
        load(pipe, folder, "base", image_encoder_folder="elsewhere")
    (folder / "only").mkdir()
    torch.save(adapter(pipe.unet), folder / "only" / "ip-adapter.bin")
    with pytest.raises(CalotypeError, match="safetensors"):
        pipe.load_ip_adapter(folder / "only")
    assert state(pipe) == before


def test_processors_of_ones_own_are_not_replaced(pipe: Any, folder: Path):
    def own(attn: Any, hidden_states: Any, **_: Any) -> Any:
        return hidden_states

    pipe.unet.set_attn_processor(own)
    before = state(pipe)
    with pytest.raises(InvalidArgument, match="set_default_attn_processor"):
        load(pipe, folder)
    assert state(pipe) == before


BAD_SCALES = [
    ("strong", "number"), (float("nan"), "nan"), ([0.5, 0.5], "2"), ({"sideways": 1.0}, "sideways"),
    ({"down": {"block_9": 1.0}}, "block_9"), ({"down": {"block_0": 1.0}}, "block_1"),
    ({"up": {"block_0": [0.1, 0.2, 0.3]}}, "3"), ({"down": {"block_1": "x"}}, "block_1"), (None, "None"), (True, "True"),
]  # fmt: skip


@pytest.mark.parametrize(("scale", "told"), BAD_SCALES, ids=str)
def test_scales_that_mean_nothing_are_refused(lent: tuple[Any, Any], scale: Any, told: str):
    _, pipe = lent
    before = state(pipe)
    with pytest.raises(InvalidArgument, match=told):
        pipe.set_ip_adapter_scale(scale)
    assert state(pipe) == before


def embeds(*shape: int) -> list[torch.Tensor]:
    return [torch.zeros(*shape)]


def masked(*shape: int) -> dict[str, Any]:
    return {"cross_attention_kwargs": {"ip_adapter_masks": [torch.ones(*shape)]}}


SEE = {"ip_adapter_image": picture(1)}
BAD_CALLS: list[tuple[dict[str, Any], str]] = [
    ({}, "neither"),
    ({**SEE, "ip_adapter_image_embeds": embeds(2, 1, SEEN)}, "both"),
    ({"ip_adapter_image": [picture(1), picture(2)]}, "one for each IP-Adapter"),
    ({"ip_adapter_image": [[[picture(1)], [picture(1), picture(2)]]]}, "different numbers"),
    ({"ip_adapter_image": [[[picture(1)], [picture(1)]]]}, "each of the 1"),
    ({"ip_adapter_image": "cat.png"}, "str"),
    ({"ip_adapter_image": [[]]}, "ip_adapter_image"),
    ({"ip_adapter_image_embeds": torch.zeros(2, 1, SEEN)}, "list"),
    ({"ip_adapter_image_embeds": embeds(2, 1, SEEN) * 2}, "2"),
    ({"ip_adapter_image_embeds": embeds(2, SEEN)}, "shape"),
    ({"ip_adapter_image_embeds": embeds(2, 1, SEEN + 1)}, f"{SEEN}"),
    ({"ip_adapter_image_embeds": embeds(1, 1, SEEN)}, "two halves"),
    ({"ip_adapter_image_embeds": embeds(6, 1, SEEN)}, "3"),
    ({"ip_adapter_image_embeds": [[1.0]]}, "tensor"),
    ({"ip_adapter_image_embeds": [torch.full((2, 1, SEEN), torch.nan)]}, "NaN"),
    ({**SEE, **masked(1, 2, 8, 8)}, "ip_adapter_masks"),
    ({**SEE, **masked(8, 8)}, "ip_adapter_masks"),
    ({**SEE, "cross_attention_kwargs": {"ip_adapter_masks": [torch.ones(1, 1, 8, 8)] * 2}}, "ip_adapter_masks"),
    ({**SEE, "cross_attention_kwargs": {"ip_adapter_masks": "left"}}, "ip_adapter_masks"),
    ({**SEE, "cross_attention_kwargs": {"ip_adapter_masks": [torch.full((1, 1, 8, 8), torch.nan)]}}, "NaN"),
]


@pytest.mark.parametrize(("given", "told"), BAD_CALLS, ids=[str(i) for i in range(len(BAD_CALLS))])
def test_calls_that_do_not_fit_the_adapter_are_refused(lent: tuple[Any, Any], given: Any, told: str):
    _, pipe = lent
    before = state(pipe)
    with pytest.raises((InvalidArgument, NotFinite), match=told):
        drawn(pipe, **given)
    assert state(pipe) == before


def test_pictures_and_masks_without_an_adapter_are_refused(pipe: Any):
    for given in (SEE, {"ip_adapter_image_embeds": embeds(2, 1, SEEN)}):
        with pytest.raises(InvalidArgument, match="load_ip_adapter"):
            drawn(pipe, **given)
    with pytest.raises(CalotypeError, match="ip_adapter_masks"):
        drawn(pipe, **masked(1, 1, 8, 8))
    with pytest.raises(InvalidArgument, match="load_ip_adapter"):
        pipe.set_ip_adapter_scale(0.5)


def test_a_picture_without_an_image_encoder_is_refused(pipe: Any, folder: Path):
    load(pipe, folder, image_encoder_folder=None)
    with pytest.raises(InvalidArgument, match="image_encoder"):
        drawn(pipe, **SEE)
    assert drawn(pipe, ip_adapter_image_embeds=embeds(2, 1, SEEN)).shape == (1, 32, 32, 3)


def test_scales_for_each_picture_need_masks(pipe: Any, folder: Path):
    load(pipe, folder)
    pipe.set_ip_adapter_scale([[0.5, 0.5]])
    with pytest.raises(InvalidArgument, match="mask"):
        drawn(pipe, ip_adapter_image=[[picture(1), picture(2)]])
    with pytest.raises(InvalidArgument, match="scale"):
        drawn(pipe, **SEE, **masked(1, 1, 8, 8))


def test_a_face_is_no_picture(pipe: Any, folder: Path):
    pipe.load_ip_adapter(adapter(pipe.unet, "face"))
    with pytest.raises(InvalidArgument, match="ip_adapter_image_embeds"):
        drawn(pipe, **SEE)
    assert drawn(pipe, ip_adapter_image_embeds=embeds(2, 1, FACE)).shape == (1, 32, 32, 3)


def test_an_adapter_of_patches_is_not_told_a_vector(pipe: Any):
    pipe.load_ip_adapter(adapter(pipe.unet, "plus"))
    with pytest.raises(InvalidArgument, match="patches"):
        drawn(pipe, ip_adapter_image_embeds=embeds(2, 1, PATCH))


def test_a_unet_that_reads_pictures_of_itself_takes_no_adapter(tmp_path: Path):
    unet = tiny_unet(encoder_hid_dim=20, encoder_hid_dim_type="text_proj")
    pipe = tiny_pipeline(StableDiffusionPipeline, unet=unet)
    with pytest.raises(IncompatibleWeights, match="text_proj"):
        pipe.load_ip_adapter(adapter(unet))
    assert unet.encoder_hid_proj is not None
