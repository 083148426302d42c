"""``calotype generate``: what is asked for is made, told and never overwritten; what is wrong is said before any work."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import calotype
from calotype.cli.asked import SCHEDULERS
from calotype.core.picture_files import read_recipe

QUICK = ("--size", "32x32", "--steps", "2")


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


@pytest.fixture
def shown(run):
    """Names of a picture and of a mask."""
    levels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    mask = Image.new("L", (48, 32))
    mask.paste(255, (24, 0, 48, 32))
    Image.fromarray(levels).save("in.png")
    mask.save("mask.png")
    return "in.png", "mask.png"


def test_the_picture_is_the_one_that_the_library_makes(run, model):
    asked = ("a cat", "-m", model, *QUICK, "--seed", 7, "--guidance", 3, "--negative", "and", "--scheduler", "euler")
    assert run("generate", *asked, "-o", "a.png").exit_code == 2  # no scheduler is called that
    done = run("generate", *asked[:-1], "eulerdiscrete", "-o", "a.png")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "a.png\n", "")
    pipe = calotype.AutoPipelineForText2Image.from_pretrained(model)
    pipe.scheduler = calotype.EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    image = pipe("a cat", 32, 32, 2, guidance_scale=3.0, negative_prompt="and", generator=7).images[0]
    assert np.array_equal(pixels("a.png"), np.asarray(image))


@pytest.mark.parametrize(("syntax", "prompt"), [("a1111", "[a:the:1] (cat:1.5)"), ("compel", "a (cat)1.5")])
def test_a_prompt_is_read_in_the_spelling_that_is_named(run, model, syntax, prompt):
    asked = (prompt, "-m", model, *QUICK, "--seed", 7)
    for name, more in {"read.png": ("--prompt-syntax", syntax), "letters.png": ()}.items():
        assert run("generate", *asked, *more, "-o", name).exit_code == 0
    assert read_recipe("read.png")["arguments"]["prompt_syntax"] == syntax
    assert "prompt_syntax" not in read_recipe("letters.png")["arguments"]
    pipe = calotype.AutoPipelineForText2Image.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    image = pipe(prompt, 32, 32, 2, generator=7, prompt_syntax=syntax).images[0]
    assert np.array_equal(pixels("read.png"), np.asarray(image))
    assert not np.array_equal(pixels("read.png"), pixels("letters.png"))


def test_a_prompt_that_is_spelt_wrong_is_said_before_the_others_are_made(run, model):
    Path("prompts.txt").write_text("a cat\na (cat\n")
    done = run("generate", "--prompts", "prompts.txt", "-m", model, *QUICK, "--prompt-syntax", "a1111")
    assert (done.exit_code, done.stdout, os.listdir()) == (2, "", ["prompts.txt"])
    assert done.stderr.startswith("Error: prompt 2, character 3: expected ')'")


def test_every_recipe_tells_all_and_betrays_nothing(run, model, shown):
    from_image = ("--image", shown[0], "--strength", 0.9, "--steps", 2)
    tasks = {"text": QUICK, "image": from_image, "inpaint": (*from_image, "--mask", shown[1])}
    for task, options in tasks.items():
        done = run("generate", "a cat", "-m", model, *options, "--seed", 5, "-o", f"{task}.png")
        assert done.exit_code == 0, done.stderr
        recipe = read_recipe(f"{task}.png")
        assert {recipe[key] for key in ("recipe", "model", "prompt", "seed", "dtype")} == {
            1,
            "tiny-model",
            "a cat",
            5,
            "float32",
        }
        assert recipe["arguments"]["num_inference_steps"] == 2
        assert recipe["arguments"]["guidance_scale"] == 7.5  # a default is said as well
        assert recipe["scheduler"]["class"] == "DDIMScheduler" and recipe["scheduler"]["config"]["steps_offset"] == 1
        assert recipe["versions"]["calotype"] == calotype.__version__
        assert recipe["size"] == [*pixels(f"{task}.png").shape[1::-1]]
        with Image.open(f"{task}.png") as made:
            told = json.dumps(made.info)
        names = (os.uname().nodename, "secret-place", str(model), str(Path.cwd()), "in.png", "mask.png")
        assert not any(re.search(rf"\b{re.escape(name)}\b", told) for name in names)
    assert len(recipe["arguments"]["mask_image"]["sha256"]) == 64
    weights = {path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*.safetensors")}
    assert len(weights) == 3
    assert recipe["files"] == {name: hashlib.sha256(data).hexdigest() for name, data in weights.items()}
    assert recipe["pipeline"] == "StableDiffusionInpaintPipeline"


def test_a_recipe_tells_the_weights_of_its_variant_and_of_each_shard(run, model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "variant")
    pipe = calotype.StableDiffusionPipeline.from_pretrained(model)
    pipe.vae.save_pretrained(folder / "vae", variant="fp16")
    pipe.unet.save_pretrained(folder / "unet", max_shard_size="2MB")
    assert run("generate", "a cat", "-m", folder, "--variant", "fp16", *QUICK).exit_code == 0
    recipe = read_recipe("out.png")
    assert recipe["variant"] == "fp16" and "vae/diffusion_pytorch_model.fp16.safetensors" in recipe["files"]
    assert sum("-of-" in name for name in recipe["files"]) > 1
    assert run("replay", "out.png", "-m", folder).stdout == "identical\n"


def test_no_metadata_means_none(run, model):
    assert run("generate", "a cat", "-m", model, *QUICK, "--no-metadata").exit_code == 0
    with Image.open("out.png") as picture:
        assert picture.info == {}


def test_a_mask_keeps_the_size_and_the_rest_of_the_picture(run, model, shown):
    options = ("--image", shown[0], "--mask", shown[1], "--steps", 2, "--seed", 1)
    assert run("generate", "a cat", "-m", model, *options).exit_code == 0
    assert pixels("out.png").shape == (32, 48, 3)
    other = (*options, "--size", "64x48", "-o", "larger.png")
    assert run("generate", "a cat", "-m", model, *other).exit_code == 0
    assert pixels("larger.png").shape == (48, 64, 3)


def test_strength_is_how_far_the_picture_is_left(run, model, shown):
    for strength in (0.0, 0.1):
        options = ("--image", shown[0], "--strength", strength, "--steps", 10, "--seed", 1, "-o", f"{strength}.png")
        assert run("generate", "a cat", "-m", model, *options).exit_code == (2 if strength == 0.0 else 0)
    assert read_recipe("0.1.png")["arguments"]["strength"] == 0.1
    sized = ("--image", shown[0], "--size", "64x32", "--steps", 2, "-o", "sized.png")
    assert run("generate", "a cat", "-m", model, *sized).exit_code == 0
    assert pixels("sized.png").shape == (32, 64, 3)


@pytest.mark.parametrize("image", [False, True])
def test_a_seed_makes_its_picture_in_every_batch(run, model, shown, image):
    options = ("--image", shown[0], "--steps", 2) if image else QUICK
    for batch in (1, 2, 3):
        done = run(
            "generate",
            "a cat",
            "-m",
            model,
            *options,
            "--seed",
            "3,1,2",
            "--batch",
            batch,
            "-o",
            f"{batch}/{{seed}}.png",
        )
        assert done.stdout.split() == [f"{batch}/{seed}.png" for seed in (3, 1, 2)]
    for seed in (1, 2, 3):
        assert np.abs(pixels(f"1/{seed}.png") - pixels(f"2/{seed}.png")).max() <= 1
        assert np.abs(pixels(f"1/{seed}.png") - pixels(f"3/{seed}.png")).max() <= 1
    assert np.abs(pixels("1/1.png") - pixels("1/2.png")).max() > 1


def test_a_count_goes_on_from_the_seed_or_draws_new_ones(run, model):
    done = run("generate", "a cat", "-m", model, *QUICK, "--seed", 2**64 - 1, "-n", 2, "--json")
    assert [json.loads(line)["seed"] for line in done.stdout.splitlines()] == [2**64 - 1, 0]
    drawn = [
        json.loads(run("generate", "a", "-m", model, *QUICK, "-n", 2, "--json").stdout.splitlines()[i]) for i in (0, 1)
    ]
    assert len({one["seed"] for one in drawn}) == 2


def test_prompts_come_from_a_file_or_from_standard_input(run, model):
    Path("prompts.txt").write_text("a cat\n\n  hello ünd 月 \n", encoding="utf-8")
    listed = run("generate", "--prompts", "prompts.txt", "-m", model, *QUICK, "--seed", "1,2", "--json")
    expected = [("a cat", 1), ("a cat", 2), ("hello ünd 月", 1), ("hello ünd 月", 2)]
    assert [(one["prompt"], one["seed"]) for one in map(json.loads, listed.stdout.splitlines())] == expected
    for words in (("-",), ("--prompts", "-")):
        piped = run("generate", *words, "-m", model, *QUICK, "--json", input="a cat\n")
        assert json.loads(piped.stdout)["prompt"] == "a cat"


def test_json_is_one_line_for_each_picture(run, model):
    done = run("generate", "a cat", "-m", model, *QUICK, "--seed", 4, "--json", "-o", "a.webp")
    assert json.loads(done.stdout) == {
        "file": "a.webp",
        "prompt": "a cat",
        "seed": 4,
        "size": [32, 32],
        "blocked": None,
    }


def test_nothing_is_overwritten_unless_asked(run, model):
    Path("out.png").write_bytes(b"mine")
    Path("out-2.png").symlink_to("nowhere")
    asked = ("generate", "a cat", "-m", model, *QUICK, "--seed", "1,2")
    assert run(*asked).stdout.split() == ["out-3.png", "out-4.png"]
    assert Path("out.png").read_bytes() == b"mine" and not Path("nowhere").exists()
    assert run(*asked, "--overwrite").stdout.split() == ["out.png", "out-2.png"]  # each picture of a run has its own
    assert read_recipe("out.png")["seed"] == 1 and read_recipe("out-2.png")["seed"] == 2


def test_names_are_filled_in(run, model):
    asked = (
        "generate",
        "a cat / ../b: ünï",
        "-m",
        model,
        *QUICK,
        "--seed",
        "7,8",
        "-o",
        "new/{index:03}_{seed}_{prompt}.jpg",
    )
    assert run(*asked).stdout.split() == ["new/001_7_a-cat-b-ünï.jpg", "new/002_8_a-cat-b-ünï.jpg"]
    assert read_recipe("new/002_8_a-cat-b-ünï.jpg")["seed"] == 8


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_is_known_by_name_and_its_config_is_a_recipe(name, model):
    from calotype.cli.asked import Wanted
    from calotype.cli.recipes import common_facts, recipe
    from calotype.cli.request import Request
    from calotype.core.picture_files import recipe_options

    pipe = calotype.AutoPipelineForText2Image.from_pretrained(model)
    pipe.scheduler = getattr(calotype, f"{name}Scheduler")()
    facts = recipe(common_facts(pipe, Request(str(model)), {}), Wanted(1, "a", 2), (8, 8))
    assert facts["scheduler"]["class"] == f"{name}Scheduler"
    assert recipe_options("a.png", facts)


USAGE = {
    "nothing": ((), "PROMPT"),
    "two sources of prompts": (("a", "--prompts", os.devnull), "PROMPT"),
    "no prompts": (("--prompts", os.devnull), "found none"),
    "mask without picture": (("a", "--mask", os.devnull), "--mask needs --image"),
    "strength without picture": (("a", "--strength", "0.5"), "--strength needs --image"),
    "seeds and a count": (("a", "--seed", "1,2", "-n", "2"), "several seeds"),
    "seed": (("a", "--seed", "1,x"), "1,2,3"),
    "seed below zero": (("a", "--seed=-1"), "1,2,3"),
    "seed too large": (("a", "--seed", str(2**64)), "1,2,3"),
    "size": (("a", "--size", "512"), "512x768"),
    "unknown field": (("a", "-o", "{model}.png"), "index, seed, prompt"),
    "attributes": (("a", "-o", "{index.__class__}.gif"), ".png, .jpg"),
    "format": (("a", "-o", "a.gif"), ".png, .jpg"),
    "folder that is a file": (("a", "-o", "taken/a.png"), "a folder that can be written to"),
    "device": (("a", "--device", "toaster"), "a device of this machine"),
    "device that is not here": (("a", "--device", "meta:x"), "a device of this machine"),
    "scheduler": (("a", "--scheduler", "Magic"), "Magic"),
    "steps": (("a", "--steps", "0"), "num_inference_steps"),
    "guidance": (("a", "--guidance", "nan"), "guidance_scale"),
    "spelling": (("a", "--prompt-syntax", "comfy"), "compel"),
    "a bracket that does not close": (("(a", "--prompt-syntax", "a1111"), "prompt"),
    "sides": (("a", "--size", "33x32"), "33"),
    "picture is missing": (("a", "--image", "none.png"), "none.png"),
    "unknown option": (("a", "--step", "2"), "--steps"),
}  # fmt: skip


@pytest.mark.parametrize("name", USAGE)
def test_wrong_usage_is_said_in_a_line_and_makes_nothing(run, model, name):
    words, told = USAGE[name]
    Path("taken").touch()
    done = run("generate", *words, "-m", model)
    assert (done.exit_code, done.stdout) == (2, "") and told in done.stderr
    assert "Traceback" not in done.stderr and os.listdir() == ["taken"]
    error = re.search(r"^Error: .*", done.stderr, re.MULTILINE | re.DOTALL)
    assert error and error[0].count("\n") == 1


def test_trouble_with_files_is_another_code(run, model, shown):
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for words, told in {
        ("-m", "/nowhere/at/all"): "/nowhere/at/all",
        ("-m", model, "--image", "broken.png"): "broken.png",
        ("-m", model, "--image", os.path.abspath(__file__)): "a picture",
        ("-m", model, "--variant", "fp16"): "fp16",
        ("-m", model / "vae" / "diffusion_pytorch_model.safetensors"): "a checkpoint that a pipeline can be made of",
    }.items():
        done = run("generate", "a cat", *words)
        assert (done.exit_code, done.stdout) == (3, "") and told in done.stderr
        assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1


def test_a_recipe_that_would_be_too_long_is_refused_before_the_first_step(run, model, monkeypatch):
    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr(calotype.DiffusionPipeline, "stream", never)
    done = run("generate", "月" * 20_000, "-m", model, *QUICK)
    assert done.exit_code == 2 and "65,536" in done.stderr


def test_a_fault_of_ours_is_not_dressed_up(run, model, monkeypatch):
    monkeypatch.setattr(calotype.DiffusionPipeline, "stream", lambda *_, **__: 1 / 0)
    done = run("generate", "a cat", "-m", model, *QUICK)
    assert done.exit_code == 1 and isinstance(done.exception, ZeroDivisionError)


def test_an_interrupt_keeps_what_is_done_and_says_so(run, model, monkeypatch):
    steps = []
    tell = calotype.DDIMScheduler.step

    def step(*arguments, **options):
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return tell(*arguments, **options)

    monkeypatch.setattr(calotype.DDIMScheduler, "step", step)
    done = run("generate", "a cat", "-m", model, *QUICK, "-n", 3)
    assert (done.exit_code, done.stdout) == (130, "out.png\n")
    on = "Go on with: calotype resume out.calotype-state"
    assert done.stderr == f"Stopped: 1 of 3 pictures are written. {on}\n"
    assert len(steps) == 4 and sorted(os.listdir()) == ["out.calotype-state", "out.png"]


def test_what_the_safety_checker_blocks_is_said(run, model, monkeypatch):
    monkeypatch.setattr(
        calotype.StableDiffusionPipeline,
        "run_safety_checker",
        lambda _, image, *__: (torch.zeros_like(image), [True] * len(image)),
    )
    done = run("generate", "a cat", "-m", model, *QUICK, "--json")
    assert json.loads(done.stdout)["blocked"] is True and "out.png is black" in done.stderr
