"""What was found out once about a file and stays true while the file stays the same."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path


def cache_folder() -> Path:
    """Where calotype keeps what it can find out again: ``CALOTYPE_CACHE``, or beside the Hub's cache."""
    home = os.environ.get("CALOTYPE_CACHE")
    if home:
        return Path(home)
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(os.environ.get("HF_HOME") or f"{base}/huggingface")) / "calotype"


def is_remembered(verdict: str, path: str | os.PathLike[str]) -> bool:
    """Was this verdict reached about the file as it is now?"""
    return _mark(verdict, path).exists()


def remembered(verdict: str, path: str | os.PathLike[str]) -> str | None:
    """The words that were kept with a verdict about the file as it is now."""
    try:
        return _mark(verdict, path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None


def remember(verdict: str, path: str | os.PathLike[str], words: str = "") -> None:
    """Keep a verdict about the file as it is now; where nothing can be written, it is reached again next time."""
    mark = _mark(verdict, path)
    with contextlib.suppress(OSError):
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(words, encoding="ascii")


def _mark(verdict: str, path: str | os.PathLike[str]) -> Path:
    facts = os.stat(path)
    told = f"{verdict}:{facts.st_dev}:{facts.st_ino}:{facts.st_size}:{facts.st_mtime_ns}"
    return cache_folder() / "verdicts" / hashlib.sha256(told.encode()).hexdigest()
