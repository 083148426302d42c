"""``python -m tests.compat.trying SCRIPT...``: each script under the peer, then under the shim, and what differs.

Scripts find tiny checkpoints below ``tiny/``: see ``corpus.make_checkpoints``.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import nursery
from tests.compat.children import SHIM
from tests.compat.corpus import make_checkpoints
from tests.compat.test_corpus import RUN, differences, ending, made


def tried(folder: Path, *scripts: Path) -> tuple[Path, Path]:
    """Where the values lie that the scripts left, each library in one process of its own: the peer's, and ours."""
    homes = folder / "peer", folder / "shim"
    make_checkpoints(homes[0])
    shutil.copytree(homes[0], homes[1])
    for home, library in zip(homes, ("", SHIM), strict=True):
        (home / "results").mkdir()
        done = nursery.run(library + RUN, home, home / "results", *scripts)
        assert done.returncode == 0, done.stderr
    return homes[0] / "results", homes[1] / "results"


def main(*scripts: str) -> int:
    """Say what differs; 0 if nothing does."""
    paths, count = [Path(script).absolute() for script in scripts], 0
    with TemporaryDirectory() as folder:
        results = tried(Path(folder), *paths)
        for path in paths:
            peer, shim = (made(result, path.stem) for result in results)
            found = differences(peer, shim)
            count += bool(found)
            print(f"{path.stem}: {'; '.join(found) or f'the same ({ending(peer)})'}")
    return count


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
