"""What holds for every Kandinsky pipeline: calls leave nothing behind, stream, stop, go on, and refuse what is wrong."""

from __future__ import annotations

from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import calotype
from calotype.core.errors import CalotypeError, Cancelled, InvalidArgument, NotFinite, UnknownArgument
from tests.stories.test_stories import assert_unchanged, fingerprint
from tests.tiny import tiny_kandinsky_unet
from tests.tiny_kandinsky import (
    WIDTH,
    decoder_parts,
    kandinsky_inputs,
    prior_parts,
    quiet_movq,
    tiny_kandinsky,
)

PRIORS = ("KandinskyPriorPipeline", "KandinskyV22PriorPipeline", "KandinskyV22PriorEmb2EmbPipeline")
DECODERS = (
    "KandinskyPipeline",
    "KandinskyImg2ImgPipeline",
    "KandinskyInpaintPipeline",
    "KandinskyV22Pipeline",
    "KandinskyV22Img2ImgPipeline",
    "KandinskyV22InpaintPipeline",
    "KandinskyV22ControlnetPipeline",
    "KandinskyV22ControlnetImg2ImgPipeline",
)
WHOLE = (
    "KandinskyCombinedPipeline",
    "KandinskyImg2ImgCombinedPipeline",
    "KandinskyInpaintCombinedPipeline",
    "KandinskyV22CombinedPipeline",
    "KandinskyV22Img2ImgCombinedPipeline",
    "KandinskyV22InpaintCombinedPipeline",
)
EVERY = (*PRIORS, *DECODERS, *WHOLE)
SIZED = (*DECODERS, *WHOLE)
# after how many steps a call is stopped: all combined ones where the prior ends, halves midway, some of each at the end
STOPS = [
    *[(kind, 3) for kind in WHOLE],
    *[(kind, walked) for kind in ("KandinskyCombinedPipeline", "KandinskyV22CombinedPipeline") for walked in (1, 4, 5)],
    *zip((*PRIORS, *DECODERS), cycle((1, 2)), strict=False),
    *[(kind, 4) for kind in ("KandinskyV22PriorPipeline", "KandinskyPipeline", "KandinskyV22Pipeline")],
]
# as wholes for every class, leaf by leaf for those that between them have every network and enter it in every way
OFFLOADED = [
    *[(kind, "enable_model_cpu_offload") for kind in EVERY],
    ("KandinskyV22PriorEmb2EmbPipeline", "enable_sequential_cpu_offload"),
    ("KandinskyInpaintCombinedPipeline", "enable_sequential_cpu_offload"),
    ("KandinskyV22InpaintCombinedPipeline", "enable_sequential_cpu_offload"),
    ("KandinskyV22ControlnetImg2ImgPipeline", "enable_sequential_cpu_offload"),
]


@pytest.fixture(scope="module")
def pipes() -> Any:
    """A pipeline of each class, made when first asked for."""
    return cache(lambda kind: tiny_kandinsky(getattr(calotype, kind)))


@pytest.fixture(scope="module")
def pictures(pipes: Any) -> Any:
    """What the pipeline of each class makes, drawn when first asked for."""
    return cache(lambda kind: run(pipes(kind)))


@pytest.fixture(params=EVERY)
def pipe(request: pytest.FixtureRequest, pipes: Any) -> Any:
    return pipes(request.param)


@pytest.fixture
def picture(pipe: Any, pictures: Any) -> Any:
    return pictures(type(pipe).__name__)


def given(pipe: Any, **changes: Any) -> dict[str, Any]:
    return {**kandinsky_inputs(type(pipe).__name__), "output_type": "np", **changes}


def run(pipe: Any, seed: int = 0, **changes: Any) -> Any:
    return made_of(pipe(generator=torch.Generator().manual_seed(seed), **given(pipe, **changes)))


def made_of(output: Any) -> Any:
    """The array that a pipeline was asked for."""
    return output.to_tuple()[0]


def test_a_call_leaves_the_pipeline_as_it_was(pipe: Any, pictures: Any) -> None:
    before = fingerprint(pipe)
    first = pictures(type(pipe).__name__)
    again = run(pipe)
    assert_unchanged(before, fingerprint(pipe))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, run(pipe, seed=1))


def test_streaming_counts_every_step_once_and_gives_the_same(pipe: Any, picture: Any) -> None:
    with pipe.stream(generator=torch.Generator().manual_seed(0), **given(pipe)) as stream:
        steps = list(stream)
        assert [step.index for step in steps] == list(range(steps[0].total))
        assert {step.total for step in steps} == {len(steps)}
        assert np.array_equal(made_of(stream.output), picture)
    assert bool(steps[-1].previews) == ("Prior" not in type(pipe).__name__)


def test_a_stream_that_is_cancelled_leaves_the_pipeline_as_it_was(pipe: Any) -> None:
    before = fingerprint(pipe)
    stream = pipe.stream(**given(pipe))
    next(stream)
    stream.cancel()
    with pytest.raises(Cancelled):
        _ = stream.output
    assert_unchanged(before, fingerprint(pipe))


@pytest.mark.parametrize(("pipe", "walked"), STOPS, indirect=["pipe"])
def test_a_call_goes_on_to_the_very_numbers_of_the_unbroken_one(
    pipe: Any, picture: Any, tmp_path: Path, walked: int
) -> None:
    stream = pipe.stream(**given(pipe, generator=0), state_file=tmp_path / "state", state_every=1)
    for _, step in zip(range(walked), stream, strict=False):
        last = step
    stream.cancel()
    again = pipe.resume(tmp_path / "state")
    assert [step.index for step in again] == list(range(last.index + 1, last.total))
    assert np.array_equal(made_of(again.output), picture)


def test_interrupting_the_pipeline_stops_its_running_calls(pipe: Any) -> None:
    stream = pipe.stream(**given(pipe))
    next(stream)
    pipe._interrupt = True
    assert list(stream) == []
    assert len(list(pipe.stream(**given(pipe)))) > 1


def test_pictures_of_a_batch_equal_pictures_alone(pipe: Any, picture: Any) -> None:
    both = made_of(pipe(**given(pipe, num_images_per_prompt=2, seeds=[0, 4])))
    for alone, one in zip((picture, run(pipe, seed=4)), both, strict=True):
        assert np.abs(alone[0] - one).max() < 1e-3  # random weights enlarge a last digit


@pytest.mark.parametrize(("pipe", "switch"), OFFLOADED, indirect=["pipe"])
def test_offloading_changes_no_picture(pipe: Any, picture: Any, switch: str) -> None:
    offloaded = type(pipe).from_pipe(pipe)
    offloaded.set_progress_bar_config(disable=True)
    getattr(offloaded, switch)(gpu_id=0, device="cpu")
    assert np.array_equal(run(offloaded), picture)
    offloaded.remove_all_hooks()


def test_saved_and_loaded_it_makes_the_same(pipe: Any, picture: Any, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path)
    loaded = calotype.DiffusionPipeline.from_pretrained(tmp_path)
    assert type(loaded) is type(pipe)
    loaded.set_progress_bar_config(disable=True)
    assert np.abs(run(loaded) - picture).max() < 1e-4


HALVES = [*zip(EVERY, cycle((torch.bfloat16, torch.float16)), strict=False)]


@pytest.mark.parametrize(("pipe", "dtype"), HALVES, indirect=["pipe"])
def test_half_precision_makes_pictures_too(pipe: Any, dtype: torch.dtype) -> None:
    half = tiny_kandinsky(type(pipe)).to(dtype)
    made = torch.as_tensor(made_of(half(**given(pipe, output_type="pt", generator=0))))
    assert made.isfinite().all() and made.std() > 0


# ---------------------------------------------------------------------- two repositories that are one pipeline

FAMILIES = {"KandinskyV22": "KandinskyV22PriorPipeline", "Kandinsky": "KandinskyPriorPipeline"}
TASKS = {"Text2Image": "", "Image2Image": "Img2Img", "Inpainting": "Inpaint"}


def saved_halves(folder: Path, family: str, task: str, prior: str | None) -> Path:
    """A decoder's folder whose card names a prior, which lies beside it."""
    tiny_kandinsky(getattr(calotype, FAMILIES[family])).save_pretrained(folder / "prior")
    decoder = folder / "decoder"
    tiny_kandinsky(getattr(calotype, f"{family}{task}Pipeline")).save_pretrained(decoder)
    named = "" if prior is None else f"prior:\n- {prior}\n"
    (decoder / "README.md").write_text(f"---\nlicense: apache-2.0\n{named}tags:\n- pictures\n---\n# A decoder\n")
    return decoder


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_task_is_found_from_a_decoder_and_from_the_whole(
    family: str, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    decoder = saved_halves(tmp_path, family, TASKS[task], "prior")
    auto = getattr(calotype, f"AutoPipelineFor{task}")
    pipe = auto.from_pretrained(decoder)
    assert type(pipe).__name__ == f"{family}{TASKS[task]}CombinedPipeline"
    pipe.set_progress_bar_config(disable=True)
    pictures = run(pipe)
    pipe.save_pretrained(tmp_path / "whole")
    whole = auto.from_pretrained(tmp_path / "whole")
    whole.set_progress_bar_config(disable=True)
    assert np.abs(run(whole) - pictures).max() < 1e-4
    assert type(calotype.AutoPipelineForText2Image.from_pipe(pipe)).__name__ == f"{family}CombinedPipeline"


@pytest.mark.parametrize("named", [None, "nobody/no-such-prior", "decoder"])
def test_a_decoder_without_its_prior_says_where_it_looked(
    named: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    decoder = saved_halves(tmp_path, "KandinskyV22", "", named)
    words = "kandinsky-community/kandinsky-2-2-prior" if named is None else named
    with pytest.raises(CalotypeError, match=words) as caught:
        calotype.KandinskyV22CombinedPipeline.from_pretrained(decoder, local_files_only=True)
    assert "prior_prior" in str(caught.value)
    parts = {f"prior_{name}": part for name, part in prior_parts().items()}
    assert calotype.KandinskyV22CombinedPipeline.from_pretrained(decoder, **parts).prior_prior is parts["prior_prior"]


def test_a_card_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    decoder = saved_halves(tmp_path, "KandinskyV22", "", None)
    (decoder / "README.md").write_text("---\nprior: [\n---\n")
    with pytest.raises(CalotypeError, match=r"README\.md.*YAML"):
        calotype.KandinskyV22CombinedPipeline.from_pretrained(decoder)


def test_scheduler_and_networks_may_be_exchanged_on_the_whole(pipes: Any) -> None:
    whole = tiny_kandinsky(calotype.KandinskyV22CombinedPipeline)
    before = run(whole)
    whole.scheduler = calotype.DDIMScheduler.from_config(whole.scheduler.config)
    assert not np.array_equal(run(whole), before)


# ---------------------------------------------------------------------- mixing


def test_one_text_alone_is_what_the_prior_imagines(pipes: Any) -> None:
    for kind in ("KandinskyPriorPipeline", "KandinskyV22PriorPipeline"):
        alone = pipes(kind)("a cube", num_inference_steps=3, generator=7)
        mixed = pipes(kind).interpolate(["a cube"], [1.0], num_inference_steps=3, generator=7)
        assert torch.equal(alone.image_embeds, mixed.image_embeds)
        assert torch.equal(alone.negative_image_embeds, mixed.negative_image_embeds)


def test_a_prior_that_begins_with_pictures_mixes_as_the_others(pipes: Any) -> None:
    things = (["a cube", kandinsky_inputs("Img2Img")["image"]], [0.4, 0.6])
    mixed = [
        pipes(kind).interpolate(*things, num_inference_steps=3, generator=7).image_embeds
        for kind in ("KandinskyV22PriorPipeline", "KandinskyV22PriorEmb2EmbPipeline")
    ]
    assert torch.equal(*mixed)


def test_embeds_are_taken_apart_as_the_guides_do(pipes: Any) -> None:
    prior = pipes("KandinskyV22PriorPipeline")
    wanted, unwanted = prior("a cube", num_inference_steps=2)
    assert wanted.shape == unwanted.shape == (1, WIDTH)
    assert torch.equal(unwanted, prior.get_zero_embed())
    picture = pipes("KandinskyV22Pipeline")(
        **{**given(pipes("KandinskyV22Pipeline")), **prior("a cube", num_inference_steps=2)}
    )
    assert picture.images.shape == (1, 32, 32, 3)


@pytest.mark.parametrize(
    ("things", "weights", "words"),
    [
        ([], [], ["images_and_prompts", "empty"]),
        ("a cube", [1.0], ["images_and_prompts"]),
        (["a"], [], ["weights", "empty"]),
        (["a"], [0.5, 0.5], ["weights", "1", "2"]),
        (["a", "b"], [0.5, -0.5], ["weights", "sum is not 0"]),
        (["a"], [float("nan")], ["weights[0]", "finite"]),
        (["a"], ["1"], ["weights[0]", "'1'"]),
        ([None], [1.0], ["images_and_prompts[0]", "NoneType"]),
        ([torch.zeros(1, 5)], [1.0], ["images_and_prompts[0]", "24", "5"]),
        ([torch.full((1, 3, 30, 30), float("inf"))], [1.0], ["images_and_prompts[0]", "finite"]),
    ],
)
def test_what_cannot_be_mixed_is_refused(pipes: Any, things: Any, weights: Any, words: list[str]) -> None:
    for kind in PRIORS:
        with pytest.raises(CalotypeError) as caught:
            pipes(kind).interpolate(things, weights)
        assert all(word in str(caught.value) for word in words), kind


# ---------------------------------------------------------------------- pictures and masks


@pytest.mark.parametrize("kind", ["KandinskyInpaintPipeline", "KandinskyV22InpaintPipeline"])
def test_white_is_repainted_and_black_kept(pipes: Any, kind: str) -> None:
    pipe = pipes(kind)
    inputs = given(pipe, output_type="latent", generator=3)
    stream = pipe.stream(**inputs)
    step = list(stream)[-1]
    mask = torch.as_tensor(np.array(inputs["mask_image"]))[::2, ::2] > 0
    kept = step.state["mask_image"][0, 0].bool()
    assert not kept[mask].any() and kept[0, 0]
    if "V22" in kind:  # the rest is laid back after each step
        clean = step.state["masked_image"][0][:, kept]
        assert torch.equal(step.latents[0][:, kept], clean)


def test_sizes_are_rounded_up_and_that_is_said(pipes: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "calotype"):
        pipe = pipes("KandinskyV22Pipeline")
        assert run(pipe, height=37, width=24).shape == (1, 40, 24, 3)
    assert "24x37 becomes 24x40" in caplog.text


def test_a_pipeline_of_two_halves_says_so_once(pipes: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "calotype"):
        assert run(pipes("KandinskyV22CombinedPipeline"), height=37, width=24).shape == (1, 40, 24, 3)
        run(pipes("KandinskyV22InpaintCombinedPipeline"), mask_image=Image.new("L", (32, 32)))
    assert caplog.text.count("becomes") == caplog.text.count("no white") == 1


@pytest.mark.parametrize("kind", SIZED)
def test_without_a_size_pictures_are_as_large_as_what_the_unet_learnt_from(pipes: Any, kind: str) -> None:
    """A signature cannot know it: its 512 is that of the large models."""
    pipe = pipes(kind)
    side = pipe.unet.config.sample_size * pipe.vae_scale_factor
    assert pipe.usual_arguments == {"height": side, "width": side}
    inputs = given(pipe)
    del inputs["height"], inputs["width"]
    if "hint" in inputs:
        inputs["hint"] = torch.full((1, 3, side, side), 0.5)
    assert made_of(pipe(**inputs)).shape[1:3] == (side, side)


def test_a_decoders_folder_says_what_calls_mean_and_what_they_mean_of_the_prior(tmp_path: Path) -> None:
    usual = {"guidance_scale": 2.0, "prior_guidance_scale": 1.0}
    whole = tiny_kandinsky(calotype.KandinskyV22CombinedPipeline)
    told = kandinsky_inputs("KandinskyV22CombinedPipeline") | {"output_type": "np"}
    told = {name: value for name, value in told.items() if name not in usual}
    wanted, plain = (whole(**told, **more, seeds=[0]).images for more in (usual, {}))
    whole.register_to_config(_usual_arguments=usual)
    assert np.array_equal(whole(**told, seeds=[0]).images, wanted) and not np.array_equal(wanted, plain)
    whole.save_pretrained(tmp_path)
    again = calotype.KandinskyV22CombinedPipeline.from_pretrained(tmp_path)
    assert abs(again(**told, seeds=[0]).images - wanted).max() < 1e-3 < abs(plain - wanted).max()
    assert again.prior_pipe.usual_arguments == {"guidance_scale": 1.0}
    decoder = calotype.KandinskyV22Pipeline.from_pretrained(tmp_path)
    assert {**decoder.usual_arguments}.keys() == {"height", "width", "guidance_scale"}


def test_large_decoders_learnt_from_pictures_of_the_signatures_size() -> None:
    unet = tiny_kandinsky_unet(sample_size=64)
    pipe = tiny_kandinsky(calotype.KandinskyV22Pipeline, unet=unet, movq=quiet_movq(0, levels=4))
    assert pipe.usual_arguments == {"height": 512, "width": 512}


@pytest.mark.parametrize("kind", ["KandinskyImg2ImgCombinedPipeline", "KandinskyV22InpaintPipeline"])
def test_switches_are_taken_back_exactly(kind: str) -> None:
    pipe = tiny_kandinsky(getattr(calotype, kind))
    before, expected = fingerprint(pipe), run(pipe)
    pipe.movq.cut_into(16, levels=2)
    pipe.enable_attention_slicing("max")
    pipe.enable_vae_slicing()
    pipe.enable_vae_tiling()
    assert pipe.movq.use_slicing and pipe.movq.use_tiling
    assert np.abs(run(pipe) - expected).max() < 1e-3  # random weights enlarge a last digit
    pipe.enable_vae_tiling(seams=True)
    assert np.abs(run(pipe) - expected).max() > 1e-3
    pipe.disable_vae_tiling()
    pipe.disable_vae_slicing()
    pipe.disable_attention_slicing()
    assert_unchanged(before, fingerprint(pipe))
    assert np.array_equal(run(pipe), expected)


# ---------------------------------------------------------------------- what is refused

NAN = float("nan")
EMBEDS = [None, "x", [], torch.zeros(1, 5), torch.zeros(WIDTH), torch.zeros(1, WIDTH, dtype=torch.long), [None]]
PICTURED = tuple(kind for kind in EVERY if "Img2Img" in kind or "Inpaint" in kind)
MASKED = tuple(kind for kind in EVERY if "Inpaint" in kind)
STRONG = tuple(kind for kind in EVERY if "Img2Img" in kind or "Emb2Emb" in kind)
WORDED = tuple(kind for kind in EVERY if "prompt" in kandinsky_inputs(kind))


def wrong(
    kinds: tuple[str, ...], name: str, values: list[Any]
) -> list[tuple[tuple[str, ...], dict[str, Any], list[str]]]:
    return [(kinds, {name: value}, [name]) for value in values]


ROWS = [
    *wrong(DECODERS, "image_embeds", EMBEDS),
    *wrong(DECODERS, "negative_image_embeds", [*EMBEDS, torch.zeros(3, WIDTH)]),
    (DECODERS, {"image_embeds": torch.full((1, WIDTH), NAN)}, ["image_embeds", "finite"]),
    (
        DECODERS,
        {"image_embeds": calotype.KandinskyPriorPipelineOutput(torch.zeros(1, WIDTH), torch.zeros(1, WIDTH))},
        ["image_embeds", "all that a prior returned"],
    ),
    (tuple(kind for kind in DECODERS if "V22" not in kind), {"prompt": ["a", "b"]}, ["image_embeds", "2"]),
    (tuple(kind for kind in DECODERS if "V22" not in kind), {"image_embeds": torch.zeros(2, WIDTH)}, ["image_embeds", "1"]),
    *wrong(PICTURED, "image", [None, [], "picture.png"]),
    *wrong(("KandinskyV22PriorEmb2EmbPipeline",), "image", [None, [], "picture.png", torch.zeros(2, WIDTH)]),
    *wrong(MASKED, "mask_image", [None, [], "mask.png"]),
    *wrong(STRONG, "strength", [NAN, -0.1, 1.5, None, 0, 1e-9]),
    *wrong(SIZED, "height", [0, -64, "64", 64.5, None, True]),
    *wrong(SIZED, "width", [0, 2**40, NAN]),
    *wrong(EVERY, "guidance_scale", [NAN, "4", None]),
    *wrong(EVERY, "num_inference_steps", [0, -1, 2.5, None]),
    *wrong(EVERY, "num_images_per_prompt", [0, 1.5]),
    *wrong(EVERY, "output_type", ["bogus", None]),
    *wrong(PRIORS, "output_type", ["pil", "latent"]),
    *wrong(EVERY, "generator", [[], "0", -1, [torch.Generator()] * 3]),
    *wrong(WORDED, "prompt", [None, [], 3, ["a", None], "\ud800"]),
    *wrong(WORDED, "negative_prompt", [3, ["a", "b"], []]),
    *wrong(WHOLE, "prior_guidance_scale", [NAN, None]),
    *wrong(WHOLE, "prior_num_inference_steps", [0, 1, "25"]),
    *wrong(WHOLE, "latents", [torch.zeros(1, 4, 16, 16), torch.full((1, WIDTH), NAN)]),
    (("KandinskyV22Pipeline", "KandinskyInpaintPipeline"), {"latents": torch.zeros(1, 4, 5, 5)}, ["latents", "(1, 4, 5, 5)"]),
    (("KandinskyV22PriorPipeline",), {"latents": torch.zeros(2, WIDTH)}, ["latents", f"(1, {WIDTH})"]),
    *wrong(tuple(kind for kind in EVERY if "Controlnet" in kind), "hint", [None, [], "hint.png", torch.zeros(1, 4, 64, 64)]),
    *wrong(("KandinskyV22CombinedPipeline", "KandinskyV22Pipeline"), "callback_on_step_end_tensor_inputs", [["noise"]]),
    *wrong(("KandinskyV22CombinedPipeline",), "callback_on_step_end", [3]),
]  # fmt: skip


def refusal(pipe: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> Exception:
    """What is said to a call with these arguments, or that a denoiser ran."""

    def ran(*_: Any, **__: Any) -> None:
        raise AssertionError("a denoiser ran")

    for name in ("unet", "prior", "prior_prior"):
        if name in pipe.components:
            monkeypatch.setattr(getattr(pipe, name), "forward", ran)
    with pytest.raises((CalotypeError, AssertionError)) as caught:
        pipe(**{**given(pipe), **changes})
    return caught.value


@pytest.mark.parametrize(("kinds", "changes", "words"), ROWS)
def test_it_is_refused_before_any_network_runs(
    pipes: Any,
    monkeypatch: pytest.MonkeyPatch,
    kinds: tuple[str, ...],
    changes: dict[str, Any],
    words: list[str],
) -> None:
    said = {kind: refusal(pipes(kind), monkeypatch, changes) for kind in kinds}
    assert {kind: one for kind, one in said.items() if not isinstance(one, CalotypeError)} == {}
    assert {kind: str(one) for kind, one in said.items() if not all(word in str(one) for word in words)} == {}


OTHERS = {
    "KandinskyV22Pipeline": "KandinskyV22InpaintPipeline",
    "KandinskyV22InpaintPipeline": "KandinskyV22ControlnetPipeline",
    "KandinskyInpaintPipeline": "KandinskyPipeline",
    "KandinskyV22ControlnetPipeline": "KandinskyV22Pipeline",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_unet_of_another_task_is_refused(kind: str) -> None:
    parts = decoder_parts(OTHERS[kind])
    pipe = tiny_kandinsky(getattr(calotype, kind), unet=parts["unet"], movq=parts["movq"])
    with pytest.raises(InvalidArgument, match="unet"):
        run(pipe)


def test_a_unet_that_reads_no_mask_repaints_too() -> None:
    """What is kept is laid back after each step, as with Stable Diffusion's."""
    kind = "KandinskyV22InpaintPipeline"
    pipe = tiny_kandinsky(calotype.KandinskyV22InpaintPipeline, unet=decoder_parts("KandinskyV22Pipeline")["unet"])
    inputs = kandinsky_inputs(kind) | {"output_type": "latent"}
    *_, step = pipe.stream(**inputs)
    kept = step.state["mask_image"][0, 0].bool()
    assert kept.any() and not kept.all()
    assert torch.equal(step.latents[0][:, kept], step.state["masked_image"][0][:, kept])


@pytest.mark.parametrize("kind", [kind for kind in DECODERS if "Controlnet" in kind])
def test_a_hint_is_embedded_once(pipes: Any, kind: str) -> None:
    pipe, seen = pipes(kind), []
    layer = pipe.unet.add_embedding.input_hint_block
    handle = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    run(pipe)
    handle.remove()
    assert seen == [(1, 3, 64, 64)]


def test_a_misspelt_keyword_is_named_with_the_nearest(pipe: Any) -> None:
    with pytest.raises(UnknownArgument, match=r"guidance_scal\b.*guidance_scale"):
        run(pipe, guidance_scal=3)


def test_numbers_that_are_not_finite_never_become_a_picture(pipes: Any) -> None:
    def spoil(call: Any, i: int, t: Any, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"latents": tensors["latents"] * torch.nan}

    for kind in ("KandinskyV22PriorPipeline", "KandinskyV22Pipeline", "KandinskyV22CombinedPipeline"):
        with pytest.raises(NotFinite):
            run(pipes(kind), callback_on_step_end=spoil)
