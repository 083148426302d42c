"""``calotype replay``: a picture comes again from its recipe, or what differs is said; a recipe is data and no more."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import calotype
from calotype.core.picture_files import read_recipe, write_picture
from tests.cli.test_generate import pixels

QUICK = ("--size", "32x32", "--steps", 2)
FROM = ("--image", "in.png", "--steps", 2)
TASKS = {
    "text": (("--scheduler", "EulerAncestralDiscrete", "--negative", "and", *QUICK), ()),
    "text, not recipes of ours to the letter": (("--guidance", "3", "--scheduler", "DPMSolverSinglestep", *QUICK), ()),
    "text in a spelling": (("--prompt-syntax", "a1111", "--negative", "(and:1.4)", *QUICK), ()),
    "image": (("--strength", "0.9", *FROM), ("--image", "in.png")),
    "image of another size": (("--size", "64x32", *FROM), ("--image", "in.png")),
    "inpaint": (("--mask", "mask.png", *FROM), ("--image", "in.png", "--mask", "mask.png")),
    "inpaint of another size": (
        ("--mask", "mask.png", "--size", "64x48", *FROM),
        ("--image", "in.png", "--mask", "mask.png"),
    ),
}


@pytest.fixture
def made(run, model):
    """Make a picture with these options; its name."""
    levels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    mask = Image.new("L", (48, 32))
    mask.paste(255, (24, 0, 48, 32))
    Image.fromarray(levels).save("in.png")
    mask.save("mask.png")

    def make(*options, name="a.png"):
        done = run("generate", "a cat", "-m", model, "--seed", 7, *options, "-o", name)
        assert done.exit_code == 0, done.stderr
        return name

    return make


@pytest.mark.parametrize("task", TASKS)
def test_a_picture_comes_again(run, made, model, task):
    options, inputs = TASKS[task]
    again = run("replay", made(*options), "-m", model, *inputs)
    assert (again.exit_code, again.stdout, again.stderr) == (0, "identical\n", "")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_picture_comes_again_in_its_own_format(run, made, model, suffix):
    name = made(*QUICK, name=f"a.{suffix}")
    told = json.loads(run("replay", name, "-m", model, "--json").stdout)
    assert told == {"file": None, "identical": True, "pixels": 0, "of": 1024, "largest": 0, "facts": {}}


def test_a_picture_of_a_batch_comes_again_as_it_was_in_it(run, made, model):
    made(*QUICK, "-n", 3, "--batch", 3, name="{index}.png")
    for name in ("1.png", "2.png", "3.png"):
        assert run("replay", name, "-m", model).stdout == "identical\n"
    assert read_recipe("3.png")["batch"] == [3, 3]


def test_the_replayed_file_is_the_same_to_the_byte(run, made, model):
    name = made(*QUICK)
    assert run("replay", name, "-m", model, "-o", "b.png").stdout == "b.png\nidentical\n"
    assert Path("b.png").read_bytes() == Path(name).read_bytes()
    assert run("replay", name, "-m", model, "-o", "b.png").stdout == "b-2.png\nidentical\n"


def test_pixels_that_were_changed_are_counted(run, made, model):
    name = made(*QUICK)
    with Image.open(name) as file:
        picture = file.convert("RGB")
    for place, more in (((3, 4), 5), ((7, 7), 9)):
        red, green, blue = picture.getpixel(place)
        picture.putpixel(place, (red, green + more if green < 128 else green - more, blue))
    write_picture("b.png", picture, read_recipe(name))
    done = run("replay", "b.png", "-m", model)
    assert (done.exit_code, done.stdout) == (4, "differs in 2 of 1,024 pixels, by at most 9 of 255\n")
    told = json.loads(run("replay", "b.png", "-m", model, "--json").stdout)
    assert (told["identical"], told["pixels"], told["largest"]) == (False, 2, 9)
    write_picture("c.png", picture.crop((0, 0, 30, 20)), read_recipe(name))
    done = run("replay", "c.png", "-m", model)
    assert (done.exit_code, done.stdout) == (4, "differs: the file is 30x20, its recipe makes 32x32\n")


def test_what_changed_since_then_is_said(run, made, model, tmp_path):
    name = made(*QUICK)
    other = shutil.copytree(model, tmp_path / "other")
    unet = calotype.UNet2DConditionModel.from_pretrained(other / "unet")
    unet.conv_out.bias.data += 0.5
    unet.save_pretrained(other / "unet")
    recipe = read_recipe(name)
    recipe["versions"]["torch"] = "1.0"
    write_picture("b.png", Image.open(name), recipe)
    done = run("replay", "b.png", "-m", other, "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["identical"]) == (4, False)
    assert set(told["facts"]) == {"model", "files.unet/diffusion_pytorch_model.safetensors", "versions.torch"}
    assert told["facts"]["model"] == ["tiny-model", "other"]
    assert told["facts"]["versions.torch"][0] == "1.0"
    lines = run("replay", "b.png", "-m", other).stdout.splitlines()
    assert "  model: tiny-model then, other now" in lines and len(lines) == 4


def test_another_input_picture_is_said(run, made, model):
    name = made("--strength", "0.9", *FROM)
    Image.new("RGB", (48, 32), "red").save("other.png")
    done = run("replay", name, "-m", model, "--image", "other.png")
    assert done.exit_code == 4 and "arguments.image.sha256" in done.stdout
    without = run("replay", name, "-m", model)
    assert without.exit_code == 2 and "--image" in without.stderr
    mask = run("replay", name, "-m", model, "--image", "in.png", "--mask", "mask.png")
    assert mask.exit_code == 2 and "--mask" in mask.stderr


VARIED = {
    "seed": (("seed=9",), ("--seed", "9")),
    "prompt": (("prompt=5",), None),
    "steps and guidance": (("steps=3", "guidance=2"), ("--steps", "3", "--guidance", "2")),
    "names of arguments": (("num_inference_steps=3", "guidance_scale=2"), ("--steps", "3", "--guidance", "2")),
    "negative": (("negative=and",), ("--negative", "and")),
    "spelling": (("negative=(and:2)", "prompt_syntax=a1111"), ("--negative", "(and:2)", "--prompt-syntax", "a1111")),
    "size": (("size=48x32",), ("--size", "48x32")),
    "scheduler": (("scheduler=EulerDiscrete",), ("--scheduler", "eulerdiscrete")),
    "dtype": (("dtype=bfloat16",), ("--dtype", "bfloat16")),
}


@pytest.mark.parametrize("name", VARIED)
def test_a_variation_is_what_generate_would_make(run, made, model, name):
    changes, options = VARIED[name]
    done = run("replay", made(*QUICK), "-m", model, *(word for change in changes for word in ("--set", change)))
    assert (done.exit_code, done.stdout, done.stderr) == (0, "out.png\n", "")
    prompt = "5" if options is None else "a cat"
    told = ("-m", model, "--seed", 7, *QUICK, *(options or ()), "-o", "b.png")
    assert run("generate", prompt, *told).exit_code == 0
    assert np.array_equal(pixels("out.png"), pixels("b.png"))
    assert run("replay", "out.png", "-m", model).stdout == "identical\n"


def test_a_variation_of_a_picture_from_a_picture(run, made, model):
    name = made("--strength", "0.9", *FROM)
    asked = ("-m", model, "--image", "in.png", "--set", "size=64x32", "--set", "strength=0.6")
    assert run("replay", name, *asked, "-o", "b.png", "--json").exit_code == 0
    again = made(*FROM, "--strength", "0.6", "--size", "64x32", name="c.png")
    assert np.array_equal(pixels("b.png"), pixels(again))


def test_what_is_not_named_is_as_it_was_and_can_be_any_argument(run, made, model):
    made(*QUICK)
    done = run("replay", "a.png", "-m", model, "--set", "eta=0.5", "--set", "clip_skip=1", "--set", "clip_skip=null")
    assert done.exit_code == 0, done.stderr
    recipe = read_recipe("out.png")
    assert recipe["arguments"]["eta"] == 0.5 and "clip_skip" not in recipe["arguments"]


WRONG = {
    "step=3": "'steps'",
    "prompts=a": "'prompt'",
    "seed": "name=value",
    "seed=-1": "seed",
    "seed=many": "seed",
    "steps=0": "num_inference_steps",
    "steps=2.5": "num_inference_steps",
    "guidance=NaN": "guidance_scale",
    "eta=2": "eta",
    "prompt_syntax=comfy": "a1111",
    "size=512": "512x768",
    "size=33x32": "33",
    "dtype=int8": "float16",
    "device=toaster": "toaster",
    "scheduler=Magic": "Magic",
    "latents=[1]": "latents",
    "callback_on_step_end=print": "callback_on_step_end",
    "output_type=latent": "output_type",
}


@pytest.mark.parametrize("change", WRONG)
def test_a_wrong_change_is_said_in_a_line_and_makes_nothing(run, made, model, change):
    made(*QUICK)
    done = run("replay", "a.png", "-m", model, "--set", change)
    assert (done.exit_code, done.stdout) == (2, "") and WRONG[change] in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not Path("out.png").exists()


def test_a_model_is_found_by_its_name_or_asked_for(run, made, model):
    name = made(*QUICK)
    done = run("replay", name)
    assert done.exit_code == 2 and "tiny-model" in done.stderr and "-m" in done.stderr
    shutil.copytree(model, "tiny-model")
    assert run("replay", name).stdout == "identical\n"


def test_a_picture_without_a_recipe_is_refused(run, made, model):
    for name, code in {made(*QUICK, "--no-metadata"): 3, "in.png": 3, "nowhere.png": 2}.items():
        done = run("replay", name, "-m", model)
        assert done.exit_code == code and name in done.stderr


HOSTILE = {
    "a later version": ({"recipe": 2}, "recipe"),
    "no prompt": ({"prompt": None}, "prompt"),
    "a seed that is none": ({"seed": -1}, "seed"),
    "a pipeline that is none": ({"pipeline": "os.system"}, "pipeline"),
    "a class that is no pipeline": ({"pipeline": "AutoencoderKL"}, "AutoencoderKL"),
    "a scheduler that is none": ({"scheduler": {"class": "subprocess.Popen", "config": {}}}, "scheduler"),
    "another class for a scheduler": ({"scheduler": {"class": "KarrasDiffusionSchedulers"}}, "scheduler"),
    "a scheduler without a config": ({"scheduler": {"class": "DDIMScheduler"}}, ""),
    "a config of a scheduler that is none": (
        {"scheduler": {"class": "DDIMScheduler", "config": {"num_train_timesteps": "x"}}},
        "num_train_timesteps",
    ),
    "arguments that are none": ({"arguments": [1]}, "arguments"),
    "an unknown argument": ({"arguments": {"trust_remote_code": True}}, "trust_remote_code"),
    "a spelling that is none": ({"arguments": {"prompt_syntax": ["a1111"]}}, "prompt_syntax"),
    "a function": ({"arguments": {"callback_on_step_end": "os.system"}}, "callback_on_step_end"),
    "another kind of output": ({"arguments": {"output_type": "latent"}}, "output_type"),
    "a number out of range": ({"arguments": {"num_inference_steps": 10**9}}, "num_inference_steps"),
    "a picture that is a word": ({"arguments": {"image": "in.png"}}, "image"),
    "a picture beyond all bounds": (
        {"arguments": {"image": {"mode": "RGB", "size": [10**6, 10**6], "sha256": ""}}},
        "size",
    ),
    "a path for a model": ({"model": "/etc"}, "model"),
    "a path out of here": ({"model": "../tiny-model"}, "model"),
    "a name out of here": ({"model": "a..b/..", "revision": "main"}, "model"),
    "a place that is not in its batch": ({"batch": [3, 2]}, "batch"),
    "a batch beyond all bounds": ({"batch": [1, 10**6]}, "batch"),
    "a type that is none": ({"dtype": "load"}, "dtype"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_recipe_that_was_changed_is_an_error_and_nothing_is_run(run, made, model, name):
    changes, told = HOSTILE[name]
    recipe = read_recipe(made(*QUICK)) | changes
    write_picture("b.png", Image.open("a.png"), recipe)
    before = sorted(os.listdir())
    done = run("replay", "b.png", *(() if "model" in changes else ("-m", model)), "-o", "c.png")
    assert done.exit_code == 3 and told in done.stderr, (done.stderr, done.stdout, done.exception)
    assert done.stdout == "" and done.stderr.count("\n") == 1 and sorted(os.listdir()) == before


def test_a_device_that_is_not_here_gives_way_to_one_that_is(run, made, model):
    recipe = read_recipe(made(*QUICK)) | {"device": "abacus"}
    write_picture("b.png", Image.open("a.png"), recipe)
    done = run("replay", "b.png", "-m", model)
    assert "  device: abacus then, cpu now" in done.stdout.splitlines() or "cuda now" in done.stdout
