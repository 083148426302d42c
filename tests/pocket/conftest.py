"""The models that ship with the package, loaded by their names."""

from __future__ import annotations

import socket

import pytest

import calotype


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Pocket models need none."""

    def refuse(*_):
        raise AssertionError("a pocket model reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session")
def pipe():
    return quiet(calotype.AutoPipelineForText2Image.from_pretrained("pocket-sd"))


def quiet(pipe):
    pipe.set_progress_bar_config(disable=True)
    return pipe
