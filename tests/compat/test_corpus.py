"""Users' scripts leave the same behind under the peer and under the shim, but for what the list says."""

from __future__ import annotations

import builtins
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import nursery
from tests.compat.children import SHIM
from tests.compat.corpus import RAISED, make_checkpoints

SCRIPTS = {path.stem: path for path in sorted(Path(__file__).with_name("scripts").glob("*.py"))}
DIFFERING = {name for name, path in SCRIPTS.items() if path.read_text().startswith("# differs: ")}
LISTED = Path(__file__).with_name("what_differs.md").read_text()
RUN = "import sys\nfrom tests.compat.corpus import run_all\nrun_all(*sys.argv[1:])\n"

Made = dict[str, np.ndarray]
pytestmark = pytest.mark.timeout(900)  # seconds: all scripts run before the first test


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What all scripts made, each library in one process of its own: the peer's, and ours."""
    first, second = (tmp_path_factory.mktemp(name) for name in ("peer", "shim"))
    make_checkpoints(first)
    (first / "results").mkdir()
    shutil.copytree(first, second, dirs_exist_ok=True)
    children = [
        nursery.start(library + RUN, home, home / "results", *SCRIPTS.values())
        for home, library in ((first, ""), (second, SHIM))
    ]
    for child in children:
        done = child.result(timeout=850)
        assert done.returncode == 0, done.stderr
    return first / "results", second / "results"


def made(folder: Path, name: str) -> Made:
    with np.load(folder / f"{name}.npz") as file:
        return dict(file)


def differences(peer: Made, shim: Made) -> list[str]:
    """What a reader of both would notice."""
    if RAISED in peer or RAISED in shim:
        return [] if same_error(peer, shim) else [f"{ending(peer)}, under the shim {ending(shim)}"]
    gone = [f"{name} is there once" for name in sorted(peer.keys() ^ shim.keys())]
    return gone + [f"{name} differs" for name in peer.keys() & shim.keys() if not close(peer[name], shim[name])]


def same_error(peer: Made, shim: Made) -> bool:
    """Whether who catches the peer's error, by its own or its nearest built-in class, catches ours."""
    if RAISED not in peer or RAISED not in shim:
        return False
    nearest = next(name for name in peer[RAISED].tolist() if hasattr(builtins, name))
    return nearest in shim[RAISED]


def close(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape or one.dtype.kind != other.dtype.kind:
        return False
    if one.dtype.kind == "f":
        return np.allclose(one, other, rtol=1e-4, atol=1e-4)
    if one.dtype == np.uint8:  # a picture: a number beside a half may be rounded the other way
        return bool((abs(one.astype(int) - other) <= 1).all())
    return np.array_equal(one, other)


def ending(made: Made) -> str:
    return f"{made[RAISED][0]}: {made['message']}" if RAISED in made else "no error"


@pytest.mark.parametrize("name", sorted(SCRIPTS.keys() - DIFFERING))
def test_a_script_leaves_the_same_behind(results, name):
    peer, shim = (made(folder, name) for folder in results)
    assert differences(peer, shim) == []
    assert (RAISED in peer) == name.startswith("misuse_"), ending(peer)


@pytest.mark.parametrize("name", sorted(DIFFERING))
def test_what_is_said_to_differ_differs(results, name):
    assert differences(*(made(folder, name) for folder in results)) != []


def test_the_list_names_every_script_that_differs_and_no_other():
    assert set(re.findall(r"^\| `(\w+)` \|", LISTED, re.MULTILINE)) == DIFFERING
