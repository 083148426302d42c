"""``calotype generate`` with two repositories that are one pipeline: as with any other model."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
from PIL import Image

import calotype
from calotype.core.picture_files import read_recipe
from tests.tiny_kandinsky import tiny_kandinsky

QUICK = ("--steps", "2", "--seed", "7")


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """The folders of decoders by task; their card names the prior beside them."""
    folder = tmp_path_factory.mktemp("halves")
    tiny_kandinsky(calotype.KandinskyV22PriorPipeline).save_pretrained(folder / "prior")
    for name, kind in {"plain": calotype.KandinskyV22Pipeline, "mask": calotype.KandinskyV22InpaintPipeline}.items():
        tiny_kandinsky(kind).save_pretrained(folder / name)
        (folder / name / "README.md").write_text(f"---\nprior:\n- {folder / 'prior'}\n---\n# A decoder\n")
    return folder


@pytest.fixture
def shown(run):
    levels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    Image.fromarray(levels).save("in.png")
    mask = Image.new("L", (48, 32))
    mask.paste(255, (24, 0, 48, 32))
    mask.save("mask.png")


def test_a_decoder_draws_with_the_prior_that_its_card_names(run, halves):
    done = run("generate", "a cat", "-m", halves / "plain", *QUICK)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "out.png\n", "")
    pipe = calotype.AutoPipelineForText2Image.from_pretrained(halves / "plain")
    pipe.set_progress_bar_config(disable=True)
    picture = pipe("a cat", num_inference_steps=2, generator=7).images[0]
    assert np.array_equal(pixels("out.png"), np.asarray(picture))


def test_without_a_size_pictures_are_as_large_as_what_the_unet_learnt_from(run, halves):
    run("generate", "a cat", "-m", halves / "plain", *QUICK)
    pipe = calotype.AutoPipelineForText2Image.from_pretrained(halves / "plain")
    side = pipe.unet.config.sample_size * pipe.vae_scale_factor
    assert pixels("out.png").shape == (side, side, 3)
    arguments = read_recipe("out.png")["arguments"]
    assert (arguments["height"], arguments["width"]) == (side, side)
    assert run("generate", "a cat", "-m", halves / "plain", *QUICK, "--size", "24x36", "-o", "b.png").exit_code == 0
    assert pixels("b.png").shape == (36, 24, 3)


def test_the_recipe_knows_the_weights_of_both_and_replays(run, halves):
    run("generate", "a cat", "-m", halves / "plain", *QUICK)
    files = read_recipe("out.png")["files"]
    assert {name.partition("/")[0] for name in files} == {
        "unet",
        "movq",
        "prior_prior",
        "prior_image_encoder",
        "prior_text_encoder",
    }
    done = run("replay", "out.png", "-m", halves / "plain")
    assert (done.exit_code, done.stdout) == (0, "identical\n")


@pytest.mark.parametrize("size", [None, "24x36"])
def test_a_picture_is_begun_with_and_its_size_kept(run, halves, shown, size):
    more = ("--size", size) if size else ()
    asked = ("-m", halves / "plain", *QUICK, *more, "--image", "in.png")
    assert run("generate", "a cat", *asked, "--strength", "1").exit_code == 0
    assert pixels("out.png").shape == ((36, 24, 3) if size else (32, 48, 3))
    run("generate", "a cat", *asked, "--strength", "1", "--image", "mask.png", "-o", "other.png")
    assert (pixels("other.png") != pixels("out.png")).any()


def test_a_mask_is_repainted(run, halves, shown):
    asked = ("-m", halves / "mask", *QUICK, "--image", "in.png", "--mask", "mask.png")
    assert run("generate", "a cat", *asked, "-o", "a.png").exit_code == 0
    Image.new("L", (48, 32)).save("mask.png")
    assert run("generate", "a cat", *asked, "-o", "kept.png").exit_code == 0
    made, kept = (pixels(name) for name in ("a.png", "kept.png"))
    assert abs(made - kept)[:, 36:].mean() > 10 * abs(made - kept)[:, :12].mean()


def test_what_a_model_has_no_argument_for_is_refused_by_the_options_name(run, halves, shown):
    asked = ("generate", "a cat", "-m", halves / "mask", *QUICK, "--image", "in.png", "--mask", "mask.png")
    for option, word, name in (("--strength", "0.5", "strength"), ("--prompt-syntax", "compel", "prompt_syntax")):
        done = run(*asked, option, word)
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"{option}: expected nothing, as KandinskyV22InpaintCombinedPipeline takes no {name}" in done.stderr


@pytest.mark.parametrize(("leg", "taken"), [("UnCLIPScheduler", 3), ("DDPMScheduler", 2)])
def test_a_run_that_is_stopped_goes_on_in_either_leg(run, halves, monkeypatch, leg, taken):
    asked = ("generate", "a cat", "-m", halves / "plain", *QUICK)
    run(*asked, "-o", "unbroken.png")
    step, steps = getattr(calotype, leg).step, iter(range(1, 100))

    @functools.wraps(step)  # the loop looks at what it takes
    def stopping(*arguments, **options):
        if next(steps) == taken:
            raise KeyboardInterrupt
        return step(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(getattr(calotype, leg), "step", stopping)
        assert run(*asked).exit_code == 130
    assert run("resume", "out.calotype-state").stdout == "out.png\n"
    assert np.array_equal(pixels("out.png"), pixels("unbroken.png"))


def test_models_info_tells_the_family_of_a_half(run, halves):
    facts = json.loads(run("models", "info", halves / "plain", "--json").stdout)
    assert facts["family"] == "kandinsky22" and facts["missing"] == facts["faults"] == []
