"""Files at an address that a user names: over HTTP, no larger and no slower than agreed."""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import tempfile
import time
import urllib.error
import urllib.request
from typing import IO, Any, BinaryIO
from urllib.parse import urlsplit

from calotype.core.errors import CalotypeError, DownloadError, InvalidArgument

PIECE = 1 << 18
PATIENCE = 20.0  # seconds without a byte
REDIRECTS = 3


def is_address(source: object) -> bool:
    """Is this an address of the web? A path is all else, ``file://`` and ``ftp://`` too, which then is nowhere."""
    return isinstance(source, str) and source.lower().startswith(("http://", "https://"))


def download(url: str, limit: int, seconds: float) -> BinaryIO:
    """What stands at the address, in a temporary file without a name that ends with its handle."""
    where, until = name_of(url), time.monotonic() + seconds
    _check(url, where)
    request = urllib.request.Request(url, headers={"User-Agent": "calotype", "Accept-Encoding": "identity"})
    file: Any = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        with _opener(where).open(request, timeout=min(PATIENCE, seconds)) as answer:
            told = answer.headers.get("Content-Length", "")
            if told.isdecimal() and int(told) > limit:
                raise _too_long(where, limit, f"{int(told):,}")
            _copy(answer, file, where, limit, until)
    except urllib.error.HTTPError as error:
        error.close()
        file.close()
        raise DownloadError(where, "a file", f"status {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        file.close()
        if isinstance(error, CalotypeError):
            raise
        reason = getattr(error, "reason", None) or error
        raise DownloadError(where, "an answer", f"{type(reason).__name__}: {str(reason)[:200]}") from None
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def _copy(answer: http.client.HTTPResponse, file: IO[bytes], where: str, limit: int, until: float) -> None:
    come = 0
    while piece := answer.read1(PIECE):
        come += len(piece)
        if come > limit:
            raise _too_long(where, limit, "more")
        if time.monotonic() > until:
            raise DownloadError(where, "a download within the agreed time", "one that is slower")
        file.write(piece)
    if answer.length:  # it told how much there is, and ended before
        raise DownloadError(where, "the whole file", f"{answer.length:,} bytes less")


def _too_long(where: str, limit: int, found: str) -> DownloadError:
    return DownloadError(where, f"at most {limit:,} bytes", found, "Pass limits=MediaLimits(bytes=...) to read it.")


def _check(url: str, where: str) -> None:
    try:
        parts = urlsplit(url)
        fits = bool(parts.hostname) and url.isprintable() and " " not in url and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits:
        raise InvalidArgument(where[:200], "an http:// or https:// address", "something else")


def _opener(where: str) -> urllib.request.OpenerDirector:
    """Speaks HTTP alone: no files, no FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Careful(where),
    ):
        opener.add_handler(handler)
    return opener


class _Careful(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, and none that leads from the open web into a private network or out of HTTPS."""

    max_redirections = REDIRECTS

    def __init__(self, where: str) -> None:
        self._where = where

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        safe = new.scheme == "https" or (new.scheme == "http" and old.scheme == "http")
        if not safe or (new.netloc != old.netloc and _private(new.hostname or "")):
            fp.close()
            found = f"a redirect to {new.scheme}://{new.netloc}"
            raise DownloadError(self._where, "an answer", found, "Give that address, if you trust it.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _private(host: str) -> bool:
    """Does any address of this host lie in this machine or its own network?"""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return True
    return any(not ipaddress.ip_address(each.split("%")[0]).is_global for each in found)


def name_of(url: str | os.PathLike[str]) -> str:
    """What to call an address or a path in words: without what may be secret in a query."""
    return str(url).split("?")[0]
