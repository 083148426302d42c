"""SHA-256 of files: reckoned once for each file, as long as it stays as it is."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from calotype.core.remembered import is_remembered, remember, remembered

_DIGEST = re.compile("[0-9a-f]{64}")


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The digest of what is in a file now."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(2**22):
            digest.update(piece)
    return digest.hexdigest()


def known_sha256(path: str | os.PathLike[str]) -> str:
    """The digest of a file, from memory where it can be: a checked file of the Hub's cache is called by it."""
    blob = Path(path).resolve()
    if is_checked_blob(blob):
        return blob.name
    told = remembered("sha256", blob)
    if told is None or not _DIGEST.fullmatch(told):
        told = sha256_of(blob)
        remember("sha256", blob, told)
    return told


def is_blob(blob: Path) -> bool:
    """Is the file called by a digest, as the Hub's cache calls large ones?"""
    return _DIGEST.fullmatch(blob.name) is not None


def is_checked_blob(blob: Path) -> bool:
    """Was the file called by its digest, and found to be what it is called?"""
    return is_blob(blob) and is_remembered(blob.name, blob)
