"""Offloading, with a device that counts: how much is on it at once, that nothing stays, and that pictures are the same."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

import calotype
from calotype.core.errors import InvalidArgument, Unloaded
from tests.tiny import tiny_inputs, tiny_pipeline

DEVICE, HOME = torch.device("cpu", 0), torch.device("cpu")
KINDS = ["StableDiffusionInpaintPipeline", "StableDiffusionControlNetPipeline", "StableDiffusionXLPipeline"]
SWITCHES = {
    "model": ("enable_model_cpu_offload", {"device": DEVICE}),
    "sequential": ("enable_sequential_cpu_offload", {"device": DEVICE}),
    "blocks": ("enable_group_offload", {"onload_device": DEVICE}),
    "pairs of blocks": ("enable_group_offload", {"onload_device": DEVICE, "num_blocks_per_group": 2}),
    "leaves": ("enable_group_offload", {"onload_device": DEVICE, "offload_type": "leaf_level"}),
}


class CountingDevice(TorchFunctionMode):
    """Stands for an accelerator: weights that are sent there are copied, and counted for as long as the copies live."""

    def __init__(self, pipe):
        super().__init__()
        self._weights, self._away = set(), set()
        self.now = self.most = self.journeys = 0
        for network in pipe.networks.values():
            for tensor in tensors(network):
                self._at_home(tensor)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if func is not torch.Tensor.to:
            return made
        source, place = args[0].data_ptr(), torch.device(args[1]) if isinstance(args[1], (str, torch.device)) else None
        if place == DEVICE and source in self._weights:
            return self._arrived(made.clone())
        if place == HOME and source in self._away:
            return self._at_home(made.clone())
        return made

    def _at_home(self, tensor):
        """Remember where a weight is, for as long as it is there."""
        self._weights.add(tensor.data_ptr())
        weakref.finalize(tensor.untyped_storage(), self._weights.discard, tensor.data_ptr())
        return tensor

    def _arrived(self, copy):
        self.now, self.journeys = self.now + copy.nbytes, self.journeys + 1
        self.most = max(self.most, self.now)
        self._away.add(copy.data_ptr())
        weakref.finalize(copy.untyped_storage(), self._left, copy.data_ptr(), copy.nbytes)
        return copy

    def _left(self, pointer, size):
        self._away.discard(pointer)
        self.now -= size


def tensors(network):
    return [*network.parameters(), *network.buffers()]


def size(*networks):
    return sum(tensor.nbytes for network in networks for tensor in tensors(network))


def run(pipe, steps=2):
    given = {"num_inference_steps": steps, "output_type": "np", **tiny_inputs(type(pipe).__name__)}
    return pipe("hello cat", generator=torch.Generator().manual_seed(0), **given).images


def counted(pipe, how, steps=2):
    switch, options = SWITCHES[how]
    with CountingDevice(pipe) as device:
        getattr(pipe, switch)(**options)
        images = run(pipe, steps)
    return images, device


@pytest.fixture(scope="module", params=KINDS)
def usual(request):
    """A pipeline, and what it makes before anything is offloaded."""
    pipe = tiny_pipeline(getattr(calotype, request.param))
    return pipe, run(pipe)


@pytest.mark.parametrize("how", SWITCHES)
def test_the_picture_is_the_same_and_nothing_stays_on_the_device(usual, how):
    pipe, expected = usual
    weights = {name: {k: v.clone() for k, v in net.state_dict().items()} for name, net in pipe.networks.items()}
    images, device = counted(pipe, how)
    assert np.array_equal(images, expected)
    assert device.now == 0 < device.most < size(*pipe.networks.values())
    for name, network in pipe.networks.items():
        assert all(torch.equal(tensor, weights[name][key]) for key, tensor in network.state_dict().items())
    pipe.remove_all_hooks()
    assert np.array_equal(run(pipe), expected)


def test_each_way_needs_less_than_the_one_before():
    most = {}
    for how in ("model", "pairs of blocks", "blocks", "leaves", "sequential"):
        pipe = tiny_pipeline(calotype.StableDiffusionPipeline)
        most[how] = counted(pipe, how)[1].most
    largest = max(size(network) for network in pipe.networks.values())
    assert largest == most["model"] > most["pairs of blocks"] > most["blocks"] > most["leaves"] == most["sequential"]
    leaves = [layer for network in pipe.networks.values() for layer in network.modules()]
    held = [[*layer.parameters(recurse=False), *layer.buffers(recurse=False)] for layer in leaves]
    assert most["leaves"] == max(sum(tensor.nbytes for tensor in each) for each in held)


def test_what_works_at_each_step_makes_one_journey():
    few, many = (
        counted(tiny_pipeline(calotype.StableDiffusionControlNetPipeline), "model", steps)[1] for steps in (2, 6)
    )
    pipe = tiny_pipeline(calotype.StableDiffusionControlNetPipeline)
    assert few.journeys == many.journeys == sum(len(tensors(network)) for network in pipe.networks.values())
    assert many.most == size(pipe.unet, pipe.controlnet)


def test_a_component_can_stay_on_the_device():
    pipe = tiny_pipeline(calotype.StableDiffusionPipeline)
    with CountingDevice(pipe) as device:
        pipe.enable_group_offload(DEVICE, exclude_modules=["vae"])
        run(pipe)
    assert device.now == size(pipe.vae)
    with pytest.raises(InvalidArgument, match=r"exclude_modules.*vae.*found 'van'"):
        pipe.enable_group_offload(DEVICE, exclude_modules="van")


@pytest.mark.parametrize(
    ("method", "argument"),
    [
        ("enable_model_cpu_offload", "device"),
        ("enable_sequential_cpu_offload", "device"),
        ("enable_group_offload", "onload_device"),
        ("enable_group_offload", "offload_device"),
        ("to", "device"),
    ],
)
def test_a_device_that_is_not_there_is_refused_and_nothing_changes(method, argument):
    pipe = tiny_pipeline(calotype.StableDiffusionPipeline)
    pipe.enable_model_cpu_offload(device="cpu")
    offload, expected = pipe._offload, run(pipe)
    for place in ("nowhere", "xpu:77", 3.5):
        given = {"onload_device": "cpu", argument: place} if "group" in method else {argument: place}
        with pytest.raises(InvalidArgument, match=rf"{argument}: expected a device.*{place}"):
            getattr(pipe, method)(**given)
        assert pipe._offload is offload
    assert np.array_equal(run(pipe), expected)


@pytest.mark.parametrize(
    "option", [{"offload_type": "x"}, {"num_blocks_per_group": 0}, {"offload_to_disk_path": "here"}]
)
def test_what_groups_cannot_be_is_refused_and_nothing_changes(option):
    pipe = tiny_pipeline(calotype.StableDiffusionPipeline)
    pipe.enable_sequential_cpu_offload(device="cpu")
    offload = pipe._offload
    with pytest.raises(InvalidArgument, match=next(iter(option))):
        pipe.enable_group_offload("cpu", **option)
    assert pipe._offload is offload


def test_streams_are_said_not_to_be_used(caplog):
    tiny_pipeline(calotype.StableDiffusionPipeline).enable_group_offload("cpu", use_stream=True)
    assert "use_stream" in caplog.text


def test_what_is_unloaded_leaves_memory_and_says_so_when_it_is_used():
    pipe = tiny_pipeline(calotype.StableDiffusionPipeline)
    pipe.enable_model_cpu_offload(device="cpu")
    gone = [weakref.ref(tensor) for network in pipe.networks.values() for tensor in tensors(network)]
    assert len(gone) > 100
    pipe.unload()
    gc.collect()
    assert not any(tensor() is not None for tensor in gone)
    for use in (
        lambda: pipe("a cat"),
        lambda: pipe.unet,
        lambda: pipe.components,
        lambda: pipe.device,
        lambda: pipe.to("cpu"),
        lambda: pipe.encode_prompt("a cat", None, 1, False),
        lambda: pipe.enable_vae_tiling(),
    ):
        with pytest.raises(Unloaded, match=r"expected a pipeline with its components.*Load it again"):
            use()
    assert "unloaded" in repr(pipe)
    pipe.unload()  # again, and nothing happens
    with pytest.raises(AttributeError, match="no attribute 'unett'"):
        _ = pipe.unett


def test_what_another_pipeline_holds_too_stays():
    pipe = tiny_pipeline(calotype.StableDiffusionPipeline)
    expected = run(pipe)
    other = calotype.StableDiffusionPipeline.from_pipe(pipe)
    pipe.unload()
    assert np.array_equal(run(other), expected)


def test_a_call_that_runs_goes_on_to_its_end():
    pipe = tiny_pipeline(calotype.StableDiffusionPipeline)
    expected = run(pipe)
    given = {"num_inference_steps": 2, "output_type": "np", **tiny_inputs("StableDiffusionPipeline")}
    stream = pipe.stream("hello cat", generator=torch.Generator().manual_seed(0), **given)
    next(stream)
    pipe.unload()
    assert np.array_equal(stream.output.images, expected)
