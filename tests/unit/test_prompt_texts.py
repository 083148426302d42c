"""Prompts are cleaned, read as far as they go, and followed by zeros."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
import torch

from calotype.generation import cleaning
from calotype.generation.cleaning import cleaned
from calotype.generation.texts import padded_states
from tests.tiny_helios import text_encoder, tokenizer

CPU = torch.device("cpu")
TEXTS = ["a red cat, a cat", "cat", ""]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("  a \t red\u3000cat\n", "a red cat"),
        ("cat &amp; dog", "cat & dog"),
        ("cat &amp;amp; dog", "cat & dog"),
        ("a &amp;lt;b&amp;gt;", "a <b>"),
        ("caf\u00c3\u00a9", "café"),  # UTF-8 read as Latin-1
        ("a\x1b[31m red\x07 cat", "a red cat"),
        ("猫 🐱", "猫 🐱"),
        ("", ""),
    ],
)
def test_a_prompt_is_read_as_it_was_meant(text: str, meant: str) -> None:
    assert cleaned(text) == meant
    assert cleaned(meant) == meant


def test_without_ftfy_broken_characters_stay_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "ftfy", None)
    cleaning.say_unrepaired.cache_clear()
    with caplog.at_level(logging.WARNING, "calotype"):
        assert cleaned("cat  &amp; dog") == "cat & dog"
        assert not caplog.records
        assert cleaned("caf\u00c3\u00a9  猫") == "caf\u00c3\u00a9 猫"
        assert cleaned("猫") == "猫"
    assert [record.getMessage() for record in caplog.records] == [
        "ftfy is not installed: broken characters of prompts stay. pip install 'calotype[video]' brings it"
    ]


def test_states_stand_for_tokens_and_zeros_behind_them() -> None:
    with torch.no_grad():
        states = padded_states(tokenizer(), text_encoder(), TEXTS, CPU, 20)
    assert states.shape == (3, 20, 16)
    counts = [len(ids) for ids in tokenizer()(TEXTS).input_ids]
    assert [int(row.any(dim=1).sum()) for row in states] == counts
    for row, count in zip(states, counts, strict=True):
        assert row[:count].any(dim=1).all()


def test_a_text_has_the_same_states_whatever_it_is_read_with_and_to_whichever_length() -> None:
    with torch.no_grad():
        together = padded_states(tokenizer(), text_encoder(), TEXTS, CPU, 20)
        for text, states in zip(TEXTS, together, strict=True):
            alone = padded_states(tokenizer(), text_encoder(), [text], CPU, 512)[0]
            torch.testing.assert_close(alone[:20], states, atol=1e-6, rtol=0)
            assert not alone[20:].any()


def test_nothing_behind_the_longest_text_is_encoded() -> None:
    seen: list[torch.Size] = []
    encoder = text_encoder()

    def watched(ids: torch.Tensor, **options: Any) -> Any:
        seen.append(ids.shape)
        return encoder(ids, **options)

    with torch.no_grad():
        padded_states(tokenizer(), watched, TEXTS, CPU, 512)
    assert seen == [(3, max(len(ids) for ids in tokenizer()(TEXTS).input_ids))]


def test_what_is_cut_off_a_prompt_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "calotype"), torch.no_grad():
        states = padded_states(tokenizer(), text_encoder(), ["cat red cat"], CPU, 3)
    assert states.shape == (1, 3, 16)
    assert "has 4 tokens and the encoder reads 3; not read: cat" in caplog.text
