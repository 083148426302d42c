"""Which files of a repository a pipeline is loaded from: the index, and of each component what its class reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from torch import nn

from calotype.core.assembly import INDEX, carries, check_variant, component_words, read_index
from calotype.core.files import Source
from calotype.core.names import component_class
from calotype.core.weights import choose, shards

SETTINGS = (".json", ".txt")  # configs and vocabularies


def needed(source: Source, variant: str | None) -> list[str]:
    """The names of the files, with the weights of this variant where there are such."""
    parts = {part: component_class(*words, source.where(INDEX)) for part, words in component_names(source).items()}
    check_variant(source, parts, variant)
    return [INDEX, *(name for part, kind in parts.items() for name in files_of(source, part, kind, variant))]


def component_names(source: Source) -> dict[str, tuple[str | None, str]]:
    """The components that the index of a pipeline names, each with its library and class."""
    entries = {name: entry for name, entry in read_index(source).items() if isinstance(entry, list)}
    named = {name: component_words(entry, f"{source.where(INDEX)}: {name}") for name, entry in entries.items()}
    return {name: words for name, words in named.items() if words is not None}


def files_of(source: Source, part: str, kind: Any, variant: str | None) -> Iterator[str]:
    """The names of the files that a component of this class is loaded from."""
    return (f"{part}/{name}" for name in _of(source.sub(part), kind, variant))


def _of(part: Source, kind: Any, variant: str | None) -> Iterator[str]:
    present = part.list()
    if not issubclass(kind, nn.Module):
        small = (name for name in sorted(present) if PurePosixPath(name).suffix in SETTINGS)
        yield from (name for name in small if not name.endswith(".index.json"))
        return
    carried = variant if variant and carries(part, variant) else None
    chosen = choose(present, kind.weights_name, carried, None, part.where(""))  # pyright: ignore
    yield from (kind.config_name, chosen)  # pyright: ignore
    if chosen.endswith(".json"):
        yield from shards(part.file(chosen))
