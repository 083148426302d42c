"""``python -m training.shipping``: finished models onto the shelf of the package, weights that several have once."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

from calotype.core.atomic import write_atomic
from calotype.core.digests import sha256_of
from calotype.core.documents import read_json, to_json
from calotype.core.pocket import SHARED, SHELF

WEIGHTS = ".safetensors"


def ship(names: list[str], finished: Path, shelf: Path) -> None:
    """Copy these models; of a part whose weights lie on the shelf already, under an earlier name, only say where."""
    for name in names:
        if not (finished / name / "README.md").is_file():
            raise SystemExit(f"{finished / name}: expected a finished model with its card, found none")
        leans = sorted({*_leaning(name, finished, shelf)} - {*names})
        if leans:
            raise SystemExit(f"{name}: {leans[0]} was trained with other weights of it; ship that anew as well")
    for name in sorted(names):
        made = shelf / name
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(finished / name, made)
        homes = {_digests(part): part for part in reversed(_parts(shelf)) if part.parent.name < name}
        shared = {part.name: homes[told] for part in _parts(made.parent, name) if (told := _digests(part)) in homes}
        for part in shared:
            shutil.rmtree(made / part)
        if shared:
            table = {part: home.relative_to(shelf).as_posix() for part, home in shared.items()}
            write_atomic(made / SHARED, [to_json(table).encode()])


def _leaning(name: str, finished: Path, shelf: Path) -> Iterator[str]:
    """Models on the shelf that share a part of this one, which is about to become another."""
    for table in shelf.glob(f"*/{SHARED}"):
        for home in read_json(table).values():
            owner, _, part = home.partition("/")
            if owner == name and _digests(shelf / home) != _digests(finished / name / part):
                yield table.parent.name


def _parts(shelf: Path, name: str = "pocket-*") -> list[Path]:
    """The folders of networks within those of models."""
    return sorted({weights.parent for weights in shelf.glob(f"{name}/*/*{WEIGHTS}")})


def _digests(part: Path) -> tuple[tuple[str, str], ...]:
    """What is in a folder: the names of its files and their digests."""
    return tuple((file.name, sha256_of(file)) for file in sorted(part.glob("*")))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.shipping", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="model", help="such as pocket-sd")
    parser.add_argument("--out", type=Path, default=Path("build/pocket"), help="where the finished models lie")
    told = parser.parse_args()
    ship(told.names, told.out, SHELF)


if __name__ == "__main__":
    main()
