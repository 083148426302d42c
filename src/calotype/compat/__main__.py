"""``python -m calotype.compat script.py ...``: a script whose imports of the peer mean calotype."""

from __future__ import annotations

import sys

from calotype.compat.scripts import run_script

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("Usage: python -m calotype.compat SCRIPT [ARGUMENTS]...")
    run_script(*sys.argv[1:])
