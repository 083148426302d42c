"""Classes that are the user's own: found where their pipeline names them, never imported because a file says so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

from calotype.core.names import LIBRARIES

OTHERS = {"calotype", "diffusers", *LIBRARIES.values()}


def own_class(target: type[Any], name: str, library: str | None, written: str) -> type[Any] | None:
    """The class that a file calls ``[library, written]``, where the user's pipeline has it for this component."""
    if library in OTHERS:
        return None
    candidates = (*_annotated(target, name), getattr(sys.modules.get(target.__module__), written, None))
    return next((found for found in candidates if _is(found, library, written)), None)


def _annotated(target: type[Any], name: str) -> Iterator[Any]:
    """What the constructor says that a component may be."""
    try:
        told = get_type_hints(target.__init__).get(name)
    except NameError:  # a name that only type checkers see
        told = None
    yield from get_args(told) or (told,)


def _is(found: Any, library: str | None, written: str) -> bool:
    told = getattr(found, "__module__", "").partition(".")[0], getattr(found, "__name__", "")
    return isinstance(found, type) and told == (library, written) and hasattr(found, "from_pretrained")
