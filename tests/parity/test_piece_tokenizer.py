"""Pieces of texts are what the oracle's are, whoever wrote the files."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers

from calotype.models.xlm_roberta_tokenizer import XLMRobertaTokenizer
from tests.tiny import TINY_VOCAB, tiny_piece_tokenizer

TEXTS = [
    "red cats",
    "  red   cat , cat",
    "красный кот",
    "猫 red",
    "",
    "a<mask> cat </s> red",
    "xyz\n\tcat",
    "cat <pad>",
]


def oracle() -> transformers.XLMRobertaTokenizer:
    return transformers.XLMRobertaTokenizer(vocab=TINY_VOCAB, model_max_length=77)


@pytest.mark.parametrize("text", TEXTS)
def test_same_ids_and_the_same_text_back(text: str, tmp_path: Path) -> None:
    theirs, ours = oracle(), tiny_piece_tokenizer()
    theirs.save_pretrained(tmp_path / "peer")
    ours.save_pretrained(tmp_path / "ours")
    ids = theirs(text).input_ids
    for tokenizer in (ours, XLMRobertaTokenizer.from_pretrained(tmp_path / "peer")):
        assert tokenizer(text).input_ids == ids
        for skip in (False, True):
            assert tokenizer.decode(ids, skip) == theirs.decode(ids, skip_special_tokens=skip)
    assert transformers.XLMRobertaTokenizer.from_pretrained(tmp_path / "ours")(text).input_ids == ids


def test_same_rows_of_one_length() -> None:
    options = {"padding": "max_length", "truncation": True, "max_length": 7, "return_tensors": "pt"}
    ours, theirs = (
        tokenizer(["red cat, cat, cat", "кот"], **options) for tokenizer in (tiny_piece_tokenizer(), oracle())
    )
    assert ours.input_ids.equal(theirs.input_ids)
    assert ours.attention_mask.equal(theirs.attention_mask)


def test_roles_have_the_same_ids() -> None:
    ours, theirs = tiny_piece_tokenizer(), oracle()
    for role in ("bos_token_id", "eos_token_id", "unk_token_id", "pad_token_id"):
        assert getattr(ours, role) == getattr(theirs, role)
    assert len(ours) == len(theirs)
    assert ours.get_vocab() == theirs.get_vocab()
