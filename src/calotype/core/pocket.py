"""The small trained models that ship with the package, by their names."""

from __future__ import annotations

from pathlib import Path

SHELF = Path(__file__).parents[1] / "pocket"


def pocket_names() -> list[str]:
    """What there is."""
    return sorted(folder.name for folder in SHELF.iterdir() if folder.is_dir() and folder.name.startswith("pocket-"))


def pocket_folder(name: str) -> Path | None:
    """The folder of a pocket model, if this is its bare name; an explicit path, such as ./pocket-sd, is no name."""
    bare = name.startswith("pocket-") and Path(name).name == name
    return SHELF / name if bare and (SHELF / name).is_dir() else None
