"""The prior that a decoder's repository names: found in its card, loaded, and its components taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calotype.core.errors import CalotypeError, CorruptFile, MissingFile
from calotype.core.files import HUB_NAMES, Source
from calotype.core.model import LOADING_NAMES
from calotype.core.pipeline import DiffusionPipeline

CARD = "README.md"
MAX_CHARACTERS = 2**20
LOCAL = ("revision", "subfolder")  # of the decoder's repository, not of the prior's


def named_in_card(source: Source) -> str | None:
    """The prior that a repository's card names between its first two lines of dashes, as ``prior: [owner/model]``."""
    if not source.has(CARD):
        return None
    where = source.where(CARD)
    head, _, rest = source.file(CARD).read_text(encoding="utf-8", errors="replace")[:MAX_CHARACTERS].partition("---")
    if head.strip() or not rest:
        return None
    import yaml

    try:
        told: Any = yaml.safe_load(rest.partition("\n---")[0])
    except yaml.YAMLError as error:
        raise CorruptFile(
            where, "YAML between its first two lines of dashes", " ".join(str(error).split())[:200]
        ) from None
    prior: Any = told.get("prior") if isinstance(told, dict) else None
    prior = prior[0] if isinstance(prior, list) and prior else prior
    if prior is not None and not isinstance(prior, str):
        raise CorruptFile(f"{where}: prior", "the name of a repository or a folder", repr(prior)[:80])
    return prior


def prior_of(source: Source, names: list[str], usual: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The components of these names, such as ``prior_tokenizer``, from the prior that a decoder's card names."""
    told = named_in_card(source)
    if told is None:
        fix = f"Its card, {CARD}, may name one as `prior: [{usual}]`; or pass {', '.join(f'{n}=...' for n in names)}."
        raise MissingFile(source.where(names[0]), "a component, or the name of a prior to load it from", "neither", fix)
    kept = {
        name: value for name, value in options.items() if name in (*HUB_NAMES, *LOADING_NAMES) and name not in LOCAL
    }
    try:
        prior = DiffusionPipeline.from_pretrained(told, **kept)
    except CalotypeError as error:
        wanted = f"the prior {told!r}, which {source.where(CARD)} names"
        raise MissingFile(source.where(names[0]), wanted, f"this instead: {error}") from error
    parts = {f"prior_{name}": part for name, part in prior.components.items()}
    missing = [name for name in names if name not in parts]
    if missing:
        raise CorruptFile(f"{told}: {missing[0]}", "a prior's component", f"a {type(prior).__name__}")
    return {name: parts[name] for name in names}
