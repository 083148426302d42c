"""Public classes keep the peer's names, arguments, order and defaults."""

from __future__ import annotations

import inspect

import diffusers
import pytest

import calotype

PIPELINES = [
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "StableDiffusionControlNetPipeline",
    "StableDiffusionControlNetImg2ImgPipeline",
    "StableDiffusionControlNetInpaintPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline",
    "StableDiffusionXLControlNetPipeline",
    "StableDiffusionXLControlNetImg2ImgPipeline",
    "StableDiffusionXLControlNetInpaintPipeline",
]
NETWORKS = ["UNet2DConditionModel", "ControlNetModel", "MultiControlNetModel", "AutoencoderKL"]
SCHEDULERS = [name for name in calotype.__all__ if name.endswith("Scheduler") and not name.startswith("Flax")]

# Arguments for the training, the hardware and the sharing of the peer's own world, which inference here has no use for.
LEFT_OUT = {"push_to_hub", "use_flashpack", "kwargs", "self", "is_main_process", "save_function"}


def parameters(method):
    found = inspect.signature(method).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: p.default for p in found if p.kind in kinds and p.name not in LEFT_OUT}


def assert_takes_what_the_peer_takes(ours, theirs):
    expected, got = parameters(theirs), parameters(ours)
    assert [*got][: len(expected)] == [*expected]
    for name, default in expected.items():
        given = got[name]
        if default is inspect.Parameter.empty:
            continue  # ours may do without where the peer insists
        same = given == default or (isinstance(default, (list, tuple)) and tuple(given) == tuple(default))
        assert same, f"{name}: expected default {default!r}, found {given!r}"


@pytest.mark.parametrize("kind", [*PIPELINES, *NETWORKS, *SCHEDULERS])
def test_constructors_take_what_the_peers_take(kind):
    assert_takes_what_the_peer_takes(getattr(calotype, kind).__init__, getattr(diffusers, kind).__init__)


@pytest.mark.parametrize("kind", PIPELINES)
def test_calls_take_what_the_peers_take(kind):
    assert_takes_what_the_peer_takes(getattr(calotype, kind).__call__, getattr(diffusers, kind).__call__)


METHODS = [
    *[(kind, name) for kind in PIPELINES for name in (
        "encode_prompt", "enable_attention_slicing", "disable_attention_slicing", "enable_freeu", "disable_freeu",
        "fuse_qkv_projections", "unfuse_qkv_projections", "get_guidance_scale_embedding", "from_pipe", "from_pretrained",
        "enable_model_cpu_offload", "enable_sequential_cpu_offload", "enable_group_offload", "enable_xformers_memory_efficient_attention",
        "disable_xformers_memory_efficient_attention", "progress_bar", "numpy_to_pil", "run_safety_checker",
        "maybe_free_model_hooks", "remove_all_hooks", "set_progress_bar_config", "save_pretrained",
        "load_ip_adapter", "set_ip_adapter_scale", "unload_ip_adapter", "encode_image", "prepare_ip_adapter_image_embeds",
    )],
    *[("UNet2DConditionModel", name) for name in (
        "forward", "set_attn_processor", "set_default_attn_processor", "set_attention_slice", "enable_freeu", "fuse_qkv_projections",
    )],
    *[("ControlNetModel", name) for name in ("forward", "from_unet", "set_attn_processor", "set_default_attn_processor", "set_attention_slice")],
    *[(kind, "enable_group_offload") for kind in ("UNet2DConditionModel", "ControlNetModel", "AutoencoderKL")],
    *[("MultiControlNetModel", name) for name in ("forward", "save_pretrained", "from_pretrained")],
    *[("AutoencoderKL", name) for name in ("encode", "decode", "forward", "enable_tiling", "enable_slicing", "fuse_qkv_projections")],
    *[(kind, name) for kind in SCHEDULERS for name in ("set_timesteps", "step", "scale_model_input", "add_noise", "get_velocity", "set_begin_index")],
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_methods_take_what_the_peers_take(kind, name):
    theirs = getattr(getattr(diffusers, kind), name, None)
    if theirs is None:  # not every class of the peer has every method
        more = kind in SCHEDULERS or (kind in PIPELINES and name == "get_guidance_scale_embedding")
        assert more or not hasattr(getattr(calotype, kind), name)
        return
    assert_takes_what_the_peer_takes(getattr(getattr(calotype, kind), name), theirs)


@pytest.mark.parametrize("kind", PIPELINES)
def test_pipelines_have_the_peers_attributes(kind):
    ours, theirs = getattr(calotype, kind), getattr(diffusers, kind)
    for name in ("model_cpu_offload_seq", "_callback_tensor_inputs"):
        assert getattr(ours, name) == getattr(theirs, name)
    for name in ("_optional_components", "_exclude_from_cpu_offload"):  # their order says nothing
        assert sorted(getattr(ours, name)) == sorted(getattr(theirs, name))
    for name in (
        "components",
        "device",
        "dtype",
        "guidance_scale",
        "clip_skip",
        "do_classifier_free_guidance",
        "cross_attention_kwargs",
        "num_timesteps",
        "interrupt",
    ):
        assert isinstance(inspect.getattr_static(ours, name), property)


def test_schedulers_that_stand_in_for_each_other_are_the_peers():
    ours, theirs = (
        {m.name: m.value for m in library.schedulers.KarrasDiffusionSchedulers} for library in (calotype, diffusers)
    )
    assert ours == theirs
