from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from calotype.core.errors import CalotypeError, CorruptFile, InvalidArgument, MissingFile
from calotype.models.tokenizer import CLIPTokenizer
from tests.tiny import END, START, tiny_tokenizer_folder, tiny_vocabulary


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(tiny_tokenizer_folder(tmp_path_factory.mktemp("tokenizer")))


def test_a_text_stands_between_start_and_end(tokenizer: CLIPTokenizer) -> None:
    vocabulary = tiny_vocabulary()
    assert tokenizer("Hello cat").input_ids == [vocabulary[t] for t in (START, "hello</w>", "cat</w>", END)]
    assert tokenizer.encode("hello", add_special_tokens=False) == [vocabulary["hello</w>"]]
    assert tokenizer.decode(tokenizer("Hello  CAT").input_ids, skip_special_tokens=True) == "hello cat"


def test_a_batch_is_read_by_item_and_by_attribute(tokenizer: CLIPTokenizer) -> None:
    batch = tokenizer(["a", "hello cat"], padding=True, return_tensors="pt")
    assert batch.input_ids is batch["input_ids"]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert batch.to("meta").input_ids.device == torch.device("meta")
    with pytest.raises(AttributeError):
        _ = batch.token_type_ids


def test_rows_of_ids_are_decoded_from_any_container(tokenizer: CLIPTokenizer) -> None:
    ids = tokenizer(["a cat", "hello"], padding="max_length", max_length=6, return_tensors="pt").input_ids
    expected = ["a cat", "hello"]
    assert tokenizer.batch_decode(ids, skip_special_tokens=True) == expected
    assert tokenizer.batch_decode(ids.tolist(), skip_special_tokens=True) == expected
    assert tokenizer.decode(tokenizer.convert_tokens_to_ids("cat</w>")) == "cat"


def test_threads_with_other_lengths_do_not_disturb_each_other(tokenizer: CLIPTokenizer) -> None:
    def call(length: int) -> list[int]:
        return tokenizer("a cat and " * 20, padding="max_length", max_length=length, truncation=True).input_ids

    with ThreadPoolExecutor(4) as threads:
        assert [len(ids) for ids in threads.map(call, list(range(5, 105)) * 4)] == list(range(5, 105)) * 4


def test_settings_given_win_over_those_of_the_files(tmp_path: Path) -> None:
    folder = tiny_tokenizer_folder(tmp_path / "two" / "tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(folder.parent, subfolder="tokenizer", pad_token="!", model_max_length=9)
    assert tokenizer("a", padding="max_length").input_ids[3:] == [0] * 6


def test_settings_nothing_here_reads_survive_a_save(tmp_path: Path) -> None:
    CLIPTokenizer.from_pretrained(tiny_tokenizer_folder(tmp_path / "a", add_prefix_space=False)).save_pretrained(
        tmp_path / "b"
    )
    assert json.loads((tmp_path / "b" / "tokenizer_config.json").read_text())["add_prefix_space"] is False


SURROGATE = "a cat \ud83d"


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (SURROGATE, {}, ["text[0]", "surrogate", "character 6"]),
        (["a", None], {}, ["text[1]", "str", "NoneType"]),
        ([b"a"], {}, ["text[0]", "bytes"]),
        ("a", {"padding": "longst"}, ["padding", "'longest'", "'longst'"]),
        ("a", {"truncation": "yes"}, ["truncation", "'yes'"]),
        ("a", {"return_tensors": "tf"}, ["return_tensors", "'tf'"]),
        ("a", {"truncation": True, "max_length": 2}, ["max_length", "2"]),
        (["a", "a cat"], {"return_tensors": "pt"}, ["return_tensors", "padding=True"]),
    ],
    ids=lambda value: ascii(value) if isinstance(value, str) else None,
)
def test_a_bad_call_is_refused_by_name(tokenizer: CLIPTokenizer, text: object, options: dict, words: list[str]) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        tokenizer(text, **options)
    assert all(word in str(refusal.value) for word in words)
    assert "a cat" not in str(refusal.value)  # prompts stay out of errors


BROKEN = {
    "no merges": ("merges.txt", None, MissingFile, "merges.txt"),
    "no vocabulary": ("vocab.json", None, MissingFile, "vocab.json"),
    "vocabulary is not JSON": ("vocab.json", '{"a": 1', CorruptFile, "vocab.json"),
    "a gap in the ids": ("vocab.json", '{"a": 0, "b": 2}', CorruptFile, "vocab.json"),
    "an id that is no number": ("vocab.json", '{"a": "0"}', CorruptFile, "vocab.json"),
    "vocabulary cut": ("vocab.json", '{"a": 0, "b": 1}', CorruptFile, "merges"),
    "a merge of three": ("merges.txt", "#version: 0.2\nc a t\n", CorruptFile, "merge 0"),
    "a merge of nothing known": ("merges.txt", "ca tch\n", CorruptFile, "merges"),
    "merges not in UTF-8": ("merges.txt", b"c a\n\xff\xfe\n", CorruptFile, "0xff"),
    "a pad token that is a number": ("tokenizer_config.json", '{"pad_token": 3}', InvalidArgument, "pad_token"),
    "an added token with a taken id": ("added_tokens.json", '{"<a>": 7}', CorruptFile, "'<a>'"),
    "a limit that is a word": (
        "tokenizer_config.json",
        '{"model_max_length": "77"}',
        InvalidArgument,
        "model_max_length",
    ),
    "an added token that is a word": (
        "tokenizer_config.json",
        '{"added_tokens_decoder": {"5": "<a>"}}',
        CorruptFile,
        "'<a>'",
    ),
    "added tokens in a list": ("tokenizer_config.json", '{"added_tokens_decoder": ["<a>"]}', CorruptFile, "'<a>'"),
    "an added token without an id": (
        "tokenizer_config.json",
        '{"added_tokens_decoder": {"x": {"content": "<a>"}}}',
        CorruptFile,
        "tokenizer_config.json",
    ),
    "an added token that is a number": ("added_tokens.json", '{"<a>": "526"}', CorruptFile, "added_tokens.json"),
    "a flag that is a word": (
        "tokenizer.json",
        '{"added_tokens": [{"content": "<a>", "id": 1, "special": "no"}]}',
        CorruptFile,
        "'no'",
    ),
    "tokenizer.json without a model": ("tokenizer.json", '{"version": "1.0"}', CorruptFile, "tokenizer.json"),
    "tokenizer.json of another kind": (
        "tokenizer.json",
        '{"model": {"vocab": [["a", 0.1]]}}',
        CorruptFile,
        "tokenizer.json",
    ),
}


@pytest.mark.parametrize(("name", "text", "error", "word"), BROKEN.values(), ids=BROKEN)
def test_a_broken_folder_is_refused_by_file(
    tmp_path: Path, name: str, text: str | bytes | None, error: type[CalotypeError], word: str
) -> None:
    file = tiny_tokenizer_folder(tmp_path) / name
    if text is None:
        file.unlink()
    else:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(error) as refusal:
        CLIPTokenizer.from_pretrained(tmp_path)
    assert word in str(refusal.value)


def test_importing_the_module_loads_neither_torch_nor_tokenizers() -> None:
    code = "import sys, calotype.models.tokenizer; sys.exit(bool({'torch', 'tokenizers', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
