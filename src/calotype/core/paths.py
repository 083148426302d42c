"""Names that come out of files, and the files they lead to: each stays in its folder and is an ordinary file."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath

from calotype.core.errors import CorruptFile, MissingFile, UnsafeFile


def safe_name(name: object, where: str) -> str:
    """The name, if it is a relative path that stays in its folder under the rules of every operating system."""
    if not isinstance(name, str) or not name or len(name) > 1024 or not name.isprintable():
        raise UnsafeFile(where, "the name of a file in this folder", repr(name)[:80])
    windows, posix = PureWindowsPath(name), PurePosixPath(name)
    if windows.drive or windows.root or posix.is_absolute() or ".." in windows.parts or ":" in name:
        raise UnsafeFile(where, "the name of a file in this folder", repr(name), "Nothing outside the folder is read.")
    return name


def inside(folder: Path, name: str, where: str = "", within: Path | None = None) -> Path:
    """The path of ``name`` in ``folder``; links may lead elsewhere only ``within`` a folder that is named as well."""
    path = folder / safe_name(name, where or str(folder))
    real = path.resolve()
    homes = [home.resolve() for home in (folder, within) if home]
    if not any(real.is_relative_to(home) for home in homes):
        raise UnsafeFile(
            str(path), "a file in its own folder", f"a link to {real}", "Copy the file to where the link is."
        )
    return path


def regular_file(path: str | os.PathLike[str]) -> os.stat_result:
    """The facts about a file that can be read without waiting: not a folder, a pipe or a device."""
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        raise MissingFile(str(path), "a file", "nothing") from None
    except OSError as error:
        raise CorruptFile(str(path), "a file that can be read", error.strerror or type(error).__name__) from None
    if not stat.S_ISREG(facts.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        raise CorruptFile(str(path), "a regular file", kinds.get(stat.S_IFMT(facts.st_mode), "a device"))
    return facts
