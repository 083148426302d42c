"""Pictures from a single file: made, made again, and their recipes tell no path."""

from __future__ import annotations

import pytest
import torch

import calotype
from calotype.models.original_configs import NETWORKS
from tests.tiny import tiny_stable_diffusion, tiny_text_encoder

QUICK = ("--steps", "2", "--size", "32x32", "--seed", "3")


@pytest.fixture
def single(tmp_path, monkeypatch):
    """A single file of a family whose published sizes are tiny for once."""
    encoder = tiny_text_encoder(vocab_size=49408, bos_token_id=0, eos_token_id=2)
    pipe = tiny_stable_diffusion(calotype.StableDiffusionPipeline, text_encoder=encoder)
    monkeypatch.setitem(NETWORKS, "stable-diffusion", {name: dict(net.config) for name, net in pipe.networks.items()})
    pipe.save_single_file(tmp_path / "my own (best).safetensors")
    return tmp_path / "my own (best).safetensors"


def test_a_single_file_makes_pictures_that_can_be_made_again(run, single):
    done = run("generate", "a cat", "-m", single, *QUICK)
    assert (done.exit_code, done.stdout) == (0, "out.png\n")
    again = run("replay", "out.png", "-m", single)
    assert again.exit_code == 0 and again.stdout == "identical\n"


def test_a_pickle_is_refused(run, tmp_path):
    torch.save({}, tmp_path / "a.ckpt")
    done = run("generate", "a cat", "-m", tmp_path / "a.ckpt", *QUICK)
    assert done.exit_code == 3 and "read as a pickle" in done.stderr
