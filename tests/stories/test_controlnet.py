"""Pipelines with ControlNets: who is run, when and how often, and whose hint is whose."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from functools import cache
from itertools import cycle

import numpy as np
import pytest
import torch
from PIL import Image

import calotype
from calotype.core.errors import InvalidArgument
from calotype.pipelines.auto import FAMILIES
from tests.tiny import tiny_controlnet, tiny_inputs, tiny_pipeline, tiny_stable_diffusion, tiny_unet, tiny_unet_xl

TEXT2IMG, IMG2IMG, INPAINT, XL_TEXT2IMG, XL_IMG2IMG, XL_INPAINT = KINDS = (
    "StableDiffusionControlNetPipeline",
    "StableDiffusionControlNetImg2ImgPipeline",
    "StableDiffusionControlNetInpaintPipeline",
    "StableDiffusionXLControlNetPipeline",
    "StableDiffusionXLControlNetImg2ImgPipeline",
    "StableDiffusionXLControlNetInpaintPipeline",
)
FROM_NOISE = (TEXT2IMG, XL_TEXT2IMG)
HINT = {kind: "image" if kind in FROM_NOISE else "control_image" for kind in KINDS}


def hint(seed=0):
    levels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(levels).resize((32, 32), Image.Resampling.NEAREST)


@cache
def lent(xl, seed, **config):
    """A ControlNet of a family, made once: tests may count what it does, and change nothing."""
    return tiny_controlnet(seed, tiny_unet_xl(seed) if xl else None, **config)


def net_for(kind, seed=0, **config):
    return lent("XL" in kind, seed, **config)


@cache
def whole(kind):
    """A pipeline of this class, made once, whose networks no test changes."""
    return tiny_pipeline(getattr(calotype, kind))


def plain(kind):
    """The pipeline of the same family and task without a ControlNet."""
    return whole(kind.replace("ControlNet", ""))


def piped(kind=TEXT2IMG, *nets):
    """That pipeline with ControlNets."""
    nets = nets or (net_for(kind),)
    pipe = getattr(calotype, kind).from_pipe(plain(kind), controlnet=nets[0] if len(nets) == 1 else list(nets))
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Where the pipeline of the same family and task lies without a ControlNet."""

    def save(kind):
        folder = tmp_path_factory.mktemp("plain")
        plain(kind).save_pretrained(folder)
        return folder

    return cache(save)


def run(pipe, seed=0, **changes):
    kind = type(pipe).__name__
    given = {"prompt": "a cube", "num_inference_steps": 3, "output_type": "np", **tiny_inputs(kind), **changes}
    return pipe(generator=torch.Generator().manual_seed(seed), **given).images


@pytest.fixture
def counted(monkeypatch):
    """Counts, by network, how often one embeds a hint and how often it runs; and on how many rows."""
    counts, rows = Counter(), []

    def count(net, name):
        for method in ("forward", "embed_hint"):
            inner = getattr(net, method)

            def counting(*args, method=method, inner=inner, **kwargs):
                counts[name, method] += 1
                if method == "forward":
                    rows.append(len(args[0]))
                return inner(*args, **kwargs)

            monkeypatch.setitem(vars(net), method, counting)
        return net

    return count, counts, rows


@pytest.mark.parametrize("kind", KINDS)
def test_a_hint_is_embedded_once_in_a_call(kind, counted):
    count, counts, _ = counted
    pipe = piped(kind, count(net_for(kind), "a"), count(net_for(kind, 1), "b"))
    run(pipe, **{HINT[kind]: [hint(), hint(1)]})
    walked = counts["a", "forward"]
    assert walked in (2, 3) and counts == {
        ("a", "forward"): walked, ("b", "forward"): walked, ("a", "embed_hint"): 1, ("b", "embed_hint"): 1,
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_net_without_scale_is_not_run_and_the_others_do_not_miss_it(kind, counted):
    count, counts, _ = counted
    both = piped(kind, count(net_for(kind), "silent"), net_for(kind, 1))
    pictures = run(both, **{HINT[kind]: [hint(), hint(1)]}, controlnet_conditioning_scale=[0.0, 1.0])
    assert not counts
    alone = run(piped(kind, net_for(kind, 1)), **{HINT[kind]: hint(1)}, controlnet_conditioning_scale=1.0)
    assert np.abs(pictures - alone).max() < 1e-5


@pytest.mark.parametrize("kind", FROM_NOISE)
def test_with_no_scale_at_all_the_picture_is_that_of_the_pipeline_without(kind):
    without = run(plain(kind), guidance_scale=5.0)
    assert np.array_equal(run(piped(kind), guidance_scale=5.0, controlnet_conditioning_scale=0), without)
    assert not np.array_equal(run(piped(kind), guidance_scale=5.0), without)


@pytest.mark.parametrize(("window", "heard"), [((0.0, 0.5), 2), ((0.5, 1.0), 2), ((0.2, 0.8), 3), ((0.9, 1.0), 0)])
def test_a_net_is_run_in_its_window_only(counted, window, heard):
    count, counts, _ = counted
    pipe = piped(TEXT2IMG, count(net_for(TEXT2IMG), "a"))
    run(pipe, control_guidance_start=window[0], control_guidance_end=window[1], num_inference_steps=5)
    assert counts["a", "forward"] == heard
    assert counts["a", "embed_hint"] == (1 if heard else 0)


@pytest.mark.parametrize(("guess", "rows"), [(False, 2), (True, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_in_guess_mode_the_conditional_half_alone_is_asked(counted, kind, guess, rows):
    count, _, seen = counted
    run(piped(kind, count(net_for(kind), "a")), guess_mode=guess)
    assert set(seen) == {rows}


@pytest.mark.parametrize("kind", KINDS)
def test_each_net_is_guessed_as_it_was_trained(counted, kind):
    count, _, seen = counted
    pooled, other, name = count(net_for(kind, global_pool_conditions=True), "pooled"), net_for(kind, 1), HINT[kind]
    pictures = run(piped(kind, other, pooled), **{name: [hint(), hint(1)]})
    assert set(seen) == {1}
    assert np.abs(run(piped(kind, pooled, other), **{name: [hint(1), hint()]}) - pictures).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_a_net_of_another_dtype_is_heard(kind):
    exact, rough = run(piped(kind)), run(piped(kind, deepcopy(net_for(kind)).to(torch.bfloat16)))
    assert rough.dtype == exact.dtype and not np.array_equal(exact, rough)
    assert np.abs(exact - rough).max() < 0.1


@pytest.mark.parametrize(("kind", "guess"), [*zip(KINDS, cycle((False, True)), strict=False)])
def test_pictures_of_a_batch_with_hints_of_their_own_equal_pictures_alone(kind, guess):
    pipe, hints, name = piped(kind, net_for(kind), net_for(kind, 1)), [hint(i) for i in range(4)], HINT[kind]
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6, 7, 8)]
    given = {
        "prompt": "a cube",
        "num_inference_steps": 3,
        "output_type": "np",
        **tiny_inputs(kind),
        "guess_mode": guess,
    }
    rows = [[hints[0], hints[2]], [hints[1], hints[3]]]  # for each net, one for each prompt
    both = {
        "prompt": ["a cube", "a cat"],
        "num_images_per_prompt": 2,
        name: [torch.cat([as_tensor(x) for x in row]) for row in rows],
    }
    together = pipe(**{**given, **both}, generator=generators).images
    for i, image in enumerate(together):
        alone = {"prompt": both["prompt"][i // 2], name: [row[i // 2] for row in rows]}
        assert np.abs(run(pipe, seed=5 + i, **{**given, **alone})[0] - image).max() < 1e-5


def as_tensor(picture):
    return torch.from_numpy(np.asarray(picture).astype(np.float32) / 255).permute(2, 0, 1)[None]


def test_a_callback_sees_the_hint_and_may_change_it(counted):
    count, counts, _ = counted
    pipe, shapes = piped(TEXT2IMG, count(net_for(TEXT2IMG), "a"), net_for(TEXT2IMG, 1)), []

    def darken(call, i, t, tensors):
        shapes.append(tensors["image"].shape)
        return {"image": tensors["image"] * 0} if i == 1 else {}

    given = {"image": [hint(), hint(1)], "callback_on_step_end_tensor_inputs": ["image"]}
    changed = run(pipe, callback_on_step_end=darken, **given)
    assert counts["a", "embed_hint"] == 2
    assert shapes == [(2, 1, 3, 32, 32)] * 3
    assert not np.array_equal(changed, run(pipe, image=given["image"]))


def test_a_hint_that_a_callback_writes_into_is_embedded_again(counted):
    count, counts, _ = counted

    def darken(call, i, t, tensors):
        if i == 1:
            tensors["image"].zero_()

    run(
        piped(TEXT2IMG, count(net_for(TEXT2IMG), "a")),
        callback_on_step_end=darken,
        callback_on_step_end_tensor_inputs=["image"],
    )
    assert counts["a", "embed_hint"] == 2


def test_guidance_that_a_callback_ends_midway_is_ended_for_the_nets_too(counted):
    count, _, seen = counted

    def end(call, i, t, tensors):
        call._guidance_scale = 0.0 if i == 1 else call._guidance_scale

    run(
        piped(TEXT2IMG, count(net_for(TEXT2IMG), "a")),
        prompt=["a", "b"],
        image=[hint(), hint(1)],
        callback_on_step_end=end,
    )
    assert seen == [4, 4, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_gives_the_picture_of_the_call_and_leaves_no_hint_behind(kind):
    pipe = piped(kind)
    before = dict(vars(pipe))
    given = {"prompt": "a cube", "num_inference_steps": 3, "output_type": "np", **tiny_inputs(kind)}
    with pipe.stream(**given, generator=0) as stream:
        shapes = [step.state[HINT[kind]].shape for step in stream]
        assert shapes == [(1, 3, 32, 32)] * (3 if kind in FROM_NOISE else 2)
        assert np.array_equal(stream.output.images, run(pipe))
    assert {name: value for name, value in vars(pipe).items() if name != "_running"} == before


@pytest.mark.parametrize("kind", KINDS)
def test_several_nets_come_back_from_files(kind, tmp_path):
    pipe = piped(kind, net_for(kind), net_for(kind, 1))
    pipe.save_pretrained(tmp_path)
    assert (tmp_path / "controlnet_1" / "config.json").is_file()
    loaded = calotype.DiffusionPipeline.from_pretrained(tmp_path)
    assert type(loaded) is type(pipe) and type(loaded.controlnet) is calotype.MultiControlNetModel
    given = {HINT[kind]: [hint(), hint(1)]}
    # not to the last bit: which kernel multiplies a single row depends on where in memory the row begins
    assert np.abs(run(loaded, **given) - run(pipe, **given)).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_a_net_joins_a_checkpoint_that_has_none(kind, saved):
    net = net_for(kind)
    pipe = getattr(calotype, kind).from_pretrained(saved(kind), controlnet=net)
    assert pipe.controlnet is net
    assert np.abs(run(pipe) - run(piped(kind))).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_for_each_picture_holds_a_hint_for_each_net(kind):
    pipe, name = piped(kind, net_for(kind), net_for(kind, 1)), HINT[kind]
    rows = [[hint(1), hint(2)], [hint(3), hint(4)]]
    columns = [torch.cat([as_tensor(row[i]) for row in rows]) for i in range(2)]
    by_picture, by_net = (run(pipe, prompt=["a", "b"], **{name: given}) for given in (rows, columns))
    assert np.array_equal(by_picture, by_net)
    assert not np.array_equal(by_picture[0], by_picture[1])


AUTO = {
    "AutoPipelineForText2Image": (TEXT2IMG, XL_TEXT2IMG),
    "AutoPipelineForImage2Image": (IMG2IMG, XL_IMG2IMG),
    "AutoPipelineForInpainting": (INPAINT, XL_INPAINT),
}


@pytest.mark.parametrize(("auto", "kind"), [(auto, kind) for auto, kinds in AUTO.items() for kind in kinds])
def test_a_controlnet_chooses_the_class(auto, kind, saved):
    chooser, net, without = getattr(calotype, auto), net_for(kind), kind.replace("ControlNet", "")
    first = XL_TEXT2IMG if "XL" in kind else TEXT2IMG
    base, folder = plain(first), saved(first)
    for made in (chooser.from_pretrained(folder, controlnet=net), chooser.from_pipe(base, controlnet=net)):
        assert type(made).__name__ == kind and made.controlnet is net
        assert type(chooser.from_pipe(made)).__name__ == kind
        assert type(chooser.from_pipe(made, controlnet=None)).__name__ == without
    assert type(chooser.from_pretrained(folder, controlnet=None)).__name__ == without


def test_a_controlnet_for_a_family_that_has_none_is_refused(monkeypatch):
    monkeypatch.delitem(FAMILIES, "stable-diffusion-controlnet")
    with pytest.raises(InvalidArgument, match=r"pipeline: controlnet: expected none.*stable-diffusion with one"):
        calotype.AutoPipelineForText2Image.from_pipe(plain(TEXT2IMG), controlnet=net_for(TEXT2IMG))


@pytest.mark.parametrize("switch", ["enable_model_cpu_offload", "enable_sequential_cpu_offload"])
def test_several_nets_are_offloaded_one_by_one(switch):
    nets, given = [tiny_controlnet(), tiny_controlnet(1)], {"image": [hint(), hint(1)]}
    pipe = tiny_pipeline(calotype.StableDiffusionControlNetPipeline, controlnet=nets)
    expected = run(pipe, **given)
    assert {"controlnet", "controlnet_1"} <= set(pipe.networks)
    getattr(pipe, switch)(device="cpu")
    assert np.array_equal(run(pipe, **given), expected)


def test_an_offloaded_net_is_on_the_device_whenever_it_works(monkeypatch):
    net, there = tiny_controlnet(), []
    pipe = tiny_pipeline(calotype.StableDiffusionControlNetPipeline, controlnet=net)

    def watched(inner):
        def watching(*args, **kwargs):
            there.append(net in pipe._offload._resident)
            return inner(*args, **kwargs)

        return watching

    for method in ("forward", "embed_hint"):
        monkeypatch.setattr(net, method, watched(getattr(net, method)))
    pipe.enable_model_cpu_offload(device="cpu")
    run(pipe)
    assert len(there) == 4 and all(there)


SEVERAL = [
    ({"image": hint()}, "image: expected a list of 2 hints, one for each ControlNet, found Image"),
    ({"image": [hint()]}, "image: expected 2 hints, one for each ControlNet, found 1"),
    ({"image": [hint()] * 3}, "image: expected 2 hints, one for each ControlNet, found 3"),
    ({"image": [[hint()], [hint()]]}, r"image\[0\]: expected 2 hints, one for each ControlNet, found 1"),
    ({"image": [hint(), None]}, r"image\[1\]"),
    ({"image": [hint(), Image.new("RGB", (48, 40))], "height": None, "width": None}, r"image\[1\].*32x32.*48x40"),
    ({"controlnet_conditioning_scale": [1.0] * 3}, "controlnet_conditioning_scale.*a list of 2.*a list of 3"),
    ({"controlnet_conditioning_scale": [1.0, "1"]}, r"controlnet_conditioning_scale\[1\]"),
    ({"control_guidance_start": [0.0]}, "control_guidance_start.*a list of 2"),
    ({"control_guidance_end": [0.5, 1.2]}, r"control_guidance_end\[1\]"),
    ({"control_guidance_start": [0.0, 0.5], "control_guidance_end": [1.0, 0.4]}, r"control_guidance_start\[1\].*0\.4.*0\.5"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), SEVERAL, ids=[words for _, words in SEVERAL])
def test_with_several_nets_an_error_says_whose_argument_is_wrong(counted, changes, words):
    count, counts, _ = counted
    pipe = piped(TEXT2IMG, count(net_for(TEXT2IMG), "a"), net_for(TEXT2IMG, 1))
    with pytest.raises(InvalidArgument, match=words):
        run(pipe, **{"image": [hint(), hint(1)], **changes})
    assert not counts


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: None, "controlnet: expected a ControlNetModel"),
        (lambda: "canny", "controlnet: expected a ControlNetModel"),
        (list, "controlnet: expected at least one"),
        (lambda: [tiny_controlnet(), tiny_unet()], r"controlnet\[1\]: expected a ControlNetModel"),
        (lambda: tiny_controlnet(cross_attention_dim=24), "controlnet: cross_attention_dim: expected 32.*found 24"),
        (lambda: [tiny_controlnet(), tiny_controlnet(block_out_channels=(32, 32))], r"controlnet\[1\]: block_out_channels"),
        (lambda: tiny_controlnet(unet=tiny_unet(in_channels=9)), "controlnet: in_channels: expected 4.*found 9"),
    ],
)  # fmt: skip
def test_a_controlnet_of_another_family_is_refused(make, words):
    with pytest.raises(InvalidArgument, match=words):
        tiny_stable_diffusion(calotype.StableDiffusionControlNetPipeline, controlnet=make())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tiny_controlnet(cross_attention_dim=24), "controlnet: cross_attention_dim: expected 32.*found 24"),
        (lambda: [net_for(XL_TEXT2IMG), tiny_unet_xl()], r"controlnet\[1\]: expected a ControlNetModel"),
        (lambda: tiny_controlnet(unet=tiny_unet_xl(refiner=True)), "controlnet: cross_attention_dim: expected 32.*found 16"),
        (lambda: net_for(XL_TEXT2IMG, projection_class_embeddings_input_dim=56), "projection_class_embeddings_input_dim: expected 64.*found 56"),
        (lambda: net_for(XL_TEXT2IMG, addition_time_embed_dim=4), "addition_time_embed_dim: expected 8.*found 4"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", KINDS[3:])
def test_an_xl_controlnet_of_another_family_is_refused(kind, make, words):
    with pytest.raises(InvalidArgument, match=words):
        piped(kind, make())


def test_a_net_that_is_told_sizes_is_refused_where_none_are():
    with pytest.raises(InvalidArgument, match=r"controlnet: addition_embed_type: expected None.*found text_time"):
        piped(TEXT2IMG, net_for(XL_TEXT2IMG))


def test_a_net_that_is_told_no_sizes_is_heard_by_xl(counted):
    count, counts, _ = counted
    run(piped(XL_TEXT2IMG, count(net_for(TEXT2IMG), "a")))
    assert counts["a", "forward"] == 3
