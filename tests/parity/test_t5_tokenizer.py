"""T5's pieces are what the oracle's are, whoever wrote the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from calotype.models.t5_tokenizer import T5TokenizerFast
from tests.tiny_helios import VOCAB, tokenizer

TEXTS = [
    "red cats",
    "  red   cat , cat",
    "красный кот",
    "猫 red",
    "猫 🐱\u200d🐈 red",
    "",
    " \n\t ",
    "a</s> red <unk> cat <pad>",
    "cat <extra_id_0> red<extra_id_1>, <extra_id_7>",
    "xyz\n\tcat",
    "cat\u00a0cat\u3000cat",
    "▁cat ▁",
]


def oracle(**settings: Any) -> transformers.T5TokenizerFast:
    return transformers.T5TokenizerFast(vocab=VOCAB, **{"extra_ids": 2, "model_max_length": 512} | settings)


@pytest.mark.parametrize("text", TEXTS)
def test_same_ids_and_the_same_text_back(text: str, tmp_path: Path) -> None:
    theirs, ours = oracle(), tokenizer()
    theirs.save_pretrained(tmp_path / "peer")
    ours.save_pretrained(tmp_path / "ours")
    ids = theirs(text).input_ids
    for made in (ours, *(T5TokenizerFast.from_pretrained(tmp_path / name) for name in ("peer", "ours"))):
        assert made(text).input_ids == ids
        assert made.tokenize(text) == theirs.tokenize(text)
        for skip in (False, True):
            assert made.decode(ids, skip) == theirs.decode(ids, skip_special_tokens=skip)
    assert transformers.T5TokenizerFast.from_pretrained(tmp_path / "ours")(text).input_ids == ids


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "max_length", "truncation": True, "max_length": 7},
        {"padding": "max_length", "truncation": True, "max_length": 2},
        {"padding": True},
        {"padding": True, "add_special_tokens": False},
    ],
    ids=str,
)
def test_same_rows_of_one_length(options: dict[str, Any]) -> None:
    texts = ["red cat, cat, cat", "кот", ""]
    ours, theirs = (made(texts, return_tensors="pt", **options) for made in (tokenizer(), oracle()))
    assert ours.input_ids.equal(theirs.input_ids)
    assert ours.attention_mask.equal(theirs.attention_mask)


@pytest.mark.parametrize("count", [0, 2, 100])
def test_tokens_have_the_same_ids(count: int) -> None:
    ours, theirs = tokenizer(extra_ids=count), oracle(extra_ids=count)
    assert ours.get_vocab() == theirs.get_vocab()
    assert len(ours) == len(theirs)
    assert ours.vocab_size == theirs.vocab_size
    for role in ("eos_token_id", "unk_token_id", "pad_token_id"):
        assert getattr(ours, role) == getattr(theirs, role)
    assert (ours.pad_token_id, ours.eos_token_id, ours.unk_token_id) == (0, 1, 2)


def published(folder: Path) -> None:
    """Files as transformers 4 converted them: extra tokens among the pieces, and one rule for whitespace."""
    core = Tokenizer(models.Unigram([*VOCAB, ("<extra_id_1>", 0.0), ("<extra_id_0>", 0.0)], unk_id=2))
    core.normalizer = normalizers.Sequence([normalizers.Strip(left=False), normalizers.Replace(" ", " ")])
    core.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    core.decoder = decoders.Metaspace()
    core.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 1)])
    names = ("<pad>", "</s>", "<unk>", "<extra_id_1>", "<extra_id_0>")
    core.add_special_tokens([AddedToken(name, normalized=False) for name in names])
    core.enable_truncation(4)
    core.enable_padding(length=6)
    folder.mkdir()
    core.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "T5Tokenizer", "model_max_length": 512, "extra_ids": 2, "bos_token": null,'
        ' "eos_token": "</s>", "additional_special_tokens": ["<extra_id_0>", "<extra_id_1>"]}'
    )


@pytest.mark.parametrize("text", TEXTS)
def test_published_files_are_read_alike(text: str, tmp_path: Path) -> None:
    published(tmp_path / "files")
    ours, theirs = (
        kind.from_pretrained(tmp_path / "files") for kind in (T5TokenizerFast, transformers.T5TokenizerFast)
    )
    assert ours(text).input_ids == theirs(text).input_ids
    assert ours.convert_tokens_to_ids("<extra_id_0>") == theirs.convert_tokens_to_ids("<extra_id_0>") == len(VOCAB) + 1
