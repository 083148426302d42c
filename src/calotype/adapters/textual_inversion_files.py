"""Words in files: which there are, and their vectors, in every spelling that the ecosystem writes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from calotype.core.atomic import write_atomic
from calotype.core.errors import CorruptFile, IncompatibleWeights, InvalidArgument, NotFinite
from calotype.core.one_file import SAFE, find_one
from calotype.core.pickles import read_pickle
from calotype.core.tensors import SafetensorsFile, safetensors_bytes

STEM = "learned_embeds"
LONGEST_WORD = 64  # characters
PAIR = ("clip_l", "clip_g")  # the two text encoders of SDXL
ANY = ""  # vectors that do not say which encoder reads them

Document = Mapping[str, Any]
Told = str | os.PathLike[str] | Document | Tensor


@dataclass(frozen=True)
class Learnt:
    """A word, its vectors (count, width) for each encoder that they were learnt with, and where they are from."""

    word: str
    vectors: Mapping[str, Tensor]
    where: str


def read_learnt(told: Any, words: str | Sequence[str | None] | None, options: Mapping[str, Any]) -> list[Learnt]:
    """Every word of files or state dicts; ``words`` gives them other names."""
    several: list[Any] = list(told) if isinstance(told, (list, tuple)) else [told]
    names = [words] if isinstance(words, str) else list(words or [None] * len(several))
    if len(names) != len(several):
        raise InvalidArgument("token", f"{len(several)} words, one for each that is loaded", f"{len(names)}")
    return [learnt for one, name in zip(several, names, strict=True) for learnt in _read(one, name, options)]


def save_words(path: str | os.PathLike[str], vectors: Mapping[str, Tensor]) -> None:
    """Write words and their vectors into a safetensors file, as every library reads it."""
    for word, value in vectors.items():
        check_word(word)
        checked(value, f"vectors of {word!r}")
    write_atomic(path, safetensors_bytes(vectors, {"format": "pt"}))


def checked(vectors: Any, where: str) -> Tensor:
    """The vectors of a word as rows, which are finite floats."""
    if not isinstance(vectors, Tensor) or not vectors.is_floating_point():
        found = str(vectors.dtype) if isinstance(vectors, Tensor) else type(vectors).__name__
        raise IncompatibleWeights(where, "a tensor of floats", found)
    if vectors.ndim not in (1, 2) or not vectors.numel():
        raise IncompatibleWeights(where, "a vector, or rows of vectors", f"shape {tuple(vectors.shape)}")
    if not vectors.isfinite().all():
        raise NotFinite(where, "finite numbers", f"{int((~vectors.isfinite()).sum())} NaN or infinite values")
    return vectors.detach().reshape(-1, vectors.shape[-1])


def _read(told: Told, word: str | None, options: Mapping[str, Any]) -> list[Learnt]:
    if isinstance(told, (Mapping, Tensor)):
        return _words(told, word, None, "state dict")
    if not isinstance(told, (str, os.PathLike)):
        expected = "a file, a folder, a repository on the Hub, a state dict, or a list of these"
        raise InvalidArgument("pretrained_model_name_or_path", expected, type(told).__name__)
    path = find_one(told, options, STEM)
    return _words(_document(path), word, path.stem, str(path))


def _document(path: Path) -> Any:
    if path.suffix != SAFE:
        return read_pickle(path)
    file = SafetensorsFile(path)
    return file.tensors({key: stored.dtype for key, stored in file.stored().items()})


def _words(document: Any, word: str | None, stem: str | None, where: str) -> list[Learnt]:
    """The words of a document: of A1111, of a pair of encoders, of nobody, or one for each key."""
    name = stem if word is None else word
    if isinstance(document, Tensor):
        return [_learnt(name, {ANY: document}, where)]
    if not isinstance(document, Mapping) or not document or not all(isinstance(key, str) for key in document):
        raise CorruptFile(where, "words and their vectors", type(document).__name__)
    if "string_to_param" in document:
        own = document.get("name") if word is None else word
        return [_learnt(own if isinstance(own, str) else name, {ANY: _starred(document, where)}, where)]
    if set(document) <= set(PAIR):
        return [_learnt(name, document, where)]
    if set(document) == {"emb_params"}:
        return [_learnt(name, {ANY: document["emb_params"]}, where)]
    if word is not None and len(document) > 1:
        raise InvalidArgument("token", f"nothing, as {where} has {len(document)} words of its own", repr(word))
    return [
        _learnt(key if word is None else word, {ANY: vectors}, f"{where}, key {key!r}")
        for key, vectors in document.items()
    ]


def _starred(document: Document, where: str) -> Any:
    params = document["string_to_param"]
    if not isinstance(params, Mapping) or not ("*" in params or len(params) == 1):
        found = ", ".join(map(repr, params)) if isinstance(params, Mapping) else type(params).__name__
        raise CorruptFile(f"{where}, key 'string_to_param'", "the vectors of '*'", found or "nothing")
    return params["*"] if "*" in params else next(iter(params.values()))


def _learnt(word: str | None, vectors: Mapping[str, Any], where: str) -> Learnt:
    if word is None:
        raise InvalidArgument("token", "a word for the vectors, as they come without a name", "None")
    check_word(word)
    return Learnt(word, {name: checked(value, f"{where} {name}".strip()) for name, value in vectors.items()}, where)


def check_word(word: object) -> None:
    """Refuse what is no word: nothing, spaces around it, signs that cannot be seen, a whole text."""
    if not isinstance(word, str) or not word or word != word.strip() or not word.isprintable():
        raise InvalidArgument("token", "a word without spaces around it", repr(word)[:80])
    if len(word) > LONGEST_WORD:
        raise InvalidArgument("token", f"at most {LONGEST_WORD} characters", str(len(word)))
