"""One file of weights, by a path or by the link that a browser shows for a file on the Hub."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from calotype.core.errors import InvalidArgument, MissingFile, UnsafeFile
from calotype.core.files import HUB_NAMES, HubOptions, open_source

SCHEMES = ("https://", "http://")
LINK = re.compile(r"/([^/]+/[^/]+)/(?:blob|resolve|raw)/([^/]+)/(.+)")


def names_a_file(model: str) -> bool:
    """Whether a model's name is the path or the link of a file."""
    return os.path.isfile(model) or model.lower().startswith(SCHEMES)


def linked_file(link_or_path: Any, options: Mapping[str, Any], suffixes: tuple[str, ...]) -> Path:
    """Where a file that a path or a link names is on this machine; it ends as files of its kind do."""
    told = os.fspath(link_or_path) if isinstance(link_or_path, (str, os.PathLike)) else repr(link_or_path)
    if not told.lower().startswith(SCHEMES):
        path = Path(told)
        if not path.is_file():
            found = "a folder" if path.is_dir() else "nothing"
            fix = "from_pretrained reads folders." if path.is_dir() else "Or give the link of a file on the Hub."
            raise MissingFile(told, "a file", found, fix)
        return path
    parts = urlsplit(told)
    link = LINK.fullmatch(parts.path)
    if parts.hostname not in _hub_hosts() or link is None:
        example = "https://<the Hub>/owner/model/blob/main/file.safetensors"
        raise InvalidArgument(told, f"a path, or a link such as {example}", "another address", "Download it yourself.")
    if not parts.path.endswith(suffixes):
        raise InvalidArgument(told, f"a file that ends in {', '.join(suffixes)}", "another")
    repository, revision, name = (unquote(part) for part in link.groups())
    hub = HubOptions(**{key: value for key, value in options.items() if key in HUB_NAMES and key != "subfolder"})
    return open_source(repository, replace(hub, revision=hub.revision or revision)).file(name)


def check_permission(path: Path, use_safetensors: bool | None) -> None:
    """A pickle is read only with ``use_safetensors=False``, and never with True."""
    if path.suffix == ".safetensors" or use_safetensors is False:
        return
    raise UnsafeFile(
        str(path),
        "a .safetensors file",
        f"a {path.suffix or 'nameless'} file, which is read as a pickle",
        "A pickle can run code when it is read. use_safetensors=False reads its tensors and nothing else.",
    )


def _hub_hosts() -> set[str | None]:
    """Where links to the Hub lead: its own addresses, and the mirror that is in use."""
    from huggingface_hub import constants

    return {urlsplit(place).hostname for place in (constants._HF_DEFAULT_ENDPOINT, constants.ENDPOINT)}
