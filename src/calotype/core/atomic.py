"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import platform
import re
import shutil
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from calotype.core.errors import WriteError
from calotype.core.paths import safe_name

_numbers = itertools.count()
_STALE = (
    86_400  # seconds after which a temporary file of another machine, or of an earlier start of this one, is nobody's
)


def write_atomic(path: str | os.PathLike[str], pieces: Iterable[bytes | memoryview]) -> None:
    """Write one file: under its name there is the old content or the new one, never anything between."""
    path = Path(path)
    with saving(path.parent) as save:
        save.write(path.name, pieces)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a place where a file could not be written, before there is one to lose; its folder is made."""
    path = Path(path)
    if path.is_dir():
        raise in_our_words(IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)), path)
    save = Saving(path.parent)
    try:
        save.write(path.name, ())
    finally:
        save.forget()


@contextmanager
def saving(folder: Path) -> Generator[Saving, None, None]:
    """Write several files of a folder: each takes its name only when all of them are on disk, in the order of writing.

    Write last what makes the rest valid (an index, a config): whoever reads that finds all it speaks of.
    """
    save = Saving(folder)
    try:
        yield save
        save.commit()
    finally:
        save.forget()


class Saving:
    """Files that lie ready beside the names that they will take."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ready: list[tuple[Path, Path]] = []  # where it lies, what it will be called
        self._stale: list[Path] = []

    def write(self, name: str, pieces: Iterable[bytes | memoryview]) -> None:
        """Put the content of a file on disk, beside its name."""
        path = self.folder / safe_name(name, str(self.folder))
        content, view, written = iter(pieces), memoryview(b""), 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent)
            beside = _beside(path)
            self._ready.append((beside, path))
            with open(beside, "xb", buffering=0) as file:
                for piece in content:
                    view = memoryview(piece)
                    while view:
                        count = file.write(view)
                        view, written = view[count:], written + count
                os.fsync(file.fileno())
        except OSError as error:
            needed = written + len(view) + sum(memoryview(piece).nbytes for piece in content)
            raise in_our_words(error, path, f"at least {needed:,} bytes are needed, ") from error

    def remove(self, name: str) -> None:
        """Remove a file once the others have their names."""
        self._stale.append(self.folder / safe_name(name, str(self.folder)))

    def commit(self) -> None:
        """Give every file its name; if one cannot have it, the earlier ones give theirs back."""
        done: list[tuple[Path, Path | None]] = []
        path = self.folder
        try:
            for beside, path in self._ready:
                kept = _second_name(path)
                done.append((path, kept))
                os.replace(beside, path)
            for path in dict.fromkeys(path.parent for _, path in self._ready):
                sync_folder(path)
        except BaseException as error:
            for name, kept in reversed(done):
                with contextlib.suppress(OSError):
                    os.replace(kept, name) if kept else os.unlink(name)
                with contextlib.suppress(OSError):
                    os.unlink(kept or name)  # a file cannot take the place of itself
            if isinstance(error, OSError):
                raise in_our_words(error, path) from error
            raise
        for name in [kept for _, kept in done if kept] + self._stale:
            with contextlib.suppress(OSError):
                os.unlink(name)

    def forget(self) -> None:
        """Remove what never got its name."""
        for beside, _ in self._ready:
            with contextlib.suppress(OSError):
                os.unlink(beside)


def sweep(folder: Path) -> None:
    """Remove temporary files that processes left here when they were killed."""
    for path in folder.glob(".*.tmp"):
        told = re.fullmatch(r"\..+\.([0-9a-f]{8})-(\d+)-\d+\.tmp", path.name)
        if told is None:
            continue
        with contextlib.suppress(OSError):
            if not _alive(int(told[2])) if told[1] == _tag() else time.time() - path.stat().st_mtime > _STALE:
                os.unlink(path)


def _tag() -> str:
    """This machine since it was started: the only place where a process number means anything."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        boot = ""
    return hashlib.sha256(f"{platform.node()} {boot}".encode()).hexdigest()[:8]


def _alive(pid: int) -> bool:
    if os.name == "nt":  # there, signal 0 is not a question
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{_tag()}-{os.getpid()}-{next(_numbers)}.tmp")


def _second_name(path: Path) -> Path | None:
    """Keep the present file under another name until all is done."""
    if not path.exists():
        return None
    kept = _beside(path)
    try:
        os.link(path, kept)
    except OSError:  # a file system without links
        shutil.copyfile(path, kept)
    return kept


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk."""
    if os.name == "nt":  # folders cannot be opened there, and renames are journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def in_our_words(error: OSError, path: Path, needed: str = "") -> WriteError:
    """Why a file could not be written, and how much room there would be."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        present = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        reason = f"no space: {needed}{shutil.disk_usage(present).free:,} are free"
    return WriteError(f"{path}: could not be written, {reason}", fix="What was there before is untouched.")
