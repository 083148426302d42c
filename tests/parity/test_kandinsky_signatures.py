"""The Kandinsky pipelines keep the peer's names, arguments, order and defaults."""

from __future__ import annotations

import diffusers
import pytest

import calotype
from tests.parity.test_signatures import assert_takes_what_the_peer_takes

KINDS = [name for name in calotype.__all__ if name.startswith("Kandinsky") and name.endswith("Pipeline")]
METHODS = (
    "__init__",
    "__call__",
    "interpolate",
    "get_zero_embed",
    "enable_model_cpu_offload",
    "enable_sequential_cpu_offload",
    "enable_xformers_memory_efficient_attention",
    "set_progress_bar_config",
    "from_pipe",
    "save_pretrained",
)
OFFLOADED = ("model_cpu_offload_seq", "_exclude_from_cpu_offload")


def test_every_pipeline_is_there() -> None:
    assert len(KINDS) == 17


@pytest.mark.parametrize("kind", KINDS)
def test_methods_take_what_the_peers_take(kind: str) -> None:
    ours, theirs = getattr(calotype, kind), getattr(diffusers, kind)
    for name in METHODS:
        if hasattr(theirs, name):
            assert_takes_what_the_peer_takes(getattr(ours, name), getattr(theirs, name))


@pytest.mark.parametrize("kind", KINDS)
def test_they_have_the_peers_attributes(kind: str) -> None:
    ours, theirs = getattr(calotype, kind), getattr(diffusers, kind)
    for name in OFFLOADED:
        assert getattr(ours, name) == getattr(theirs, name)
    if hasattr(theirs, "_callback_tensor_inputs"):
        assert ours._callback_tensor_inputs == theirs._callback_tensor_inputs
    if "Combined" in kind:
        assert ours._load_connected_pipes is theirs._load_connected_pipes is True


@pytest.mark.parametrize("task", ["Text2Image", "Image2Image", "Inpainting"])
def test_each_task_is_done_by_the_classes_that_the_peer_chooses(task: str) -> None:
    for family in ("Kandinsky", "KandinskyV22"):
        for name in (f"{family}{part}Pipeline" for part in ("", "Img2Img", "Inpaint", "Combined")):
            ours = getattr(calotype, f"AutoPipelineFor{task}").class_for(name, "here")
            part = {"Text2Image": "", "Image2Image": "Img2Img", "Inpainting": "Inpaint"}[task]
            assert ours.__name__ == f"{family}{part}CombinedPipeline"
            assert hasattr(diffusers, ours.__name__)
