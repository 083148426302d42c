"""Runs that are stopped, by whatever, go on to the files that they would have made unbroken."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import calotype
from calotype.core.packing import read_packed, write_packed
from tests import nursery

STATE = "out.calotype-state"
TASKS = {
    "text": ("--size", "32x32", "--negative", "and"),
    "spelling": ("--size", "32x32", "--negative", "[and:or:1]", "--prompt-syntax", "a1111"),
    "image": ("--image", "in.png", "--strength", "1"),
    "inpaint": ("--image", "in.png", "--mask", "mask.png"),
}


@pytest.fixture
def here(run):
    """An empty folder with a picture and a mask."""
    levels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    mask = Image.new("L", (48, 32))
    mask.paste(255, (24, 0, 48, 32))
    Image.fromarray(levels).save("in.png")
    mask.save("mask.png")
    return Path.cwd()


def pictures(folder="."):
    """The files of a folder that are no input, and what is in them."""
    return {
        path.name: path.read_bytes() for path in Path(folder).glob("*.*") if path.name not in ("in.png", "mask.png")
    }


@pytest.fixture
def stopping(monkeypatch):
    """Have Ctrl-C come at the so-manieth step."""
    tell, steps = calotype.DDIMScheduler.step, []

    def at(number):
        def step(*arguments, **options):
            steps.append(1)
            if len(steps) == number:
                raise KeyboardInterrupt
            return tell(*arguments, **options)

        steps.clear()
        monkeypatch.setattr(calotype.DDIMScheduler, "step", step)

    return at


def asked(model, task="text", *more):
    return ("generate", "a cat", "-m", model, *TASKS[task], "--steps", 3, "--seed", 5, "-n", 3, *more)


@pytest.mark.parametrize(("task", "batch"), [("text", 1), ("text", 2), ("spelling", 2), ("image", 1), ("inpaint", 2)])
def test_stopped_anywhere_a_run_goes_on_to_the_same_files(run, here, model, stopping, task, batch):
    words = asked(model, task, "--batch", batch)
    assert run(*words).exit_code == 0
    unbroken = pictures()
    assert len(unbroken) == 3
    taken = 3 * (3 if batch == 1 else 2)
    for stop in range(1, taken + 1):
        for name in pictures():
            os.unlink(name)
        stopping(stop)
        done = run(*words)
        assert done.exit_code == 130
        if stop == 1:
            assert pictures() == {} and done.stderr == "Stopped: 0 of 3 pictures are written.\n"
            continue
        written = batch * ((stop - 1) // 3)
        assert done.stderr.startswith(
            f"Stopped: {written} of 3 pictures are written. Go on with: calotype resume {STATE}"
        )
        stopping(-1)
        on = run("resume", STATE)
        assert (on.exit_code, on.stderr) == (0, ""), on.stderr
        assert len(done.stdout.split()) + len(on.stdout.split()) == 3
        assert pictures() == unbroken


def test_a_run_may_be_stopped_again_and_again(run, here, model, stopping):
    run(*asked(model))
    unbroken = pictures()
    for name in unbroken:
        os.unlink(name)
    stopping(2)
    assert run(*asked(model)).exit_code == 130
    while Path(STATE).exists():
        stopping(3)
        assert run("resume", STATE).exit_code in (0, 130)
    assert pictures() == unbroken


def test_a_run_that_is_stopped_before_it_goes_on_has_lost_nothing(run, here, model, stopping):
    stopping(6)
    told = run(*asked(model)).stderr
    walked = read_packed(STATE)[0]["bookmark"]["dict"]["walked"]
    stopping(1)
    assert run("resume", STATE).stderr == told
    assert read_packed(STATE)[0]["bookmark"]["dict"]["walked"] == walked == 2


def test_neither_the_inputs_nor_the_place_are_needed_to_go_on(run, here, model, stopping, monkeypatch):
    run(*asked(model, "inpaint"))
    unbroken = pictures()
    for name in unbroken:
        os.unlink(name)
    stopping(5)
    run(*asked(model, "inpaint"))
    stopping(-1)
    os.unlink("in.png")
    os.unlink("mask.png")
    moved = shutil.move(here, here.with_name("moved"))
    (here.parent / "other").mkdir()
    monkeypatch.chdir(here.parent / "other")
    on = run("resume", Path(moved) / STATE, "--json")
    assert on.exit_code == 0, on.stderr
    assert [json.loads(line)["seed"] for line in on.stdout.splitlines()] == [6, 7]
    assert pictures(moved) == unbroken and os.listdir() == []


def test_what_was_there_is_not_overwritten_and_what_was_to_be_is(run, here, model, stopping):
    for more, names in {
        (): ["mine.png", "mine-2.png", "mine-3.png"],
        ("--overwrite",): ["mine.png", "mine-2.png"],
    }.items():
        Path("mine.png").write_bytes(b"mine")
        words = (
            "generate",
            "a cat",
            "-m",
            model,
            *TASKS["text"],
            "--steps",
            3,
            "--seed",
            "5,6",
            "-o",
            "mine.png",
            *more,
        )
        stopping(5)
        assert run(*words).exit_code == 130
        stopping(-1)
        assert run("resume", "mine.calotype-state").exit_code == 0
        assert sorted(pictures()) == sorted(names)
        assert (Path("mine.png").read_bytes() == b"mine") == (not more)
        for name in pictures():
            os.unlink(name)


def test_other_names_for_what_is_left(run, here, model, stopping):
    stopping(5)
    run(*asked(model))
    stopping(-1)
    assert run("resume", STATE, "-o", "new/{index}.webp").stdout.split() == ["new/2.webp", "new/3.webp"]
    assert run("resume", STATE).exit_code == 2  # it is gone


def test_a_state_file_of_its_own_name_and_none_at_all(run, here, model, stopping):
    stopping(5)
    assert "calotype resume 'a state'" in run(*asked(model), "--state", "a state").stderr
    stopping(5)
    again = run(*asked(model), "--state", "a state")
    assert again.exit_code == 2 and "a state" in again.stderr
    stopping(-1)
    assert run("resume", "a state").exit_code == 0
    stopping(5)
    done = run(*asked(model, "text", "--no-state", "-o", "b.png"))
    assert done.stderr == "Stopped: 1 of 3 pictures are written.\n"
    assert not [name for name in os.listdir() if "state" in name]


def test_each_run_has_a_state_file_of_its_own(run, here, model, stopping):
    for name in (STATE, "out-2.calotype-state"):
        stopping(5)
        assert name in run(*asked(model)).stderr
    assert {STATE, "out-2.calotype-state"} <= {*os.listdir()}


def test_a_deadline_stops_a_run_and_says_how_to_go_on(run, here, model):
    done = run(*asked(model, "text", "--deadline", 0))
    assert (done.exit_code, done.stderr) == (124, "Stopped: 0 of 3 pictures are written.\n")
    assert run(*asked(model, "text", "--deadline", 3600)).exit_code == 0


def test_a_short_run_leaves_nothing_but_pictures(run, here, model):
    for every in (0, 10):
        assert run(*asked(model, "text", "--state-every", every, "-o", f"{every}.png")).exit_code == 0
    assert not [name for name in os.listdir() if "state" in name]


def test_a_run_goes_on_with_its_own_model_alone(run, here, model, stopping, tmp_path):
    folder = shutil.copytree(model, tmp_path / "copy")
    stopping(5)
    run(*asked(folder))
    stopping(-1)
    vae = calotype.AutoencoderKL.from_pretrained(folder / "vae")
    vae.decoder.conv_out.bias.data += 0.5
    vae.save_pretrained(folder / "vae")
    done = run("resume", STATE)
    assert done.exit_code == 2 and "files.vae/" in done.stderr and done.stderr.count("\n") == 1
    assert sorted(pictures()) == [STATE, "out.png"]


def test_other_versions_are_said(run, here, model, stopping):
    stopping(5)
    run(*asked(model))
    stopping(-1)
    spoilt(lambda run: run["facts"]["versions"].update(torch="1.0"))
    done = run("resume", "spoilt")
    assert done.exit_code == 0 and done.stderr.startswith("versions.torch: 1.0 then, ")


def spoilt(change):
    document, tensors = read_packed(STATE)
    change(document["run"])
    write_packed("spoilt", document, tensors)


HOSTILE = {
    "another version": (lambda run: run.update(version=2), "version"),
    "no request": (lambda run: run.pop("request"), "request"),
    "a word for a number": (lambda run: run["request"].update(batch="all"), "batch"),
    "a picture without a seed": (lambda run: run["pictures"].append([4, "a"]), "pictures"),
    "a file that is no picture": (lambda run: run.update(template="../.bashrc"), ".png"),
    "a class that is no scheduler": (lambda run: run["request"].update(scheduler="os.system"), "scheduler"),
    "a type that is none": (lambda run: run["request"].update(dtype="load"), "dtype"),
    "a model that is not there": (lambda run: run["request"].update(model="/nowhere/at all"), "nowhere"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_state_file_that_was_changed_is_refused(run, here, model, stopping, name):
    stopping(5)
    run(*asked(model))
    change, told = HOSTILE[name]
    spoilt(change)
    before = pictures()
    done = run("resume", "spoilt")
    assert done.exit_code in (2, 3) and told in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and pictures() == before


def test_a_state_file_of_python_and_other_files_are_refused(run, here, model):
    pipe = calotype.StableDiffusionPipeline.from_pretrained(model)
    with pipe.stream("a", 32, 32, 2, generator=1, state_file="python", state_every=1) as steps:
        next(steps)
    Path("words").write_text("words and more words")
    for name, told in {"python": "pipe.resume", "words": "words", "in.png": "in.png"}.items():
        done = run("resume", name)
        assert done.exit_code in (2, 3) and told in done.stderr and done.stderr.count("\n") == 1


# ---------------------------------------------------------------------- SIGKILL

RANDOM = random.Random(7)
# a process dies at the so-manieth of these calls: after a step, with a file half on disk, before it has its name
MOMENTS = {"states.Kept.note": 24, "os.fsync": 56, "os.replace": 28}
KILLS = [(call, RANDOM.randrange(3, most)) for call, most in MOMENTS.items() for _ in range(3)]


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(("call", "number"), KILLS)
def test_a_killed_process_goes_on_to_the_same_files(run, here, model, call, number):
    words = ("generate", "a cat", "-m", model, *TASKS["text"], "--steps", 6, "--seed", 5, "-n", 4, "--state-every", 0)
    words = (*words, "--scheduler", "EulerAncestralDiscrete")
    (here / "unbroken").mkdir()
    assert run(*words, "-o", "unbroken/out.png").exit_code == 0
    script = f"""
import os, signal, sys
from calotype.cli import states, verbs
tell, calls = {call}, []
def counted(*given):
    calls.append(1)
    if len(calls) == {number}:
        os.kill(os.getpid(), signal.SIGKILL)
    return tell(*given)
{call} = counted
verbs(sys.argv[1:])
"""
    child = nursery.run(script, *words, cwd=here)
    assert child.returncode == -signal.SIGKILL, child.stderr
    on = run("resume", STATE)
    assert on.exit_code == 0, on.stderr
    assert pictures() == pictures("unbroken")
    assert not [name for name in os.listdir() if name.endswith(".tmp")]
