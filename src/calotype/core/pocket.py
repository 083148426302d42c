"""The small trained models that ship with the package, by their names; weights that two of them have are there once."""

from __future__ import annotations

from pathlib import Path

from calotype.core.documents import read_json
from calotype.core.paths import safe_name

SHELF = Path(__file__).parents[1] / "pocket"
SHARED = "shared.json"  # in a pocket folder: {"image_encoder": "pocket-clip/image_encoder"}


def pocket_names() -> list[str]:
    """What there is."""
    return sorted(folder.name for folder in SHELF.iterdir() if folder.is_dir() and folder.name.startswith("pocket-"))


def pocket_folder(name: str) -> Path | None:
    """The folder of a pocket model, if this is its bare name; an explicit path, such as ./pocket-sd, is no name."""
    bare = name.startswith("pocket-") and Path(name).name == name
    return SHELF / name if bare and (SHELF / name).is_dir() else None


def shared_parts(folder: Path) -> dict[str, tuple[str, str]]:
    """Which parts of a folder on the shelf lie in another one there: its name, and the part's name in it."""
    table = folder / SHARED
    if folder.resolve().parent != SHELF.resolve() or not table.is_file():
        return {}
    homes = {part: safe_name(home, str(table)).partition("/") for part, home in read_json(table).items()}
    return {part: (name, there) for part, (name, _, there) in homes.items()}
