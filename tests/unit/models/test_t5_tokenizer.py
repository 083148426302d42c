"""T5's tokenizer comes from SentencePiece's file, or from its own, and from nothing that only looks like them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calotype.core.errors import CorruptFile, InvalidArgument, MissingFile
from calotype.core.names import component_class
from calotype.models.t5_tokenizer import T5TokenizerFast
from tests.tiny_helios import VOCAB, tokenizer
from tests.tiny_pieces import sentencepiece

TEXT = "red cats, красный кот"


def from_pieces(folder: Path, **settings: Any) -> T5TokenizerFast:
    (folder / "spiece.model").write_bytes(sentencepiece(VOCAB))
    return T5TokenizerFast.from_pretrained(folder, **settings)


def test_a_sentencepiece_file_makes_the_tokenizer_of_its_pieces(tmp_path: Path) -> None:
    made = from_pieces(tmp_path, model_max_length=512, extra_ids=2)
    assert made(TEXT).input_ids == tokenizer()(TEXT).input_ids
    assert made.model_max_length == 512


def test_the_first_extra_token_of_a_sentencepiece_file_has_the_last_id(tmp_path: Path) -> None:
    made = from_pieces(tmp_path)
    assert len(made) == len(VOCAB) + 100
    assert made.convert_tokens_to_ids(["<extra_id_99>", "<extra_id_0>"]) == [len(VOCAB), len(VOCAB) + 99]
    assert made("cat<extra_id_0>").input_ids == [*made("cat").input_ids[:-1], len(VOCAB) + 99, 1]


def test_saving_and_loading_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "pieces").mkdir()
    for made in (tokenizer(), from_pieces(tmp_path / "pieces", additional_special_tokens=["<own>"])):
        made.save_pretrained(tmp_path / "saved")
        again = T5TokenizerFast.from_pretrained(tmp_path / "saved")
        assert again(TEXT).input_ids == made(TEXT).input_ids
        assert again.files() == made.files()
    assert made("cat <own>").input_ids[-2:] == [len(made) - 1, 1]


def test_files_call_it_by_two_names() -> None:
    assert component_class("transformers", "T5TokenizerFast", "here") is T5TokenizerFast
    assert component_class("transformers", "T5Tokenizer", "here") is T5TokenizerFast


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"spiece\.model"):
        T5TokenizerFast.from_pretrained(tmp_path)


@pytest.mark.parametrize("count", [-1, 10**9, "many", 1.5])
def test_an_impossible_number_of_extra_tokens_is_refused(count: object) -> None:
    with pytest.raises(InvalidArgument, match="extra_ids"):
        tokenizer(extra_ids=count)


@pytest.mark.parametrize("tokens", ["<own>", [7], {"<own>": 1}])
def test_additional_tokens_that_are_none_are_refused(tokens: object) -> None:
    with pytest.raises(InvalidArgument, match="additional_special_tokens"):
        tokenizer(additional_special_tokens=tokens)


@pytest.mark.parametrize("piece", ["<pad>", "</s>", "<unk>"])
def test_pieces_without_a_role_are_refused(piece: str) -> None:
    with pytest.raises(CorruptFile, match=piece):
        T5TokenizerFast([pair for pair in VOCAB if pair[0] != piece])
