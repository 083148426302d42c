"""An endpoint's address."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from calotype.core.errors import InvalidArgument


def address(endpoint: str) -> SplitResult:
    """The parts of an endpoint's URL, checked."""
    wanted = "an http:// or https:// address"
    if not isinstance(endpoint, str) or not re.fullmatch(r"[!-~]+", endpoint):
        raise InvalidArgument("endpoint", wanted, repr(endpoint)[:80])
    try:
        url = urlsplit(endpoint)
        fits = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        raise InvalidArgument("endpoint", wanted, repr(endpoint)[:80]) from None
    if not fits:
        raise InvalidArgument("endpoint", wanted, repr(endpoint)[:80])
    if url.username is not None:
        raise InvalidArgument("endpoint", "no name and password in it", "some", "Pass token=...")
    return url


def place(endpoint: str) -> str:
    """The endpoint without its query, which may hold secrets."""
    url = address(endpoint)
    return f"{url.scheme}://{url.netloc}{url.path}"
