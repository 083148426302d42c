"""The files of a tokenizer: ``vocab.json`` beside ``merges.txt``, or ``tokenizer.json``, read into one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from calotype.core.documents import parse_json, read_json
from calotype.core.errors import CorruptFile, MissingFile
from calotype.core.files import Source
from calotype.core.paths import regular_file

FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
MAX_BYTES = 32 * 2**20  # a tokenizer.json with one part of a merge per line takes 5 MB


@dataclass(frozen=True)
class Words:
    """What a tokenizer knows: tokens, how they join, and tokens that were added, in the order of their ids."""

    vocab: Mapping[str, int]
    merges: Sequence[tuple[str, str]]
    added: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class TokenizerFiles:
    """The files of a tokenizer; its words, which are many, are told when they are asked for."""

    settings: dict[str, Any]
    added: dict[int, dict[str, Any]]
    contents: dict[Path, bytes]

    @property
    def paths(self) -> list[Path]:
        return [*self.contents]

    def words(self) -> Words:
        first, *others = self.contents.items()
        document = parse_json(first[1], str(first[0]))
        if others:
            return Words(_vocab(document, first[0]), _pairs(_lines(*others[0]), others[0][0]), _by_id(self.added))
        added = self.added | _added(document.get("added_tokens", []), str(first[0]))
        return Words(*_model(document.get("model"), first[0]), _by_id(added))

    def verdict(self) -> str:
        """What is remembered once the words were read and fit each other, as long as nothing of them changes."""
        facts = [f"{path.name} {(told := path.stat()).st_size} {told.st_mtime_ns}" for path in self.paths]
        return f"tokenizer {facts} {self.added} {self.settings}"


def find_files(source: Source) -> TokenizerFiles:
    """The tokenizer in a folder; ``tokenizer.json`` is the newer spelling and goes first."""
    settings = _document(source, "special_tokens_map.json") | _document(source, "tokenizer_config.json")
    added = _added(_with_ids(settings.pop("added_tokens_decoder", {})), source.where("tokenizer_config.json"))
    if source.has("tokenizer.json"):
        return TokenizerFiles(settings, added, _contents(source, "tokenizer.json"))
    if not source.has("vocab.json"):
        raise MissingFile(source.where(""), "vocab.json and merges.txt, or tokenizer.json", "neither")
    if not added:
        ids = _document(source, "added_tokens.json")
        tokens = [{"content": token, "id": id, "normalized": True} for token, id in ids.items()]
        added = _added(tokens, source.where("added_tokens.json"))
    return TokenizerFiles(settings, added, _contents(source, "vocab.json", "merges.txt"))


def _document(source: Source, name: str) -> dict[str, Any]:
    """The object in an optional file."""
    return read_json(source.file(name), source.where(name)) if source.has(name) else {}


def _with_ids(decoder: Any) -> list[Any]:
    """Added tokens that are spelt by their ids."""
    if not isinstance(decoder, dict):
        return [decoder]
    return [
        {**token, "id": int(id)} if isinstance(token, dict) and id.isdecimal() else token
        for id, token in decoder.items()
    ]


def _added(tokens: Any, where: str) -> dict[int, dict[str, Any]]:
    """Added tokens by their ids, checked."""
    for token in tokens if isinstance(tokens, list) else [tokens]:
        told = token if isinstance(token, dict) else {}
        flags = [told[name] for name in FLAGS if name in told]
        if type(told.get("id")) is not int or type(told.get("content")) is not str or set(map(type, flags)) - {bool}:
            raise CorruptFile(where, "added tokens with a content, an id and flags", repr(token)[:80])
    return {token["id"]: token for token in tokens}


def _contents(source: Source, *names: str) -> dict[Path, bytes]:
    return {path: file_bytes(path) for path in source.fetch(names)}


def file_bytes(path: Path) -> bytes:
    """All of a file that is no larger than any tokenizer."""
    size = regular_file(path).st_size
    if size > MAX_BYTES:
        raise CorruptFile(str(path), f"at most {MAX_BYTES:,} bytes", f"{size:,}")
    return path.read_bytes()


def _lines(path: Path, data: bytes) -> list[str]:
    try:
        lines = data.decode().replace("\r\n", "\n").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise CorruptFile(
            str(path), "text in UTF-8", f"byte 0x{error.object[error.start]:02x} at {error.start:,}"
        ) from None
    return lines[1:] if lines[0].startswith("#version") else lines


def _model(model: Any, path: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    if (
        not isinstance(model, dict)
        or not isinstance(model.get("vocab"), dict)
        or not isinstance(model.get("merges"), list)
    ):
        raise CorruptFile(str(path), "a model with a vocab and merges", type(model).__name__)
    return _vocab(model["vocab"], path), _pairs(model["merges"], path)


def _vocab(vocab: dict[str, Any], path: Path) -> dict[str, int]:
    ids = list(vocab.values())
    if any(type(id) is not int for id in ids) or set(ids) != set(range(len(ids))):
        raise CorruptFile(
            str(path), f"each id from 0 to {len(ids) - 1} once", "ids missing, doubled or not whole numbers"
        )
    return vocab


def _pairs(merges: Sequence[Any], path: Path) -> list[tuple[str, str]]:
    pairs = [tuple(merge.split(" ") if isinstance(merge, str) else merge or ()) for merge in merges]
    if set(map(len, pairs)) - {2}:
        number = next(number for number, pair in enumerate(pairs) if len(pair) != 2)
        raise CorruptFile(str(path), "two parts in each merge", f"{len(pairs[number])} in merge {number}")
    return cast("list[tuple[str, str]]", pairs)


def _by_id(added: Mapping[int, dict[str, Any]]) -> list[dict[str, Any]]:
    return [added[id] for id in sorted(added)]
