"""Processes in which scripts run: with the peer hidden, or installed and out of the way."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from tests import nursery

# as if it were not installed: nobody but the shim finds it
HIDDEN = """
import sys
from importlib.abc import MetaPathFinder
class Nowhere(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "diffusers":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Nowhere())
"""
SHIM = "import calotype.compat.diffusers\n"


def said(code: str, *words: object, env: Mapping[str, str] = os.environ) -> str:
    """What a process that ran this code has said; it must have ended well."""
    done = nursery.run(code, *words, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(code: str, *words: object, env: Mapping[str, str] = os.environ) -> Any:
    """What a process that ran this code has said in its last line, as JSON."""
    return json.loads(said(code, *words, env=env).splitlines()[-1])
