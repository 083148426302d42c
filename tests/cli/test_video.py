"""``calotype video``: films are made, stopped, gone on with and made again; what is wrong is said before any work."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import calotype
from calotype.cli.film_request import FilmRequest
from calotype.cli.interrupts import uninterrupted
from calotype.cli.pace import Pace, clock_said
from calotype.cli.shooting import watched
from calotype.core.films import FilmReader, FilmWriter, recipe_of
from calotype.core.packing import read_packed, write_packed
from calotype.generation.film import Chunk, Taken
from tests import nursery

STATE, REEL, PART = "out.calotype-state", "out.calotype-state.reel", "out.part.mp4"
QUICK = ("--size", "16x16", "--steps", "1", "--seed", "3")


def shown(path):
    with FilmReader(path) as film:
        return np.stack([np.asarray(frame) for frame in film])


@pytest.fixture
def film(run, film_model):
    """Make a film with a small model."""
    return lambda *words, **options: run("video", *words, "-m", film_model, *QUICK, **options)


@pytest.fixture
def stopping(monkeypatch):
    """Have Ctrl-C come at the so-manieth step."""
    steps, schedulers = [], {}

    def at(number, scheduler=calotype.HeliosScheduler):
        tell = schedulers.setdefault(scheduler, scheduler.step)

        def step(*arguments, **options):
            steps.append(1)
            if len(steps) == number:
                raise KeyboardInterrupt
            return tell(*arguments, **options)

        steps.clear()
        monkeypatch.setattr(scheduler, "step", step)

    return at


def library_film(model, **arguments):
    pipe = calotype.HeliosPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    told = {"height": 16, "width": 16, "num_inference_steps": 1, "generator": 3, "exact_frames": True}
    return pipe(**told, **arguments, output_type="uint8").frames[0]


# ---------------------------------------------------------------------- made


def test_the_film_is_the_one_that_the_library_makes(film, film_model):
    done = film("hello", "--frames", 40, "--guidance", 2, "--negative", "and", "-o", "frames")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "frames\n", "")
    made = library_film(film_model, prompt="hello", num_frames=40, guidance_scale=2.0, negative_prompt="and")
    assert np.array_equal(shown("frames"), made)
    assert os.listdir() == ["frames"]


def test_its_recipe_makes_it_again_and_betrays_nothing(run, film, film_model):
    assert film("hello", "--seconds", 1.5, "--fps", 20).exit_code == 0
    recipe = recipe_of("out.mp4")
    told = {name: recipe[name] for name in ("pipeline", "model", "prompt", "seed", "size")}
    assert told == {"pipeline": "HeliosPipeline", "model": "tiny-films", "prompt": "hello", "seed": 3, "size": [16, 16]}
    assert (recipe["arguments"]["num_frames"], recipe["arguments"]["fps"]) == (30, 20)
    assert "secret-place" not in json.dumps(recipe)
    again = run("replay", "out.mp4", "-m", film_model)
    assert (again.exit_code, again.stdout, again.stderr) == (0, "identical\n", "")
    other = run("replay", "out.mp4", "-m", film_model, "--set", "seed=4", "-o", "other.mp4")
    assert (other.exit_code, other.stdout) == (0, "other.mp4\n"), other.stderr
    assert len(shown("other.mp4")) == 30 and not np.array_equal(shown("other.mp4"), shown("out.mp4"))


def test_a_film_that_is_not_what_its_recipe_makes_differs(run, film, film_model):
    film("hello", "--frames", 4, "-o", "true.gif")
    with FilmWriter("false.gif", 24, recipe_of("true.gif")) as other:
        other.write(255 - shown("true.gif"))
    done = run("replay", "false.gif", "-m", film_model, "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 4 and not found["identical"] and (found["frames"], found["of"]) == (4, 4)


def test_each_chunk_is_told_as_json(film):
    done = film("hello", "--frames", 40, "--json")
    *chunks, whole = map(json.loads, done.stdout.splitlines())
    assert [(told["chunk"], told["chunks"], told["frames"]) for told in chunks] == [(1, 2, 33), (2, 2, 40)]
    assert all(told["frames_a_second"] > 0 for told in chunks) and chunks[1]["seconds_left"] == 0
    assert whole == {
        "file": "out.mp4",
        "prompt": "hello",
        "seed": 3,
        "size": [16, 16],
        "frames": 40,
        "seconds": 40 / 24,
    }


def test_what_is_there_is_never_overwritten_unless_it_is_meant(film):
    for name in ("out.mp4", "out-2.part.mp4"):
        Path(name).write_bytes(b"mine")
    assert film("hello", "--frames", 1).stdout == "out-3.mp4\n"
    assert film("hello", "--frames", 1, "--overwrite").stdout == "out.mp4\n"
    assert len(shown("out.mp4")) == 1 and Path("out-2.part.mp4").read_bytes() == b"mine"


def test_pictures_of_a_film_give_way_to_another_only_if_it_is_meant(film):
    for count, words, name in ((2, (), "f_%03d.png"), (2, (), "f_%03d-2.png"), (1, ("--overwrite",), "f_%03d.png")):
        Path("f_mine.png").write_bytes(b"mine")
        assert film("hello", "--frames", count, "-o", "f_%03d.png", *words).stdout == f"{name}\n"
    assert sorted(os.listdir()) == ["f_000-2.png", "f_000.png", "f_001-2.png", "f_mine.png"]


def test_standard_output_holds_the_film_and_nothing_else(film, film_model, caplog):
    done = film("hello", "--frames", 3, "--stdout", "--json")
    assert done.exit_code == 0, done.stderr
    Path("piped.y4m").write_bytes(done.stdout_bytes)
    assert caplog.text == ""
    film("hello", "--frames", 3, "-o", "written.y4m")
    assert "y4m has no place for a recipe" in caplog.text
    assert done.stdout_bytes == Path("written.y4m").read_bytes()
    assert json.loads(done.stderr.splitlines()[-1])["frames"] == 3
    assert film("hello", "--frames", 1, "--stdout").stderr == ""


def test_a_film_begins_with_a_picture_or_goes_on_from_a_film(run, film, film_model):
    frames = np.random.default_rng(0).integers(0, 256, (33, 16, 16, 3), np.uint8)
    Image.fromarray(frames[0]).save("in.png")
    with FilmWriter("before") as before:
        before.write(frames)
    for option, name, given in (("image", "in.png", Image.fromarray(frames[0])), ("video", "before", None)):
        made = film("hello", "--frames", 2, f"--{option}", name, "-o", f"{option}.gif")
        assert made.exit_code == 0, made.stderr
        told = {option: given or [Image.fromarray(frame) for frame in frames]}
        with FilmWriter("library.gif") as same:
            same.write(library_film(film_model, prompt="hello", num_frames=2, **told))
        assert np.array_equal(shown(f"{option}.gif"), shown("library.gif"))
        without = run("replay", f"{option}.gif", "-m", film_model)
        assert without.exit_code == 2 and f"--{option}" in without.stderr
        assert run("replay", f"{option}.gif", "-m", film_model, f"--{option}", name).stdout == "identical\n"


def test_a_pyramid_films_in_stages_stops_and_goes_on_and_is_made_again(run, pyramid_model, stopping):
    words = ("video", "hello", "-m", pyramid_model, "--size", "64x64", "--steps", "1,1,1", "--seed", "3")
    assert run(*words, "--frames", 40, "-o", "whole").stdout == "whole\n"
    pipe = calotype.HeliosPyramidPipeline.from_pretrained(pyramid_model)
    pipe.set_progress_bar_config(disable=True)
    told = {"height": 64, "width": 64, "pyramid_num_inference_steps_list": [1, 1, 1], "exact_frames": True}
    made = pipe("hello", num_frames=40, generator=3, output_type="uint8", **told).frames[0]
    assert np.array_equal(shown("whole"), made)
    assert run("replay", "whole", "-m", pyramid_model).stdout == "identical\n"
    stopping(8, calotype.HeliosDMDScheduler)  # a first chunk walks each stage twice
    assert run(*words, "--frames", 40, "-o", "halves").exit_code == 130
    stopping(-1, calotype.HeliosDMDScheduler)
    assert run("resume", "halves.calotype-state").stdout == "halves\n"
    assert np.array_equal(shown("halves"), made)


def test_prompts_take_turns_as_a_file_says(film, film_model):
    Path("prompts.csv").write_text("start,prompt,blend\n0,hello,\n0:01.4,and cat,1\n")
    assert film("--timeline", "prompts.csv", "--frames", 35, "-o", "told").exit_code == 0
    turns = [(0, "hello"), ("chunk 1", "and cat", 1)]
    assert np.array_equal(shown("told"), library_film(film_model, timeline=turns, num_frames=35))
    assert np.array_equal(shown("told"), library_film(film_model, timeline="prompts.csv", num_frames=35))


# ---------------------------------------------------------------------- stopped


@pytest.mark.parametrize("name", ["out.mp4", "out.webm", "out.gif", "frames"])
def test_a_film_that_was_stopped_goes_on_to_the_same_film(run, film, stopping, name):
    assert film("hello", "--frames", 70, "-o", f"unbroken-{name}").exit_code == 0
    stopping(3)  # a chunk is a step
    done = film("hello", "--frames", 70, "-o", name)
    assert done.exit_code == 130
    state = str(Path(name).with_suffix(".calotype-state"))
    assert f"Stopped: 2 of 3 chunks are made. Go on with: calotype resume {state}\n" in done.stderr
    part = Path(name).with_stem("out.part") if "." in name else name
    assert len(shown(part)) == 66
    stopping(-1)
    on = run("resume", state)
    assert (on.exit_code, on.stdout) == (0, f"{name}\n"), on.stderr
    assert sorted(os.listdir()) == sorted([name, f"unbroken-{name}"])
    assert np.array_equal(shown(name), shown(f"unbroken-{name}"))
    if "." in name:
        assert recipe_of(name) == recipe_of(f"unbroken-{name}")


def test_a_film_may_be_stopped_again_moved_and_renamed(run, film, stopping, monkeypatch):
    film("hello", "--frames", 70, "-o", "unbroken.mp4")
    unbroken = shown("unbroken.mp4")
    os.unlink("unbroken.mp4")
    stopping(3)
    assert film("hello", "--frames", 70).exit_code == 130
    here = Path.cwd()
    monkeypatch.chdir(here.parent)
    shutil.move(here, "moved")
    stopping(1)
    assert run("resume", f"moved/{STATE}").exit_code == 130
    stopping(-1)
    wrong = run("resume", f"moved/{STATE}", "-o", "other.webm")
    assert wrong.exit_code == 2 and "other.webm" in wrong.stderr
    assert run("resume", f"moved/{STATE}", "-o", "other.mp4").stdout == "other.mp4\n"
    assert np.array_equal(shown("other.mp4"), unbroken)


def test_nothing_is_kept_where_nothing_was_made_or_nothing_is_to_be(film, stopping):
    stopping(1)
    assert film("hello", "--frames", 70).stderr == "Stopped: 0 chunks are made.\n"
    assert os.listdir() == []
    stopping(3)
    assert "Go on" not in film("hello", "--frames", 70, "--no-state").stderr
    assert os.listdir() == [PART]


def test_a_film_without_end_ends_well_with_ctrl_c(run, film, film_model, stopping):
    stopping(3)
    done = film("hello", "--endless")
    assert (done.exit_code, done.stdout, os.listdir()) == (0, "out.mp4\n", ["out.mp4"])
    assert len(shown("out.mp4")) == 66
    stopping(-1)
    assert run("replay", "out.mp4", "-m", film_model).stdout == "identical\n"


def test_a_deadline_stops_a_film(film):
    done = film("hello", "--frames", 70, "--deadline", 0)
    assert (done.exit_code, done.stderr) == (124, "Stopped: 0 chunks are made.\n")
    assert film("hello", "--frames", 1, "--deadline", 3600).exit_code == 0


def test_a_film_of_another_name_by_now_is_left_alone(run, film, stopping):
    stopping(2)
    film("hello", "--frames", 40)
    stopping(-1)
    Path("out.mp4").write_bytes(b"mine")
    assert run("resume", STATE).stdout == "out-2.mp4\n"
    assert Path("out.mp4").read_bytes() == b"mine"


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("call", ["states.Kept.note", "shooting.FilmOfClips.add_clip"])
def test_a_killed_process_goes_on_to_the_same_film(run, film, film_model, call):
    words = ("hello", "-m", film_model, *QUICK, "--frames", 70)
    assert film("hello", "--frames", 70, "-o", "unbroken.mp4").exit_code == 0
    script = f"""
import os, signal, sys
from calotype.cli import shooting, states, verbs
tell, calls = {call}, []
def counted(*given):
    calls.append(1)
    tell(*given)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
{call} = counted
verbs(sys.argv[1:])
"""
    child = nursery.run(script, "video", *words, cwd=Path.cwd())
    assert child.returncode == -signal.SIGKILL, child.stderr
    on = run("resume", STATE)
    assert on.exit_code == 0, on.stderr
    assert np.array_equal(shown("out.mp4"), shown("unbroken.mp4"))
    assert sorted(os.listdir()) == ["out.mp4", "unbroken.mp4"]


HOSTILE = {
    "another version": (lambda film: film.update(version=2), "version"),
    "no request": (lambda film: film.pop("request"), "request"),
    "a word for a seed": (lambda film: film.update(seed="all"), "seed"),
    "a file that is no film": (lambda film: film.update(output="../x.bashrc"), "x.bashrc"),
    "a model that is not there": (lambda film: film["request"].update(model="/nowhere/at all"), "nowhere"),
}  # fmt: skip


def test_state_files_and_reels_that_were_changed_are_refused(run, film, stopping):
    stopping(2)
    film("hello", "--frames", 40)
    stopping(-1)
    document, tensors = read_packed(STATE)
    shutil.copy(REEL, "spoilt.reel")
    for change, told in HOSTILE.values():
        spoilt = json.loads(json.dumps(document))
        change(spoilt["film"])
        write_packed("spoilt", spoilt, tensors)
        done = run("resume", "spoilt")
        assert done.exit_code in (2, 3) and told in done.stderr and done.stderr.count("\n") == 1, done.stderr
    for content in (b"", Path(REEL).read_bytes()[:-1], b"\xff" * 100):
        Path(REEL).write_bytes(content)
        done = run("resume", STATE)
        assert done.exit_code == 3 and REEL in done.stderr, done.stderr
    os.unlink(REEL)
    done = run("resume", STATE)
    assert done.exit_code == 3 and REEL in done.stderr and "Traceback" not in done.stderr


# ---------------------------------------------------------------------- refused


def test_wrong_usage_is_told_before_anything_is_loaded(run):
    Path("in.png").touch()
    Path("p.csv").write_text("start,prompt\n0,hello\n")
    for words, told in {
        (): "PROMPT",
        ("a", "--timeline", "p.csv"): "--timeline",
        ("a", "--timeline-id", "1"): "--timeline",
        ("a", "--seconds", "0"): "--seconds",
        ("a", "--seconds", "-1"): "--seconds",
        ("a", "--seconds", "nan"): "--seconds",
        ("a", "--frames", "0"): "--frames",
        ("a", "--fps", "0"): "--fps",
        ("a", "--fps", "2000", "--stdout"): "0.01 to 1000, found 2000",
        ("a", "--fps", "0.0004"): "0.01 to 1000",
        ("a", "--fps", "60", "-o", "out.gif"): "at most 50 in a GIF, found 60",
        ("a", "--seconds", "1", "--frames", "2"): "--frames",
        ("a", "--endless", "--frames", "2"): "--endless",
        ("a", "--image", "in.png", "--video", "in.png"): "--video",
        ("a", "--steps", "2,,2"): "--steps",
        ("a", "--stdout", "--state", "x"): "--stdout",
        ("a", "-o", "out.avi"): "'.avi'",
        ("a", "-o", "out.png"): "out.png",
    }.items():
        done = run("video", *words, "-m", "nothing/there")
        assert done.exit_code == 2 and told in done.stderr and "Traceback" not in done.stderr, (words, done.stderr)
    assert sorted(os.listdir()) == ["in.png", "p.csv"]


def test_files_that_are_wrong_are_told_before_anything_is_made(run, film):
    Path("broken.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
    Path("empty.mp4").touch()
    Path("order.csv").write_text("start,prompt\n0,hello\n9,and\n5,cat\n")
    Path("words.csv").write_bytes(b"start,prompt\n0,\xff\xfe\n")
    for words, told in {
        ("a", "--video", "broken.mp4"): "broken.mp4",
        ("a", "--video", "empty.mp4"): "empty.mp4",
        ("a", "--image", "broken.mp4"): "broken.mp4",
        ("--timeline", "order.csv"): "order.csv, line 4: start",
        ("--timeline", "words.csv"): "words.csv, line 2",
    }.items():
        done = film(*words, "--frames", 40)
        assert done.exit_code in (2, 3) and told in done.stderr and done.stdout == "", (words, done.stderr)
    assert not Path("out.mp4").exists()


def test_a_model_makes_pictures_or_films(run, film, model, film_model):
    films = run("video", "hello", "-m", model)
    assert films.exit_code == 2 and "calotype generate" in films.stderr
    pictures = run("generate", "hello", "-m", film_model)
    assert pictures.exit_code == 2 and "calotype video" in pictures.stderr
    staged = run("video", "hello", "-m", film_model, "--steps", "2,2,2")
    assert staged.exit_code == 2 and "--steps" in staged.stderr
    assert os.listdir() == []


def test_without_the_library_its_extra_is_named(film, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    done = film("hello", "--frames", 1)
    assert done.exit_code != 0 and "calotype[video]" in done.stderr and done.stderr.count("\n") == 1
    assert film("hello", "--frames", 1, "-o", "out.gif").exit_code == 0


# ---------------------------------------------------------------------- how far it is


def chunk(index, total):
    told = {"first_frame": 33 * index, "frame_count": 33, "frames": None, "latents": None, "all_frames": None}
    return Chunk(index=index, total=total, bookmark={}, **told)


def test_the_pace_of_a_film_is_told():
    now = [100.0]
    pace = Pace(24, clock=lambda: now[0])
    assert pace.said() == ""
    now[0] += 11
    pace.note(chunk(2, 13))
    assert (pace.frames_a_second, pace.left) == (3, 110)
    assert pace.said() == "3 frames/s, 0.12 s of film/s, 1:50 left"
    endless = Pace(24, clock=lambda: now[0])
    now[0] += 1
    endless.note(chunk(0, None))
    assert endless.said() == "33 frames/s, 1.4 s of film/s"
    assert clock_said(3_725) == "1:02:05"


def test_a_terminal_is_shown_steps_and_chunks(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    steps = [Taken(0, 0, 2, None), Taken(0, 1, 2, None), chunk(0, 2), Taken(1, 0, 2, None), chunk(1, 2)]
    pace = Pace(24)
    for each in watched(iter(steps), pace):
        pace.note(each)
    said = sys.stderr.getvalue()
    assert "chunk 1: " in said and "chunk 2 of 2" in said and "2/2" in said and "frames/s" in said


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_waits_until_a_chunk_is_written():
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        done.append(1)
    assert done
    other = threading.Thread(target=lambda: uninterrupted().__enter__() or done.append(2))
    other.start()
    other.join()
    assert done == [1, 2]


def test_one_number_of_steps_is_that_of_every_stage():
    scheduler = calotype.HeliosDMDScheduler(stages=3, stage_range=[0, 1 / 3, 2 / 3, 1])
    pipe = calotype.HeliosPyramidPipeline(None, None, None, scheduler, None)
    for steps, told in {(2,): [2, 2, 2], (3, 2, 1): [3, 2, 1]}.items():
        arguments = FilmRequest(steps=steps).arguments(pipe, None, {})
        assert arguments["pyramid_num_inference_steps_list"] == told
