"""What holds for every pipeline, whatever it makes: calls leave nothing behind, stream, cancel, and refuse what is wrong."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

import calotype
from calotype.core.errors import CalotypeError, Cancelled, MissingDependency, NotFinite, UnknownArgument
from calotype.core.offload import ENTRANCES
from tests.tiny import tiny_inputs, tiny_pipeline

KINDS = [
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
SCHEDULERS = [
    "DDIMScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
    "PNDMScheduler",
]
# every scheduler with the first pipeline, every pipeline with one of the schedulers
CROWDED = [(KINDS[0], name) for name in SCHEDULERS]
CROWDED += [(kind, SCHEDULERS[place % len(SCHEDULERS)]) for place, kind in enumerate(KINDS[1:], 1)]


@pytest.fixture(scope="module", params=KINDS)
def pipe(request):
    return tiny_pipeline(getattr(calotype, request.param))


@pytest.fixture(scope="module")
def picture(pipe):
    """What a call makes, before any other test has had the pipeline."""
    return run(pipe).images


def run(pipe, seed=0, **changes):
    given = {
        "prompt": "a cube",
        "num_inference_steps": 3,
        "output_type": "np",
        **tiny_inputs(type(pipe).__name__),
        **changes,
    }
    return pipe(generator=torch.Generator().manual_seed(seed), **given)


def hooked(module):
    """Whether something stands between the module and its callers."""
    return any(name in vars(module) for name in ENTRANCES) or bool(module._forward_pre_hooks or module._forward_hooks)


def fingerprint(pipe):
    """Everything that a call could have changed."""
    settings = {k: repr(v) for k, v in vars(pipe).items() if k != "_running" and not isinstance(v, torch.nn.Module)}
    weights = {f"{n}.{k}": v.clone() for n, net in pipe.networks.items() for k, v in net.state_dict().items()}
    modules = {n: [(k, type(m), hooked(m)) for k, m in net.named_modules()] for n, net in pipe.networks.items()}
    scheduler = {k: repr(v) for k, v in vars(pipe.scheduler).items()}
    return settings, weights, modules, scheduler


def assert_unchanged(before, after):
    assert before[0] == after[0] and before[2] == after[2] and before[3] == after[3]
    assert all(torch.equal(before[1][k], after[1][k]) for k in before[1])


def test_a_call_leaves_the_pipeline_as_it_was(pipe):
    before = fingerprint(pipe)
    run(pipe)
    assert_unchanged(before, fingerprint(pipe))


def test_a_seed_gives_the_same_picture_again(pipe, picture):
    assert np.array_equal(run(pipe).images, picture)
    assert not np.array_equal(run(pipe, seed=1).images, picture)


def test_streaming_gives_the_picture_of_the_call(pipe, picture):
    given = dict(prompt="a cube", num_inference_steps=3, output_type="np", **tiny_inputs(type(pipe).__name__))
    with pipe.stream(generator=torch.Generator().manual_seed(0), **given) as stream:
        steps = list(stream)
        assert [step.index for step in steps] == list(range(steps[0].total))
        assert np.array_equal(stream.output.images, picture)


def test_cancelling_between_steps_leaves_the_pipeline_as_it_was(pipe, picture):
    before = fingerprint(pipe)
    stream = pipe.stream(prompt="a cube", num_inference_steps=3, **tiny_inputs(type(pipe).__name__))
    next(stream)
    stream.cancel()
    assert list(stream) == []
    with pytest.raises(Cancelled):
        _ = stream.output
    assert_unchanged(before, fingerprint(pipe))
    assert np.array_equal(run(pipe).images, picture)


def test_a_failure_inside_a_callback_keeps_its_type_and_changes_nothing(pipe):
    before = fingerprint(pipe)

    def fail(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(pipe, callback_on_step_end=fail)
    assert_unchanged(before, fingerprint(pipe))


def test_interrupting_the_pipeline_stops_its_running_calls(pipe):
    seen = []

    def stop(call, i, t, tensors):
        seen.append(i)
        pipe._interrupt = True

    run(pipe, callback_on_step_end=stop)
    assert seen == [0]
    seen.clear()
    run(pipe, callback_on_step_end=lambda call, i, t, tensors: seen.append(i))
    assert len(seen) > 1  # the next call is not interrupted


@pytest.mark.parametrize(("pipe", "scheduler"), CROWDED, indirect=["pipe"])
def test_threads_on_one_pipeline_get_what_they_would_get_alone(pipe, scheduler):
    pipe = type(pipe).from_pipe(pipe, scheduler=getattr(calotype, scheduler).from_config(pipe.scheduler.config))
    pipe.set_progress_bar_config(disable=True)
    steps = [4 + i for i in range(3)]
    alone = [run(pipe, seed=i, num_inference_steps=steps[i]).images for i in range(3)]
    together = [[None] * 2 for _ in range(3)]

    def work(i):
        for n in range(2):
            together[i][n] = run(pipe, seed=i, num_inference_steps=steps[i]).images

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(alone[i], result) for i in range(3) for result in together[i])


def test_a_misspelt_keyword_is_named_with_the_nearest(pipe):
    with pytest.raises(UnknownArgument, match=r"negativ_prompt.*negative_prompt"):
        run(pipe, negativ_prompt="x")


def test_numbers_that_are_not_finite_never_become_a_picture(pipe):
    def spoil(call, i, t, tensors):
        return {"latents": tensors["latents"] * torch.nan}

    with pytest.raises(NotFinite):
        run(pipe, callback_on_step_end=spoil)


def test_a_network_with_a_nan_never_makes_a_picture(pipe):
    before = pipe.unet.conv_out.bias.data.clone()
    pipe.unet.conv_out.bias.data.fill_(torch.nan)
    try:
        with pytest.raises(CalotypeError):
            run(pipe)
    finally:
        pipe.unet.conv_out.bias.data.copy_(before)


def test_pictures_of_a_batch_equal_pictures_alone(pipe):
    generators = [torch.Generator().manual_seed(seed) for seed in (3, 4)]
    given = dict(prompt="a cube", num_inference_steps=3, output_type="np", **tiny_inputs(type(pipe).__name__))
    both = pipe(generator=generators, num_images_per_prompt=2, **given).images
    for seed, image in zip((3, 4), both, strict=True):
        assert np.abs(run(pipe, seed=seed).images[0] - image).max() < 1e-5


def test_an_integer_is_a_seed(pipe):
    given = dict(prompt="a cube", num_inference_steps=2, output_type="np", **tiny_inputs(type(pipe).__name__))
    expected = pipe(generator=torch.Generator().manual_seed(7), **given).images
    assert np.array_equal(pipe(generator=7, **given).images, expected)


@pytest.mark.parametrize("switch", ["enable_model_cpu_offload", "enable_sequential_cpu_offload"])
def test_offloading_changes_no_picture_and_is_taken_off_again(pipe, picture, switch):
    offloaded = type(pipe).from_pipe(pipe)
    offloaded.set_progress_bar_config(disable=True)
    getattr(offloaded, switch)(device="cpu")
    assert np.array_equal(run(offloaded).images, picture)
    offloaded.remove_all_hooks()
    for network in pipe.networks.values():
        assert not any(hooked(module) for module in network.modules())


def test_saved_and_loaded_it_makes_the_same_picture(pipe, picture, tmp_path):
    pipe.save_pretrained(tmp_path)
    loaded = calotype.DiffusionPipeline.from_pretrained(tmp_path)
    assert type(loaded) is type(pipe)
    loaded.set_progress_bar_config(disable=True)
    # a kernel that multiplies one row is chosen by where in memory the tensor begins: its last bit may differ
    assert np.abs(run(loaded).images - picture).max() < 1e-5


def test_xformers_are_asked_for_by_name_where_they_are_missing(pipe):
    with pytest.raises(MissingDependency, match="xformers"):
        pipe.enable_xformers_memory_efficient_attention()
    pipe.disable_xformers_memory_efficient_attention()


def test_switches_are_taken_back_exactly(pipe, picture):
    before = fingerprint(pipe)
    pipe.enable_attention_slicing("max")
    pipe.enable_vae_slicing()
    pipe.enable_vae_tiling()
    pipe.enable_freeu(0.9, 0.2, 1.2, 1.4)
    pipe.fuse_qkv_projections()
    assert not np.array_equal(run(pipe).images, picture)
    pipe.unfuse_qkv_projections()
    pipe.disable_freeu()
    pipe.disable_vae_tiling()
    pipe.disable_vae_slicing()
    pipe.disable_attention_slicing()
    assert_unchanged(before, fingerprint(pipe))
    assert np.array_equal(run(pipe).images, picture)


@pytest.mark.parametrize("pipe", [KINDS[0], KINDS[-1]], indirect=True)  # the fewest networks and the most
def test_a_compiled_pipeline_makes_the_same_picture(pipe, picture):
    compiled = tiny_pipeline(type(pipe))
    compiled.compile(backend="eager")
    assert np.abs(run(compiled).images - picture).max() < 1e-5
