"""The files of a tokenizer: ``vocab.json`` beside ``merges.txt``, or ``tokenizer.json``, read into one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calotype.core.documents import parse_json, read_json
from calotype.core.errors import CorruptFile, MissingFile
from calotype.core.files import Source
from calotype.core.paths import regular_file

MAX_BYTES = 32 * 2**20  # a tokenizer.json with one part of a merge per line takes 5 MB


@dataclass(frozen=True)
class TokenizerFiles:
    """What the files say, whichever spelling they use."""

    vocab: dict[str, int]
    merges: list[tuple[str, str]]
    added: list[dict[str, Any]] = field(default_factory=list)  # in the order of their ids
    settings: dict[str, Any] = field(default_factory=dict)


def read_files(source: Source) -> TokenizerFiles:
    """The tokenizer in a folder; ``tokenizer.json`` is the newer spelling and goes first."""
    settings = _document(source, "special_tokens_map.json") | _document(source, "tokenizer_config.json")
    added = {int(id): token | {"id": int(id)} for id, token in settings.pop("added_tokens_decoder", {}).items()}
    if source.has("tokenizer.json"):
        path = source.file("tokenizer.json")
        document = parse_json(_bytes(path), str(path))
        added |= {token["id"]: token for token in document.get("added_tokens", ())}
        return TokenizerFiles(*_model(document.get("model"), path), _by_id(added), settings)
    if not source.has("vocab.json"):
        raise MissingFile(source.where(""), "vocab.json and merges.txt, or tokenizer.json", "neither")
    if not added:
        spelt = _document(source, "added_tokens.json")
        added = {id: {"content": token, "id": id, "normalized": True} for token, id in spelt.items()}
    vocab, merges = source.fetch(["vocab.json", "merges.txt"])
    return TokenizerFiles(_vocab(read_json(vocab), vocab), _pairs(_lines(merges), merges), _by_id(added), settings)


def _document(source: Source, name: str) -> dict[str, Any]:
    """The object in an optional file."""
    return read_json(source.file(name), source.where(name)) if source.has(name) else {}


def _bytes(path: Path) -> bytes:
    size = regular_file(path).st_size
    if size > MAX_BYTES:
        raise CorruptFile(str(path), f"at most {MAX_BYTES:,} bytes", f"{size:,}")
    return path.read_bytes()


def _lines(path: Path) -> list[str]:
    try:
        lines = _bytes(path).decode().splitlines()
    except UnicodeDecodeError as error:
        raise CorruptFile(
            str(path), "text in UTF-8", f"byte 0x{error.object[error.start]:02x} at {error.start:,}"
        ) from None
    return lines[1:] if lines and lines[0].startswith("#version") else lines


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
    pairs: list[tuple[str, str]] = []
    for number, merge in enumerate(merges):
        parts = merge.split(" ") if isinstance(merge, str) else merge
        if len(parts) != 2:
            raise CorruptFile(str(path), "two parts in each merge", f"{len(parts)} in merge {number}")
        pairs.append((parts[0], parts[1]))
    return pairs


def _by_id(added: Mapping[int, dict[str, Any]]) -> list[dict[str, Any]]:
    return [added[id] for id in sorted(added)]
