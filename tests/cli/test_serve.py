"""What ``calotype serve`` refuses before it listens."""

from __future__ import annotations

import socket
import sys

import pytest


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "CALOTYPE_API_KEY"),
        (["--host", "::"], "CALOTYPE_API_KEY"),
        (["--host", "example.org"], "CALOTYPE_API_KEY"),
        (["--vae", "pocket-sd"], "NAME=FOLDER_OR_HUB_ID[:subfolder]"),
        (["--vae", "../x=pocket-sd"], "NAME=FOLDER_OR_HUB_ID[:subfolder]"),
        (["--vae", "a=pocket-sd", "--vae", "a=pocket-sd"], "a more than once"),
        (["--port", "70000"], "--port"),
        (["--max-waiting", "0"], "--max-waiting"),
        (["--device", "abacus"], "--device"),
        (["--dtype", "float8"], "--dtype"),
    ],
)
def test_what_it_cannot_do_is_said(run, words, said):
    done = run("serve", *words)
    assert done.exit_code == 2
    assert said in done.output


def test_without_the_extra_the_way_to_it_is_said(run, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("calotype.server.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = run("serve")
    assert done.exit_code == 1
    assert "uvicorn" in done.output and "calotype[serve]" in done.output


def test_a_port_that_is_taken_is_said(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", port)
    assert done.exit_code == 2
    assert f"--port: expected a free port of 127.0.0.1, found {port}, one that is in use" in done.output
