"""One file of weights: a path to it, or its name in a folder or in a repository on the Hub."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calotype.core.errors import UnsafeFile
from calotype.core.files import HUB_NAMES, locate
from calotype.core.weights import choose

SAFE = ".safetensors"
FILE_NAMES = (*(name for name in HUB_NAMES if name != "token"), "hf_token", "weight_name", "use_safetensors")


def find_one(name_or_path: str | os.PathLike[str], options: Mapping[str, Any], stem: str) -> Path:
    """Where the file is on this machine; without ``weight_name`` it has this stem, or is the only one of its kind.

    A pickle is read if it was named, or with ``use_safetensors=False``.
    """
    safe, name = options.get("use_safetensors"), options.get("weight_name")
    if os.path.isfile(name_or_path):
        path = Path(name_or_path)
    else:
        hub = {key: value for key, value in options.items() if key in HUB_NAMES}
        source, _ = locate(name_or_path, hub | {"token": options.get("hf_token")})
        if name is None:
            names = source.list()
            only = [found for found in names if found.endswith(SAFE)]
            several = len(only) != 1 or safe is False
            name = choose(names, stem, None, safe, source.where("")) if several else only[0]
        path = source.file(name)
    if safe and path.suffix != SAFE:
        raise UnsafeFile(str(path), f"a {SAFE} file, as use_safetensors=True", f"a {path.suffix or 'nameless'} file")
    return path
