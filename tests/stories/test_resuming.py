"""Calls that were stopped, by whatever, go on to the same bytes."""

from __future__ import annotations

import json
import signal
import time
from itertools import cycle

import numpy as np
import pytest
import torch
from PIL import Image

import calotype
from calotype.core.atomic import write_atomic
from calotype.core.errors import CalotypeError, CorruptFile, InvalidArgument, WriteError
from calotype.core.packing import KEY, pack, read_packed, unpack, write_packed
from calotype.core.tensors import safetensors_bytes
from tests import nursery
from tests.tiny import tiny_inputs, tiny_pipeline

KINDS = [
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "StableDiffusionControlNetPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline",
    "StableDiffusionXLControlNetPipeline",
]
SCHEDULERS = sorted(
    name
    for name in calotype.__all__
    if name.endswith("Scheduler") and not name.startswith(("Flax", "FlowMatch", "Helios", "UnCLIP"))
)
# every scheduler with the first pipeline and with one of the others, in turn
SCHEDULED = [
    (kind, name) for other, name in zip(cycle(KINDS[1:]), SCHEDULERS, strict=False) for kind in (KINDS[0], other)
]


@pytest.fixture(scope="module", params=KINDS)
def pipe(request):
    return tiny_pipeline(getattr(calotype, request.param))


def given(pipe, **changes):
    return {
        "prompt": "a cube",
        "num_inference_steps": 6,
        "output_type": "np",
        "generator": 3,
        **tiny_inputs(type(pipe).__name__),
        **changes,
    }


def with_scheduler(pipe, name):
    options = {"noise_sampler_seed": 0} if "SDE" in name else {}
    made = type(pipe).from_pipe(pipe, scheduler=getattr(calotype, name).from_config(pipe.scheduler.config, **options))
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.parametrize(("pipe", "scheduler"), SCHEDULED, indirect=["pipe"])
def test_from_any_step_a_call_goes_on_to_the_same_bytes(pipe, scheduler, tmp_path):
    pipe = with_scheduler(pipe, scheduler)
    expected = pipe(**given(pipe)).images
    with pipe.stream(**given(pipe), state_file=tmp_path / "state", state_every=1) as stream:
        for step in stream:
            if step.index + 1 < step.total:
                copied = tmp_path / "copy"
                copied.write_bytes((tmp_path / "state").read_bytes())
                resumed = pipe.resume(copied)
                assert next(iter(resumed)).index == step.index + 1
                assert np.array_equal(resumed.output.images, expected)
        assert np.array_equal(stream.output.images, expected)
    finished = pipe.resume(tmp_path / "state")
    assert list(finished) == [] and np.array_equal(finished.output.images, expected)


STOPPED = {
    "seeds": {"generator": [1, 2], "num_images_per_prompt": 2},
    "a generator": {"generator": torch.Generator().manual_seed(5)},
    "no guidance": {"guidance_scale": 1.0},
    "several prompts": {"prompt": ["a", "b"], "negative_prompt": ["c", "d"]},
    "fresh noise": {"eta": 1.0},
}


@pytest.mark.parametrize("case", STOPPED)
def test_a_cancelled_call_goes_on_to_the_same_bytes(pipe, case, tmp_path):
    pipe = with_scheduler(pipe, "EulerAncestralDiscreteScheduler")
    arguments = given(pipe, **STOPPED[case])
    copies = (
        arguments["generator"].clone_state()
        if isinstance(arguments["generator"], torch.Generator)
        else arguments["generator"]
    )
    expected = pipe(**{**arguments, "generator": copies}).images
    stream = pipe.stream(**arguments, state_file=tmp_path / "state", state_every=100)
    next(stream), next(stream)
    stream.cancel()
    assert np.array_equal(pipe.resume(tmp_path / "state").output.images, expected)


def test_without_a_generator_it_goes_on_all_the_same(pipe, tmp_path):
    pipe = with_scheduler(pipe, "EulerAncestralDiscreteScheduler")
    before = torch.get_rng_state()
    stream = pipe.stream(**given(pipe, generator=None), state_file=tmp_path / "state", state_every=1)
    next(stream)
    copied = tmp_path / "copy"
    copied.write_bytes((tmp_path / "state").read_bytes())
    assert np.array_equal(stream.output.images, pipe.resume(copied).output.images)
    assert torch.equal(torch.get_rng_state(), before)  # nobody else's noise was drawn


def test_what_a_callback_changed_stays_changed(pipe, tmp_path):
    def end_guidance(call, i, t, tensors):
        if i == 1:
            call._guidance_scale = 0.0
        return {"latents": tensors["latents"] * 0.9}

    arguments = given(pipe, callback_on_step_end=end_guidance)
    expected = pipe(**arguments).images
    stream = pipe.stream(**arguments, state_file=tmp_path / "state", state_every=1)
    next(stream), next(stream), next(stream)
    stream.cancel()
    resumed = pipe.resume(tmp_path / "state", callback_on_step_end=end_guidance)
    assert np.array_equal(resumed.output.images, expected)


CHILD = """
import sys
import calotype
from tests.tiny import tiny_inputs
pipe = calotype.DiffusionPipeline.from_pretrained(sys.argv[1])
pipe.scheduler = calotype.DPMSolverMultistepScheduler.from_config(pipe.scheduler.config, algorithm_type="sde-dpmsolver++")
arguments = dict(prompt="a cube", num_inference_steps=400, generator=3, **tiny_inputs(type(pipe).__name__))
for step in pipe.stream(**arguments, state_file=sys.argv[2], state_every=1):
    print(step.index, flush=True)
"""


@pytest.mark.parametrize("pipe", [KINDS[0], KINDS[-1]], indirect=True)  # the fewest networks and the most
def test_a_killed_process_loses_nothing(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "saved")
    state = tmp_path / "state"
    child = nursery.start(CHILD, tmp_path / "saved", state)
    while "\n5\n" not in child.said():
        time.sleep(0.01)
    child.process.kill()
    assert child.result().returncode == -signal.SIGKILL
    resumed = calotype.DiffusionPipeline.from_pretrained(tmp_path / "saved")
    options = {"algorithm_type": "sde-dpmsolver++"}
    resumed.scheduler = calotype.DPMSolverMultistepScheduler.from_config(resumed.scheduler.config, **options)
    begun = read_packed(state)[0]["bookmark"]["dict"]["walked"]
    assert begun >= 5
    # the unbroken walk, as far as the bookmark
    arguments = dict(prompt="a cube", num_inference_steps=400, generator=3, **tiny_inputs(type(pipe).__name__))
    with resumed.stream(**arguments) as unbroken, resumed.resume(state) as broken:
        expected = next(step for step in unbroken if step.index == begun)
        assert torch.equal(next(broken).latents, expected.latents)


def test_a_state_file_is_for_its_own_pipeline(pipe, tmp_path):
    stream = pipe.stream(**given(pipe), state_file=tmp_path / "state", state_every=1)
    next(stream)
    stream.cancel()
    other = with_scheduler(pipe, "EulerDiscreteScheduler")
    with pytest.raises(InvalidArgument, match="scheduler"):
        other.resume(tmp_path / "state")
    with pytest.raises(InvalidArgument, match="state_every"):
        pipe.stream(**given(pipe), state_file=tmp_path / "state", state_every=0)
    with pytest.raises(InvalidArgument, match="cross_attention_kwargs"):
        pipe.stream(**given(pipe, cross_attention_kwargs={"scale": object()}), state_file=tmp_path / "state")
    with pytest.raises(WriteError, match="directory"):
        pipe.stream(**given(pipe), state_file=tmp_path)


HOSTILE = {
    "not packed": "words",
    "unknown kind": {"code": "print(1)"},
    "two kinds": {"float": "1", "tuple": []},
    "no such tensor": {"tensor": "nowhere"},
    "a name for a type": {"dtype": "load"},
    "a function for a type": {"dtype": "save"},
    "a picture of another size": {"image": ["t", "RGB", 10_000, 10_000, None, None]},
    "a picture of no mode": {"image": ["t", "RGBX9", 1, 1, None, None]},
    "a generator of no device": {"generator": ["t", "nowhere"]},
    "a tensor of no device": {"placed": ["nowhere", {"tensor": "t"}]},
    "a tensor of a device that is not here": {"placed": ["cuda:99", {"tensor": "t"}]},
    "a tensor without a device": {"placed": [{"tensor": "t"}]},
    "a generator of no state": {"generator": ["t", "cpu"]},
    "a number that is none": {"float": "one"},
    "a list for a dict": {"dict": []},
}


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind != "not packed"])
def test_a_hostile_value_is_refused(kind):
    with pytest.raises(CorruptFile):
        unpack(HOSTILE[kind], {"t": torch.zeros(3, dtype=torch.uint8)}, "state")


@pytest.mark.parametrize("cut", [0, 7, 100, -1])
def test_a_damaged_state_file_is_refused(pipe, tmp_path, cut):
    stream = pipe.stream(**given(pipe), state_file=tmp_path / "state", state_every=1)
    next(stream)
    stream.cancel()
    (tmp_path / "cut").write_bytes((tmp_path / "state").read_bytes()[:cut])
    with pytest.raises(CalotypeError, match="cut"):
        pipe.resume(tmp_path / "cut")


@pytest.mark.parametrize("part", [b"hello", torch.ones(5).numpy().tobytes()], ids=["words", "tensor"])
def test_a_packed_file_of_which_a_bit_has_changed_is_refused(tmp_path, part):
    write_packed(tmp_path / "file", {"words": "hello"}, {"a": torch.ones(5)})
    data = bytearray((tmp_path / "file").read_bytes())
    data[data.index(part)] ^= 1
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(CorruptFile, match="digest"):
        read_packed(tmp_path / "file")


def test_a_packed_file_without_a_digest_is_read(tmp_path):
    write_atomic(tmp_path / "file", safetensors_bytes({"a": torch.ones(5)}, {KEY: '{"words": "hello"}'}))
    document, tensors = read_packed(tmp_path / "file")
    assert document == {"words": "hello"} and torch.equal(tensors["a"], torch.ones(5))


def test_a_tensor_comes_back_to_its_device():
    packed = pack(torch.ones(3, device="meta"), "t", {})
    assert packed == {"placed": ["meta", {"tensor": "t"}]}
    assert unpack(packed, {"t": torch.ones(3)}, "file").device.type == "meta"


def test_what_is_packed_comes_back(tmp_path):
    palette = Image.new("P", (3, 2))
    palette.putpalette([9, 8, 7, 6, 5, 4])
    palette.info["transparency"] = 1
    values = {
        "numbers": [1, 2.5, True, None, "text", float("inf"), np.float32(0.5)],
        "nested": ({"a": [1, {"b": (2,)}]},),
        "tensor": torch.arange(6).reshape(2, 3),
        "half": torch.ones(3, dtype=torch.bfloat16)[::2],
        "array": np.arange(4, dtype=np.float64),
        "dtype": torch.float16,
        "pictures": [Image.new(mode, (3, 2), 1) for mode in ("L", "1", "I", "F")]
        + [palette, Image.new("RGBA", (2, 2), (1, 2, 3, 4))],
    }
    tensors = {}
    document = {"values": pack(values, "values", tensors)}
    write_packed(tmp_path / "file", json.loads(json.dumps(document)), tensors)
    document, tensors = read_packed(tmp_path / "file")
    back = unpack(document["values"], tensors, "file")
    assert (
        back["numbers"] == values["numbers"] and back["nested"] == values["nested"] and back["dtype"] == values["dtype"]
    )
    assert torch.equal(back["tensor"], values["tensor"]) and torch.equal(back["half"], values["half"])
    assert np.array_equal(back["array"], values["array"]) and back["array"].dtype == np.float64
    for ours, theirs in zip(back["pictures"], values["pictures"], strict=True):
        assert ours.mode == theirs.mode and np.array_equal(
            np.asarray(ours.convert("RGBA")), np.asarray(theirs.convert("RGBA"))
        )
