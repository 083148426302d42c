"""Repositories on the Hub, through ``huggingface_hub`` alone: one commit per load, each file checked on arrival."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import constants, errors, utils

from calotype.core.atomic import write_atomic
from calotype.core.digests import is_blob, is_checked_blob, sha256_of
from calotype.core.errors import CalotypeError, CorruptFile, DownloadError, InvalidArgument, MissingFile
from calotype.core.files import HubOptions
from calotype.core.paths import safe_name
from calotype.core.remembered import remember

log = logging.getLogger("calotype.core.hub")
DOWNLOADS_AT_ONCE = 8
_proxies_lock = threading.Lock()


@dataclass(frozen=True)
class Repository:
    """One commit of a repository, and the files that can be had of it."""

    name: str
    commit: str
    names: frozenset[str]
    hub: HubOptions
    offline: bool

    def download(self, names: Sequence[str], folder: Path) -> None:
        """Have these files in the cache, whole; what is there already is checked once and not fetched again."""
        wanted = [name for name in names if self.hub.force_download or not (folder / name).exists()]
        if wanted and not self.offline:
            with _proxied(self.hub.proxies), ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
                list(pool.map(self._download, wanted))
            _keep_revision(folder, self.hub.revision or constants.DEFAULT_REVISION, self.commit)
        for name in names:
            check_digest(folder / name, f"{self.name}/{name}")

    def sizes(self, names: Sequence[str], folder: Path) -> dict[str, int | None]:
        """The bytes of these files, of those in the cache without asking the Hub; None where nobody says."""
        with _proxied(self.hub.proxies), ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            return dict(zip(names, pool.map(lambda name: self._size(name, folder / name), names), strict=True))

    def _size(self, name: str, here: Path) -> int | None:
        if here.exists() or self.offline:
            return here.stat().st_size
        with _explained(self.name, self.hub, name):
            url = huggingface_hub.hf_hub_url(self.name, name, revision=self.commit)
            return huggingface_hub.get_hf_file_metadata(url, token=self.hub.token).size

    def _download(self, name: str) -> None:
        with _explained(self.name, self.hub, name):
            huggingface_hub.hf_hub_download(
                self.name,
                name,
                revision=self.commit,
                token=self.hub.token,
                cache_dir=os.fspath(self.hub.cache_dir) if self.hub.cache_dir else None,
                force_download=self.hub.force_download,
                library_name="calotype",
            )


def resolve(name: str, hub: HubOptions) -> tuple[Repository, Path]:
    """The commit that a revision means now (or meant when last seen, if the Hub is out of reach), and its folder."""
    revision = safe_name(hub.revision or constants.DEFAULT_REVISION, "revision")
    cache = Path(hub.cache_dir or constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    if not (hub.local_files_only or constants.HF_HUB_OFFLINE):
        try:
            with _explained(name, hub), _proxied(hub.proxies):
                info = huggingface_hub.HfApi(library_name="calotype").model_info(
                    name, revision=revision, token=hub.token
                )
            names = frozenset(file.rfilename for file in info.siblings or ())
            return Repository(name, str(info.sha), names, hub, False), cache / "snapshots" / safe_name(info.sha, name)
        except DownloadError as error:
            commit = _cached_commit(cache, revision)
            if commit is None or hub.force_download:
                raise
            log.warning("%s; using what is cached of it", error)
    commit = _cached_commit(cache, revision)
    if commit is None:
        fix = "Load it once online, or give the folder of a copy."
        raise MissingFile(f"{name} at {revision}", "a copy in the cache, as the Hub is not to be used", "none", fix)
    folder = cache / "snapshots" / commit
    names = frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return Repository(name, commit, names, hub, True), folder


def check_digest(path: Path, where: str) -> None:
    """Refuse, and remove, a file of the Hub's cache that is not what its name there, its SHA-256, says."""
    blob = path.resolve()
    if not is_blob(blob) or is_checked_blob(blob):
        return
    digest = sha256_of(blob)
    if digest != blob.name:
        for name in (path, blob):
            with suppress(OSError):
                name.unlink()
        found = f"{digest[:12]}..."
        fix = "It was removed from the cache; load again to download it."
        raise CorruptFile(where, f"SHA-256 {blob.name[:12]}...", found, fix)
    remember(blob.name, blob)


def _cached_commit(cache: Path, revision: str) -> str | None:
    with suppress(OSError):
        commit = (cache / "refs" / revision).read_text().strip()
        return commit if re.fullmatch("[0-9A-Za-z]{1,64}", commit) and (cache / "snapshots" / commit).is_dir() else None
    return revision if (cache / "snapshots" / revision).is_dir() else None


def _keep_revision(folder: Path, revision: str, commit: str) -> None:
    """Note which commit a branch meant, as ``huggingface_hub`` does, so that it can be loaded offline."""
    ref = folder.parent.parent / "refs" / revision
    with suppress(OSError):
        if revision != commit and not (ref.exists() and ref.read_text() == commit):
            write_atomic(ref, [commit.encode()])


@contextmanager
def _proxied(proxies: dict[str, str] | None) -> Generator[None, None, None]:
    """Use proxies for a while: ``huggingface_hub`` knows only those of the environment."""
    if not proxies:
        yield
        return
    names = {f"{scheme.rstrip(':/').upper()}_PROXY": url for scheme, url in proxies.items()}
    with _proxies_lock:
        before = {name: os.environ.get(name) for name in names}
        try:
            os.environ.update(names)
            utils.close_session()
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})
            utils.close_session()


@contextmanager
def _explained(name: str, hub: HubOptions, file: str = "") -> Generator[None, None, None]:
    """The Hub's errors in our words: which repository, which file, which revision, and what would do."""
    where = f"{name}{'/' + file if file else ''} at {hub.revision or constants.DEFAULT_REVISION}"
    try:
        yield
    except CalotypeError:
        raise
    except Exception as error:  # also of the HTTP library below, which is another one in each release
        raise _in_our_words(error, where) from error


def _in_our_words(error: Exception, where: str) -> CalotypeError:
    cause = error.__cause__ or error
    reason = f"{type(cause).__name__}: {(str(cause).splitlines() or [''])[0][:200]}"
    retry = "Try again, a download goes on where it was cut; or set local_files_only=True to use what is cached."
    access = "Accept its terms on its page, then log in or pass token=..."
    told: dict[type[Exception], Any] = {
        errors.HFValidationError: InvalidArgument(where, "the name of a repository, as 'owner/model'", "another"),
        errors.GatedRepoError: DownloadError(where, "access", "a gated repository", access),
        errors.RepositoryNotFoundError: MissingFile(
            where,
            "a repository that you may read",
            "none",
            "Check the name; for a private one log in or pass token=...",
        ),
        errors.RevisionNotFoundError: MissingFile(where, "a branch, tag or commit", "none", "Check revision=..."),
        errors.RemoteEntryNotFoundError: MissingFile(where, "a file of that name", "none"),
    }
    for kind, ours in told.items():
        if isinstance(error, kind):
            return ours
    return DownloadError(where, "an answer from the Hub", reason, retry)
