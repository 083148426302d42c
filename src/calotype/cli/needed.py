"""Which files a pipeline is loaded from: the index, of each component what its class reads, and those of a prior."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from torch import nn

from calotype.core.assembly import INDEX, carries, check_variant, component_words, read_index
from calotype.core.files import HubOptions, Source, open_source
from calotype.core.names import component_class
from calotype.core.weights import choose, shards
from calotype.models.piece_tokenizing import DOCUMENT, PieceTokenizer
from calotype.pipelines.auto import HALVES
from calotype.pipelines.kandinsky.connected import CARD, named_in_card

SETTINGS = (".json", ".txt")  # configs and vocabularies


def together(source: Source, variant: str | None) -> Iterator[tuple[Source, list[str]]]:
    """Each repository that a pipeline is loaded from, and which of its files: a decoder's, and then its prior's."""
    prior = prior_beside(source)
    yield source, [*needed(source, variant), *([CARD] if prior else [])]
    if prior and prior.repository:
        yield prior, needed(prior, variant)


def prior_beside(source: Source) -> Source | None:
    """The prior that a decoder's card names, where there is none in the decoder's own files."""
    name = read_index(source)["_class_name"]
    halved = name in HALVES or name in HALVES.values()
    if not halved or any(part.startswith("prior_") for part in component_names(source)):
        return None
    named = named_in_card(source)
    return None if named is None else open_source(named, HubOptions())


def needed(source: Source, variant: str | None) -> list[str]:
    """The names of the files, with the weights of this variant where there are such."""
    parts = {part: component_class(*words, source.where(INDEX)) for part, words in component_names(source).items()}
    check_variant(source, parts, variant)
    told = ((part, files_in(source.sub(part), kind, variant)) for part, kind in parts.items())
    return [INDEX, *(f"{part}/{name}" for part, names in told for name in names)]


def component_names(source: Source) -> dict[str, tuple[str | None, str]]:
    """The components that the index of a pipeline names, each with its library and class."""
    entries = {name: entry for name, entry in read_index(source).items() if isinstance(entry, list)}
    named = {name: component_words(entry, f"{source.where(INDEX)}: {name}") for name, entry in entries.items()}
    return {name: words for name, words in named.items() if words is not None}


def files_in(part: Source, kind: Any, variant: str | None) -> Iterator[str]:
    """The names of the files that a component of this class is loaded from."""
    present = part.list()
    if not issubclass(kind, nn.Module):
        small = (name for name in sorted(present) if PurePosixPath(name).suffix in SETTINGS)
        yield from (name for name in small if not name.endswith(".index.json"))
        if issubclass(kind, PieceTokenizer) and DOCUMENT not in present:
            yield kind.pieces_file
        return
    carried = variant if variant and carries(part, variant) else None
    chosen = choose(present, kind.weights_name, carried, None, part.where(""))  # pyright: ignore
    yield from (kind.config_name, chosen)  # pyright: ignore
    if chosen.endswith(".json"):
        yield from shards(part.file(chosen))
