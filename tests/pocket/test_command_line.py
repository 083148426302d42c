"""The first command that a newcomer runs, and the picture that the README shows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from calotype.cli import verbs
from calotype.core.picture_files import read_recipe
from training.judge import read

SHOWN = Path(__file__).parents[2] / "docs" / "pictures" / "first.png"
README = Path(__file__).parents[2] / "README.md"
PROMPT = "a red circle on a blue background"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(verbs, [os.fspath(word) for word in words])


def test_the_first_command_makes_what_it_says_without_a_word_about_models(run):
    done = run("generate", PROMPT, "--seed", "1")
    assert (done.exit_code, done.stdout) == (0, "out.png\n")
    seen = read(np.asarray(Image.open("out.png")))
    assert (seen.ground, [(thing.colour, thing.shape) for thing in seen.things]) == ("blue", [("red", "circle")])
    assert run("replay", "out.png").stdout == "identical\n"


def test_the_picture_in_the_readme_is_what_its_recipe_makes(run):
    recipe = read_recipe(SHOWN)
    assert (recipe["prompt"], recipe["model"], recipe["seed"]) == (PROMPT, "pocket-sd", 1)
    assert recipe["arguments"]["guidance_scale"] == 3
    assert f'generate "{PROMPT}" -o out.png --seed 1 --guidance 3\n' in README.read_text()
    run("replay", SHOWN, "-o", "again.png")
    again, shown = (np.asarray(Image.open(path)).astype(int) for path in ("again.png", SHOWN))
    assert abs(again - shown).max() <= 8  # levels of 255: other processors round otherwise


def test_a_picture_and_a_mask_begin_where_they_say(run):
    assert run("generate", PROMPT, "--seed", "1", "-o", "first.png").exit_code == 0
    done = run(
        "generate", "a yellow star on a blue background", "--image", "first.png", "--strength", "0.9", "--seed", "2"
    )
    assert done.exit_code == 0
    assert [thing.colour for thing in read(np.asarray(Image.open("out.png"))).things] == ["yellow"]
    Image.new("L", (64, 64)).save("nothing.png")
    done = run("generate", "a star", "--image", "first.png", "--mask", "nothing.png", "-o", "kept.png", "--seed", "3")
    assert done.exit_code == 0
    kept, first = (np.asarray(Image.open(path)).astype(int) for path in ("kept.png", "first.png"))
    assert abs(kept - first).mean() < 4


def test_models_tell_what_ships(run):
    listed = {one["name"]: one for one in json.loads(run("models", "list", "--json").stdout)}
    assert listed["pocket-sd"]["bytes"] < 12e6 and listed["pocket-sd"]["commits"] == []
    facts = json.loads(run("models", "info", "pocket-sd", "--json").stdout)
    assert (facts["family"], facts["precision"], facts["missing"]) == ("stable-diffusion", ["float16"], [])
    towers = json.loads(run("models", "info", "pocket-clip", "--json").stdout)
    assert {*towers["parts"]} == {"image_encoder", "text_encoder"} and towers["missing"] == towers["faults"] == []
    assert run("models", "info", "no-such-thing").exit_code == 2
