"""The command line as a process of its own: what it loads, how it ends, and that Ctrl-C is heard."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys

import pytest

from calotype.core.picture_files import read_recipe

CALOTYPE = (sys.executable, "-m", "calotype")


def test_help_loads_nothing_heavy():
    script = "import sys; from calotype.cli import verbs; verbs(['generate', '--help'], standalone_mode=False); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    loaded = set(told.splitlines()[-1].split())
    assert "click" in loaded
    assert not loaded & {"torch", "numpy", "PIL", "tokenizers", "huggingface_hub", "tqdm"}


def test_a_process_makes_a_picture_and_is_quiet_where_nobody_looks(model, tmp_path):
    asked = (
        *CALOTYPE,
        "generate",
        "a cat",
        "-m",
        str(model),
        "--size",
        "32x32",
        "--steps",
        "2",
        "--seed",
        "3",
        "--json",
    )
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["file"] == "out.png"
    assert read_recipe(tmp_path / "out.png")["seed"] == 3


@pytest.mark.skipif(os.name == "nt", reason="terminals")
def test_a_terminal_is_shown_how_far_a_run_is(model, tmp_path):
    import fcntl
    import termios

    mine, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    asked = (*CALOTYPE, "generate", "a cat", "-m", str(model), "--size", "32x32", "--steps", "2", "-n", "2")
    done = subprocess.run(asked, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, text=True)
    said = os.read(mine, 65_536).decode()
    os.close(mine)
    os.close(theirs)
    assert (done.returncode, done.stdout.split()) == (0, ["out.png", "out-2.png"])
    assert "100%" in said and " 4/4 " in said


def test_an_error_is_one_line_and_a_code(tmp_path):
    asked = (*CALOTYPE, "models", "info", "pyproject.toml")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'longer than eight bytes'\n")
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 3 and done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_ends_a_long_run_at_once_and_the_run_can_go_on(model, tmp_path):
    asked = (*CALOTYPE, "generate", "a cat", "-m", str(model), "--size", "32x32", "--steps", "100", "-n", "1000")
    child = subprocess.Popen(asked, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    first = child.stdout.readline()  # the first picture is there, and the second on its way
    child.send_signal(signal.SIGINT)
    rest, said = child.communicate(timeout=60)
    assert child.returncode == 130
    made = (first + rest).split()
    on = "Go on with: calotype resume out.calotype-state"
    assert said == f"Stopped: {len(made)} of 1000 pictures are written. {on}\n"
    assert {*os.listdir(tmp_path)} == {*made, "out.calotype-state"}
