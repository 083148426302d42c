"""A script of somebody's own, run as ``python script.py`` would, in the present process."""

from __future__ import annotations

import os
import runpy
import sys

from calotype.compat.finder import install


def run_script(script: str, *arguments: str) -> None:
    """Run the script with these arguments; what it imports of the peer is calotype's."""
    install()
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(script))  # as for ``python script.py``
    runpy.run_path(script, run_name="__main__")
