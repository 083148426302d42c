"""Where a model's files are: a folder, or one commit of a repository on the Hub."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calotype.core.errors import MissingFile
from calotype.core.paths import inside, safe_name
from calotype.core.pocket import SHELF, pocket_folder, shared_parts

if TYPE_CHECKING:
    from calotype.core.hub import Repository


@dataclass(frozen=True)
class HubOptions:
    """How to reach the Hub; what is not said here is what ``huggingface_hub`` and its environment variables say."""

    revision: str | None = None
    token: bool | str | None = None
    cache_dir: str | os.PathLike[str] | None = None
    local_files_only: bool = False
    force_download: bool = False
    proxies: dict[str, str] | None = None

    def __repr__(self) -> str:  # without the token
        return f"HubOptions(revision={self.revision!r}, local_files_only={self.local_files_only})"


HUB_NAMES = (*(field.name for field in fields(HubOptions)), "subfolder")


@dataclass(frozen=True)
class Source:
    """A folder of model files on this machine, or of a repository of which they are fetched as they are asked for."""

    told: str  # as the user named it
    folder: Path
    prefix: str = ""  # empty, or a path that ends in a slash
    repository: Repository | None = None

    def sub(self, name: str | None) -> Source:
        """The source of a folder below this one; of a pocket model it may lie in another one on the shelf."""
        if not name:
            return self
        part = safe_name(name, self.told).rstrip("/")
        if not self.repository and not self.prefix and part in (shared := shared_parts(self.folder)):
            owner, there = shared[part]
            return Source(owner, SHELF / owner, f"{there}/")
        return replace(self, prefix=f"{self.prefix}{part}/")

    def where(self, name: str) -> str:
        """A file's name for an error message."""
        return f"{self.told}/{self.prefix}{name}"

    def list(self) -> frozenset[str]:
        """The names of the files in this folder, whether they are on this machine yet or not."""
        if self.repository:
            names = (n.removeprefix(self.prefix) for n in self.repository.names if n.startswith(self.prefix))
            return frozenset(name for name in names if "/" not in name)
        here = self.folder / self.prefix
        return (
            frozenset(entry.name for entry in os.scandir(here) if not entry.is_dir()) if here.is_dir() else frozenset()
        )

    def has(self, name: str) -> bool:
        """Is there a file of this name?"""
        if self.repository:
            return self.prefix + name in self.repository.names
        return (self.folder / self.prefix / name).is_file()

    def file(self, name: str) -> Path:
        """Where a file of this folder is on this machine."""
        return self.fetch([name])[0]

    def fetch(self, names: Iterable[str]) -> list[Path]:
        """Where these files are on this machine; those that are not yet are downloaded together."""
        told = [safe_name(name, self.where("")) for name in names]
        missing = [name for name in told if not self.has(name)]
        if missing:
            raise MissingFile(self.where(missing[0]), "a file", "nothing", self._advice())
        if self.repository:
            self.repository.download([self.prefix + name for name in told], self.folder)
        # A snapshot in the Hub's cache consists of links to the blobs two folders up.
        within = self.folder.parent.parent if self.folder.parent.name == "snapshots" else None
        return [inside(self.folder, self.prefix + name, self.where(name), within) for name in told]

    def _advice(self) -> str:
        if not self.repository:
            return ""
        where = f"Looked in commit {self.repository.commit[:12]}"
        return f"{where} as far as it is cached; go online for the rest." if self.repository.offline else f"{where}."


def locate(name_or_path: str | os.PathLike[str], kwargs: dict[str, Any]) -> tuple[Source, dict[str, Any]]:
    """The source that a name and the Hub keywords beside it mean, and the keywords that are for somebody else."""
    hub = HubOptions(**{key: value for key, value in kwargs.items() if key in HUB_NAMES and key != "subfolder"})
    rest = {key: value for key, value in kwargs.items() if key not in HUB_NAMES}
    return open_source(name_or_path, hub).sub(kwargs.get("subfolder")), rest


def open_source(name_or_path: str | os.PathLike[str], hub: HubOptions) -> Source:
    """What ships with the package under that name; a folder if there is one; a repository on the Hub otherwise."""
    told = os.fspath(name_or_path) if isinstance(name_or_path, (str, os.PathLike)) else ""
    if isinstance(name_or_path, str) and (shipped := pocket_folder(told)):
        return Source(told, shipped)
    if os.path.isdir(told):
        return Source(told, Path(told))
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}(/[\w.-]{1,96})?", told) or os.path.exists(told):
        found = "a file" if os.path.exists(told) else repr(name_or_path)
        fix = "No folder of that name is here. On the Hub, names look like 'owner/model'."
        raise MissingFile(told or "pretrained_model_name_or_path", "a folder or a repository on the Hub", found, fix)
    from calotype.core.hub import resolve

    repository, folder = resolve(told, hub)
    return Source(told, folder, repository=repository)
