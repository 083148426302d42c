"""Packages that lean on the peer do the same with calotype; docs/compatibility.md lists these, and others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.compat.children import HIDDEN, SHIM, said, told
from tests.compat.corpus import RAISED
from tests.compat.test_corpus import differences, ending, made
from tests.compat.trying import tried

HERE = Path(__file__).with_name("third_parties")
SCRIPTS = {path.stem: path for path in sorted(HERE.glob("*.py"))}
PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return tried(tmp_path_factory.mktemp("third"), *SCRIPTS.values())


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_a_package_leaves_the_same_behind(results, name):
    peer, shim = (made(folder, name) for folder in results)
    assert RAISED not in peer, ending(peer)
    assert differences(peer, shim) == []


def test_the_page_tells_of_every_script_and_of_no_other():
    named = re.findall(r"\]\(\.\./tests/compat/third_parties/([\w/]+\.py)\)", PAGE.read_text())
    assert sorted(named) == sorted(path.relative_to(HERE).as_posix() for path in HERE.rglob("*.py"))


@pytest.mark.parametrize("hidden", ["", HIDDEN], ids=["installed", "not installed"])
def test_who_asks_for_the_peers_version_is_told_that_of_the_files(hidden):
    code = """
import importlib.metadata, importlib.util, json
import diffusers
from calotype.core.config import ECOSYSTEM_VERSION
about = importlib.metadata.metadata("diffusers")
assert importlib.util.find_spec("diffusers").loader.__class__.__module__ == "calotype.compat.finder"
assert diffusers.__version__ == importlib.metadata.version("diffusers") == ECOSYSTEM_VERSION
assert "diffusers" in importlib.metadata.packages_distributions()["diffusers"]
print(json.dumps([about["Name"], "calotype" in about["Summary"], importlib.metadata.version("torch") is not None]))
"""
    assert told(hidden + SHIM + code) == ["diffusers", True, True]


def test_libraries_beside_find_the_peer_available():
    said(HIDDEN + SHIM + "from peft.import_utils import is_diffusers_available\nassert is_diffusers_available()")


def test_a_package_that_is_not_there_is_still_not_there():
    code = """
from importlib.metadata import PackageNotFoundError, version
try:
    version("diffusers-of-nobody")
except PackageNotFoundError:
    print("none")
"""
    assert said(SHIM + code) == "none\n"
