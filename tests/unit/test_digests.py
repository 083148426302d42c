"""Digests of files are reckoned once, and again when the file is another."""

from __future__ import annotations

import hashlib
import os

import pytest

from calotype.core import digests
from calotype.core.remembered import remember, remembered


@pytest.fixture
def reckoned(tmp_path, monkeypatch):
    """How many files were read to the end."""
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / "cache"))
    tell, files = digests.sha256_of, []
    monkeypatch.setattr(digests, "sha256_of", lambda path: files.append(path) or tell(path))
    return files


def test_a_digest_is_that_of_the_content_and_reckoned_once(tmp_path, reckoned):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"weights" * 1_000_000)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert [digests.known_sha256(path), digests.known_sha256(path)] == [expected, expected]
    assert len(reckoned) == 1


def test_a_file_that_was_changed_is_reckoned_again(tmp_path, reckoned):
    path = tmp_path / "a.safetensors"
    for content in (b"one", b"two, longer"):
        path.write_bytes(content)
        assert digests.known_sha256(path) == hashlib.sha256(content).hexdigest()
    os.utime(path, ns=(1, 1))
    digests.known_sha256(path)
    assert len(reckoned) == 3


def test_a_checked_blob_is_called_by_its_digest_and_an_unchecked_one_is_read(tmp_path, reckoned):
    blob = tmp_path / hashlib.sha256(b"weights").hexdigest()
    blob.write_bytes(b"weights")
    link = tmp_path / "model.safetensors"
    link.symlink_to(blob)
    assert digests.known_sha256(link) == blob.name and len(reckoned) == 1
    liar = tmp_path / ("0" * 64)
    liar.write_bytes(b"other")
    assert digests.known_sha256(liar) == hashlib.sha256(b"other").hexdigest()
    remember(blob.name, blob)
    reckoned.clear()
    assert digests.known_sha256(link) == blob.name and not reckoned


def test_a_memory_that_was_cut_or_cannot_be_kept_is_no_harm(tmp_path, reckoned, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"weights")
    expected = hashlib.sha256(b"weights").hexdigest()
    remember("sha256", path, "abc")
    assert digests.known_sha256(path) == expected == remembered("sha256", path)
    monkeypatch.setenv("CALOTYPE_CACHE", str(path / "no folder"))
    assert digests.known_sha256(path) == expected and remembered("sha256", path) is None
