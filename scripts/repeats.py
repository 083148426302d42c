"""No block of six or more lines stands in three files: the third copy gets a name."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

LENGTH, COPIES = 6, 3


def lines_of(path: Path) -> list[tuple[int, str]]:
    """The numbered lines that say something: not blanks, comments, imports, lone brackets or parameters."""
    kept: list[tuple[int, str]] = []
    signature = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.strip()
        signature = signature or text.startswith("def ")
        if len(text) > 3 and not signature and not text.startswith(("#", "import ", "from ", "@")):
            kept.append((number, text))
        if text.endswith(":") and (text.startswith((")", "def "))):
            signature = False
    return kept


def main() -> int:
    places: dict[tuple[str, ...], dict[Path, int]] = defaultdict(dict)
    for path in sorted(Path("src").rglob("*.py")):
        lines = lines_of(path)
        for i in range(len(lines) - LENGTH + 1):
            block = tuple(text for _, text in lines[i : i + LENGTH])
            places[block].setdefault(path, lines[i][0])
    repeated = [found for found in places.values() if len(found) >= COPIES]
    for found in repeated:
        print("the same", LENGTH, "lines:", ", ".join(f"{path}:{number}" for path, number in found.items()))
    return bool(repeated)


if __name__ == "__main__":
    sys.exit(main())
