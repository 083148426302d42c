"""What does it cost to decode through ``calotype serve`` on this machine, and not at hand?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from benchmarks.question import Goal, Place, Question
from benchmarks.side_by_side import race
from calotype import AutoencoderKL
from calotype.remote.session import RemoteSession
from calotype.remote.vae import RemoteVAE

AT_MOST = 0.010  # seconds more
SMALL: dict[str, Any] = {
    "block_out_channels": (8, 8, 8, 8),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "norm_num_groups": 4,
    "mid_block_add_attention": False,
}


def questions(place: Place) -> Iterator[Question]:
    """With the VAE of Stable Diffusion, and with one so small that the way there and back is most of it."""
    with TemporaryDirectory() as scratch:
        AutoencoderKL(**SMALL).save_pretrained(scratch)
        yield from through(place, "SD", place.folder / "vae", place.latents)
        yield from through(place, "small", Path(scratch), place.picture // 8)


def through(place: Place, name: str, folder: Path, side: int) -> Iterator[Question]:
    """A picture of latents of this side, with the VAE of a folder."""
    local = AutoencoderKL.from_pretrained(folder)
    latents = torch.randn(1, 4, side, side, generator=torch.manual_seed(0))
    with serving(folder) as url, RemoteSession() as session:
        remote = RemoteVAE(f"{url}/decode", config=local.config, session=session)
        work = {"ours": partial(_picture, remote, latents), "at hand": partial(_picture, local, latents)}
        asked = race(f"{name} VAE through the server, {place.picture} pixels", work, rounds=7)
        yield replace(asked, goal=Goal(plus=AT_MOST))


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of the VAE of a folder, served by another process."""
    with process(folder) as (_, url):
        yield url


@contextmanager
def process(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that serves the VAE of a folder, and the address of that."""
    serve = [sys.executable, "-m", "calotype", "serve", "--port", "0", "--device", "cpu", "--vae", f"vae={folder}"]
    server = subprocess.Popen([*serve, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    try:
        yield server, server.stdout.readline().strip()
    finally:
        server.terminate()
        server.communicate()


def _picture(vae: Any, latents: Tensor) -> Tensor:
    return vae.decode(latents).sample
