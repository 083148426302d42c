"""What the peer saves of Helios we load, what we save it loads, and films of the same prompts are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import calotype
from tests.parity.helios import in_one_piece, robust_cholesky
from tests.tiny_helios import SHORT, pipeline

KINDS = ("base", "mid", "distilled")
PROMPT = " a red &amp;amp; blue cat,\n  猫 "


@pytest.fixture(autouse=True)
def robust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.linalg, "cholesky", robust_cholesky)


STRENGTHS: dict[str, dict[str, Any]] = {
    "base": {"negative_prompt": "hello", "guidance_scale": 4.0},
    "mid": {"negative_prompt": "hello", "guidance_scale": 4.0},
    "distilled": {"guidance_scale": 1.0, "is_amplify_first_chunk": True},
}


def film(pipe: Any, kind: str) -> np.ndarray:
    pipe.set_progress_bar_config(disable=True)
    usual = {"num_frames": 33, "max_sequence_length": 24, "generator": torch.Generator().manual_seed(0)}
    return pipe(PROMPT, **usual, **STRENGTHS[kind], **SHORT[kind]).frames


@pytest.mark.parametrize("kind", KINDS)
def test_files_go_both_ways_and_films_stay_the_same(kind: str, tmp_path: Path) -> None:
    ours = pipeline(kind)
    ours.save_pretrained(tmp_path / "ours")
    theirs = in_one_piece(getattr(diffusers, type(ours).__name__).from_pretrained(tmp_path / "ours"))
    for name, part in theirs.components.items():
        same = ("T5Tokenizer", "T5TokenizerFast") if name == "tokenizer" else (type(ours.components[name]).__name__,)
        assert type(part).__name__ in same
    expected = film(theirs, kind)
    assert np.abs(film(ours, kind) - expected).max() < 1e-4
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    again = calotype.DiffusionPipeline.from_pretrained(tmp_path / "theirs")
    assert type(again) is type(ours)
    assert np.abs(film(again, kind) - expected).max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_indices_say_what_the_peers_say(kind: str, tmp_path: Path) -> None:
    ours = pipeline(kind)
    ours.save_pretrained(tmp_path / "ours")
    getattr(diffusers, type(ours).__name__).from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    mine, peers = (json.loads((tmp_path / who / "model_index.json").read_text()) for who in ("ours", "theirs"))
    for index in (mine, peers):
        index["tokenizer"] = [index["tokenizer"][0], index["tokenizer"][1].removesuffix("Fast")]
        del index["_diffusers_version"]
        index.pop("_name_or_path", None)
    assert mine == peers


@pytest.mark.parametrize("guided", [True, False])
def test_prompts_are_encoded_as_the_peer_encodes_them(guided: bool, tmp_path: Path) -> None:
    ours = pipeline()
    ours.save_pretrained(tmp_path)
    theirs = getattr(diffusers, type(ours).__name__).from_pretrained(tmp_path)
    calls: list[dict[str, Any]] = [
        {"prompt": PROMPT},
        {"prompt": ["hello", PROMPT], "negative_prompt": "red"},
        {"prompt": ["hello", "cat"], "negative_prompt": ["red", ""], "max_sequence_length": 5},
    ]
    for given in calls:
        expected, got = (pipe.encode_prompt(do_classifier_free_guidance=guided, **given) for pipe in (theirs, ours))
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
