"""The Helios pipelines keep the peer's names, arguments, order and defaults."""

from __future__ import annotations

import inspect

import diffusers
import pytest

import calotype
from tests.parity.helios import pair
from tests.parity.test_signatures import assert_takes_what_the_peer_takes

KINDS = ("HeliosPipeline", "HeliosPyramidPipeline")
METHODS = (
    "__init__",
    "__call__",
    "encode_prompt",
    "from_pretrained",
    "save_pretrained",
    "from_pipe",
    "enable_model_cpu_offload",
    "enable_sequential_cpu_offload",
    "enable_group_offload",
    "maybe_free_model_hooks",
    "remove_all_hooks",
    "progress_bar",
    "set_progress_bar_config",
    "load_lora_weights",
    "unload_lora_weights",
    "set_adapters",
    "delete_adapters",
    "enable_lora",
    "disable_lora",
    "get_active_adapters",
    "get_list_adapters",
)
ATTRIBUTES = ("model_cpu_offload_seq", "_optional_components", "_callback_tensor_inputs", "_exclude_from_cpu_offload")
PROPERTIES = (
    "guidance_scale",
    "do_classifier_free_guidance",
    "num_timesteps",
    "current_timestep",
    "interrupt",
    "attention_kwargs",
    "components",
    "device",
    "dtype",
)


@pytest.mark.parametrize("kind", KINDS)
def test_methods_take_what_the_peers_take(kind: str) -> None:
    for name in METHODS:
        assert_takes_what_the_peer_takes(
            getattr(getattr(calotype, kind), name), getattr(getattr(diffusers, kind), name)
        )


@pytest.mark.parametrize("kind", KINDS)
def test_they_have_the_peers_attributes(kind: str) -> None:
    ours, theirs = getattr(calotype, kind), getattr(diffusers, kind)
    for name in ATTRIBUTES:
        assert list(getattr(ours, name)) == list(getattr(theirs, name))
    for name in PROPERTIES:
        assert isinstance(inspect.getattr_static(ours, name), property)
        assert isinstance(inspect.getattr_static(theirs, name), property)


@pytest.mark.parametrize("kind", ["base", "distilled"])
def test_they_know_the_peers_facts(kind: str) -> None:
    theirs, ours = pair(kind)
    for name in ("vae_scale_factor_spatial", "vae_scale_factor_temporal"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.video_processor.config.vae_scale_factor == theirs.video_processor.config.vae_scale_factor


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_have_the_peers_name_and_field(kind: str) -> None:
    assert [*calotype.HeliosPipelineOutput.__dataclass_fields__] == ["frames"]
    assert "HeliosPipelineOutput" in str(inspect.signature(getattr(diffusers, kind).__call__).return_annotation)
