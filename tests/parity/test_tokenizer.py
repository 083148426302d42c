"""The tokenizer writes the ids that transformers' CLIP tokenizer writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import transformers

from calotype.models.tokenizer import CLIPTokenizer
from tests.tiny import tiny_tokenizer_folder, tiny_vocabulary

TEXTS = {
    "empty": "",
    "words": "Hello, a CAT and a hat",
    "accents": "Cafe\u0301 CAFÉ naïve Ÿ ß İ ﬁ",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 hello🙂",
    "cjk": "写真を一枚 카메라 相机",
    "right to left": "שלום مرحبا ١٢٣",
    "contractions": "it's WE'LL they've I'm you'd can't o'clock ' s ''s",
    "digits": "1234 3.14 ½ ² Ⅷ 10x",
    "whitespace": "  a\t\tb\r\n c\u00a0d\u3000e\u200bf\u2028g ",
    "html": "a &amp; b &lt;br&gt; &#39; <b>c</b>",
    "control": "a\0b\x07\x1b[0m\ufeffc\ufffd",
    "punctuation": "!!! ## ((a)) -- a_b ... ?!",
    "special": "a <|endoftext|> b<|startoftext|>c <|ENDOFTEXT|>",
    "angle": "<cat-toy> | <| |>",
    "combining": "Z̷̡̛a̵l̶g̷o a\u0308\u0308",
    "outside the plane": "𝒽𝑒𝓁𝓁𝑜 𐍈 \U0010ffff",
    "long word": "hello" * 400,
    "long text": "a cat and " * 400,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_tokenizer_folder(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def ours(folder: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def peer(folder: Path) -> transformers.CLIPTokenizer:
    return transformers.CLIPTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_same_ids_tokens_and_text_back(ours: CLIPTokenizer, peer: transformers.CLIPTokenizer, text: str) -> None:
    ids = peer(text).input_ids
    assert ours(text).input_ids == ids
    assert ours.tokenize(text) == peer.tokenize(text)
    assert ours.convert_ids_to_tokens(ids) == peer.convert_ids_to_tokens(ids)
    for skip in (False, True):
        assert ours.decode(ids, skip_special_tokens=skip) == peer.decode(ids, skip_special_tokens=skip)


CALLS = [
    {"padding": True},
    {"padding": "longest", "return_tensors": "pt"},
    {"padding": "max_length", "max_length": 20, "truncation": True, "return_tensors": "np"},
    {"padding": "max_length", "truncation": True},
    {"truncation": True, "max_length": 5, "return_length": True},
    {"truncation": True, "max_length": 5, "return_overflowing_tokens": True},
    {"add_special_tokens": False, "padding": True},
]


@pytest.mark.parametrize("options", CALLS, ids=str)
def test_same_batches(ours: CLIPTokenizer, peer: transformers.CLIPTokenizer, options: dict[str, object]) -> None:
    texts = ["a cat", "", TEXTS["punctuation"], TEXTS["long text"]]
    mine, theirs = ours(texts, **options), peer(texts, **options)
    assert mine.keys() == theirs.keys()
    for name, values in theirs.items():
        assert type(mine[name]) is type(values)
        assert (mine[name] == values) if isinstance(values, list) else (mine[name] == values).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"pad_token": "!"},
        {"bos_token": {"__type": "AddedToken", "content": "<|startoftext|>", "normalized": True}},
        {"added_tokens_decoder": {"0": {"content": "!", "special": True, "normalized": False}}},
    ],
    ids=str,
)
def test_special_tokens_of_the_config_are_honoured(tmp_path: Path, settings: dict[str, object]) -> None:
    folder = tiny_tokenizer_folder(tmp_path, **settings)
    ours, peer = CLIPTokenizer.from_pretrained(folder), transformers.CLIPTokenizer.from_pretrained(folder)
    text = "hello! a!b !! <|STARTOFTEXT|> c"
    assert ours(text, padding="max_length").input_ids == peer(text, padding="max_length").input_ids
    assert ours.special_tokens_map == {role: peer.special_tokens_map[role] for role in ours.special_tokens_map}
    assert (ours.pad_token_id, ours.model_max_length) == (peer.pad_token_id, peer.model_max_length)


def test_added_tokens_are_never_split(ours: CLIPTokenizer, folder: Path) -> None:
    ours, peer = CLIPTokenizer.from_pretrained(folder), transformers.CLIPTokenizer.from_pretrained(folder)
    for tokenizer in (ours, peer):
        assert tokenizer.add_tokens(["<cat-toy>", "Foo"]) == 2
        assert tokenizer.add_tokens("<cat-toy>") == 0
    text = "a <cat-toy> <CAT-TOY>s foo xFOOx"
    assert ours.tokenize(text) == peer.tokenize(text)
    assert len(ours) == len(peer) == ours.vocab_size + 2
    assert ours.added_tokens_encoder == peer.added_tokens_encoder
    assert ours.convert_tokens_to_ids(["<cat-toy>", "nothing"]) == peer.convert_tokens_to_ids(["<cat-toy>", "nothing"])


def test_each_loads_what_the_other_saved(tmp_path: Path) -> None:
    folder = tiny_tokenizer_folder(tmp_path / "first", pad_token="!")
    ours, peer = CLIPTokenizer.from_pretrained(folder), transformers.CLIPTokenizer.from_pretrained(folder)
    for tokenizer in (ours, peer):
        tokenizer.add_tokens(["<cat-toy>", "bar"])
    ours.save_pretrained(tmp_path / "ours")
    peer.save_pretrained(tmp_path / "peer")
    text = "a <cat-toy> barn! <|endoftext|>"
    expected = peer(text, padding="max_length").input_ids
    for place in ("ours", "peer"):
        for family in (CLIPTokenizer, transformers.CLIPTokenizer):
            again = family.from_pretrained(tmp_path / place)
            assert again(text, padding="max_length").input_ids == expected
            assert len(again) == len(tiny_vocabulary()) + 2
            assert again.model_max_length == 77


def test_added_tokens_in_their_own_file_are_read(tmp_path: Path) -> None:
    folder = tiny_tokenizer_folder(tmp_path)
    size = len(tiny_vocabulary())
    (folder / "added_tokens.json").write_text(json.dumps({"<b>": size + 1, "<a>": size}))
    ours, peer = CLIPTokenizer.from_pretrained(folder), transformers.CLIPTokenizer.from_pretrained(folder)
    assert ours("x <a> <B>").input_ids == peer("x <a> <B>").input_ids
