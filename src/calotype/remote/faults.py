"""What goes wrong between a client and an endpoint: what passes, what stays, and the endpoint's own words for it."""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import NoReturn

from calotype.core.errors import CalotypeError

AGAIN = (429, 502, 503, 504)  # statuses that pass
QUOTED = 200  # characters of an answer that an error quotes


class RemoteError(CalotypeError, RuntimeError):
    """The endpoint was not reached, refused, or answered something else than it was asked."""

    code = "remote_error"

    def __init__(self, where: str, expected: str, found: str, fix: str = "", status: int | None = None) -> None:
        super().__init__(where, expected, found, fix)
        self.status = status

    passing = False  # may the same request succeed later, or elsewhere?


class RemoteUnavailable(RemoteError):
    """The endpoint was out of reach, or too busy, for as long as it was tried."""

    code = "remote_unavailable"
    passing = True


class Again(Exception):
    """A fault that may pass, and how long the server says that takes."""

    def __init__(self, found: str, status: int | None = None, wait: float | None = None) -> None:
        super().__init__(found)
        self.found, self.status, self.wait = found, status, wait


def refuse(status: int, headers: Mapping[str, str], body: bytes, where: str) -> NoReturn:
    found = f"status {status}: {said(body)}"
    if status in AGAIN:
        raise Again(found, status, _retry_after(headers.get("retry-after", "")))
    if 300 <= status < 400:
        target = headers.get("location", "nowhere")[:QUOTED]
        fix = "Redirects are not followed; give the address it leads to, if you trust it."
        raise RemoteError(where, "an answer", f"status {status}, a redirect to {target}", fix, status)
    fix = "Pass token=..." if status in (401, 403) else ""
    raise RemoteError(where, "an answer", found, fix, status)


def said(body: bytes) -> str:
    """What a server says of its refusal: its JSON, else its first words."""
    with suppress(ValueError, RecursionError):
        return json.dumps(json.loads(body))[: 10 * QUOTED]
    words = " ".join(re.sub(r"[^\x20-\x7e\x80-\U0010ffff]", " ", body[: 4 * QUOTED].decode("utf-8", "replace")).split())
    return words[:QUOTED] or "nothing"


def _retry_after(told: str) -> float | None:
    """Seconds to wait, from a number or a date."""
    if re.fullmatch(r"\d{1,9}", told.strip(), re.ASCII):
        return float(told)
    with suppress(TypeError, ValueError, OverflowError):
        return max(email.utils.parsedate_to_datetime(told).timestamp() - time.time(), 0.0)
    return None
