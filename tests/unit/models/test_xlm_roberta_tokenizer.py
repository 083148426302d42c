"""Tokenizers of pieces are read from SentencePiece's files, and from nothing else that looks like them."""

from __future__ import annotations

from pathlib import Path

import pytest

from calotype.core.errors import CorruptFile, MissingFile
from calotype.models.sentencepiece_file import read_pieces
from calotype.models.xlm_roberta_tokenizer import XLMRobertaTokenizer
from tests.tiny import PIECES, TINY_VOCAB, tiny_piece_tokenizer
from tests.tiny_pieces import field, sentencepiece

TEXT = "red cats, красный кот"


def test_pieces_and_scores_are_read() -> None:
    read = read_pieces(sentencepiece(charsmap=b"table"), "here")
    assert read.scores == PIECES
    assert read.charsmap == b"table"


def test_a_sentencepiece_file_makes_the_tokenizer_of_its_pieces(tmp_path: Path) -> None:
    (tmp_path / "sentencepiece.bpe.model").write_bytes(sentencepiece())
    made = XLMRobertaTokenizer.from_pretrained(tmp_path, model_max_length=77)
    assert made.get_vocab() == {piece: id for id, (piece, _) in enumerate(TINY_VOCAB)}
    assert made(TEXT).input_ids == tiny_piece_tokenizer()(TEXT).input_ids


def test_saving_and_loading_changes_nothing(tmp_path: Path) -> None:
    made = tiny_piece_tokenizer()
    made.save_pretrained(tmp_path)
    again = XLMRobertaTokenizer.from_pretrained(tmp_path)
    assert again(TEXT).input_ids == made(TEXT).input_ids
    assert again.files() == made.files()


def read_until(end: int) -> list[tuple[str, float]] | None:
    """The pieces in the first bytes of a file, or None where the reader refuses them."""
    try:
        return read_pieces(sentencepiece()[:end], "here").scores
    except CorruptFile as error:
        assert "here" in str(error)
        return None


def test_a_file_that_ends_within_a_field_is_refused() -> None:
    told = [scores for end in range(1, len(sentencepiece())) if (scores := read_until(end)) is not None]
    assert told == [PIECES[:count] for count in range(1, len(PIECES) + 1)] + [PIECES]  # and between two fields it may


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "no pieces"),
        (b"\xff" * 40, "endless"),
        (field(1, 7), "where bytes belong"),
        (field(1, field(1, b"\xff\xfe")), "SentencePiece"),
        (field(1, field(2, b"a")), "SentencePiece"),
        (sentencepiece(kind=2), "another kind"),
        (sentencepiece(score=float("nan")), "score nan"),
        (b"\x0b", "wire type"),
    ],
)
def test_other_files_are_refused(data: bytes, named: str) -> None:
    with pytest.raises(CorruptFile, match=named):
        read_pieces(data, "here")


@pytest.mark.parametrize("text", ["{}", "no json", '{"model": {"type": "BPE"}}'])
def test_another_tokenizer_json_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(CorruptFile, match=r"tokenizer\.json"):
        XLMRobertaTokenizer.from_pretrained(tmp_path)


def test_a_folder_without_a_tokenizer_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"tokenizer\.json or sentencepiece\.bpe\.model"):
        XLMRobertaTokenizer.from_pretrained(tmp_path)


def test_a_table_of_characters_that_is_none_is_refused() -> None:
    with pytest.raises(CorruptFile, match="table"):
        XLMRobertaTokenizer(TINY_VOCAB, charsmap=b"xx")


@pytest.mark.parametrize("gone", ["<unk>", "<pad>"])
def test_pieces_that_must_be_there(gone: str) -> None:
    with pytest.raises(CorruptFile, match=gone):
        XLMRobertaTokenizer([piece for piece in TINY_VOCAB if piece[0] != gone])
