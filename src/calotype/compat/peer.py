"""What stands where in the peer: ours by the table, or a stand-in for what calotype does not have."""

from __future__ import annotations

import functools
from importlib import import_module
from importlib.resources import files
from typing import Any

from calotype.compat.standins import standin
from calotype.compat.table import INSIDE, PATHS
from calotype.core.names import MODULES, PUBLIC


@functools.cache
def _absent() -> tuple[frozenset[str], frozenset[str]]:
    """Paths and names that the peer has and calotype has not; where a path ends, all below it is absent too."""
    lines = files("calotype.compat").joinpath("absent.txt").read_text("utf-8").split()
    return frozenset(line for line in lines if line[0] == "."), frozenset(line for line in lines if line[0] != ".")


@functools.cache
def _objects() -> dict[str, dict[str, tuple[str, str]]]:
    """Of each path, from the name there to our module and the name here."""
    found = {"": {name: (MODULES[name], name) for name in PUBLIC if name not in INSIDE}}
    for path, homes in PATHS.items():
        row = found.setdefault(path, {})
        for module, names in homes.items():
            for told in names.split():
                theirs, _, ours = told.partition("=")
                row[theirs] = f"calotype.{module}".rstrip("."), ours or theirs
    return found


@functools.cache
def _anywhere() -> dict[str, tuple[str, str]]:
    """Every name with the first place that has it: modules of the peer import each other's, and scripts lean on it."""
    return {name: home for row in reversed(_objects().values()) for name, home in row.items()}


def is_package(path: str) -> bool:
    """Whether modules may stand below this path."""
    return not path or _is_absent(path) or any(known.startswith(f"{path}.") for known in PATHS)


def is_module(path: str) -> bool:
    """Whether a module may be asked for at this path, the empty one being the peer's own."""
    return path in PATHS or is_package(path)


def is_known(path: str) -> bool:
    """Whether this is the path of a module, and not of a thing in one."""
    return f".{path}" in _absent()[0] or any(f"{known}.".startswith(f"{path}.") for known in PATHS)


def _is_absent(path: str) -> bool:
    parts, paths = path.split("."), _absent()[0]
    return any("." + ".".join(parts[: count + 1]) in paths for count in range(len(parts)))


def names_in(path: str) -> list[str]:
    """The names of ours at a path and below it."""
    rows = _objects()
    below = [] if path == "" else [row for known, row in rows.items() if known.startswith(f"{path}.")]
    return sorted({name for row in (rows.get(path, {}), *below) for name in row})


def lookup(path: str, name: str) -> Any:
    """The object of this name at this path; ``LookupError`` where the peer has none either."""
    row = _objects().get(path, {})
    home = row.get(name) or (_anywhere().get(name) if path else None)
    if home is not None:
        return _object(*home)
    if name in _absent()[1] or (path and _is_absent(path) and not name.startswith("__")):
        return standin(f"diffusers.{path}".rstrip("."), name)
    raise LookupError(name)


def _object(module: str, name: str) -> Any:
    """What has this name in this module of ours; in a package it may be a module."""
    holder = import_module(module)
    return getattr(holder, name) if hasattr(holder, name) else import_module(f"{module}.{name}")
