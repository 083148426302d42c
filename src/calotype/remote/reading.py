"""Answers, read no further and no longer than agreed."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from calotype.remote.faults import RemoteError, refuse

LONGEST_ERROR = 65_536  # bytes of an error that are read
PIECE = 1 << 18  # bytes that are read at once


@dataclass(frozen=True)
class Answer:
    """What came back: headers by their names in small letters, and the whole body."""

    headers: Mapping[str, str]
    body: bytearray


def read(
    response: http.client.HTTPResponse, connection: http.client.HTTPConnection, where: str, limit: int, until: float
) -> Answer:
    """The body of a good answer; any other status in words."""
    headers = {name.lower(): value for name, value in response.getheaders()}
    if not 200 <= response.status < 300:
        with suppress(_TooLong):
            body = _body(response, connection, LONGEST_ERROR, until)
            refuse(response.status, headers, bytes(body), where)
        refuse(response.status, headers, b"", where)
    if headers.get("content-encoding", "identity") != "identity":
        raise RemoteError(where, "a plain body", f"one encoded as {headers['content-encoding'][:40]!r}")
    try:
        return Answer(headers, _body(response, connection, limit, until))
    except _TooLong as long:
        raise RemoteError(where, f"at most {limit} bytes", f"{long} bytes", "It was not read.") from None


class _TooLong(Exception):
    pass


def _body(
    response: http.client.HTTPResponse, connection: http.client.HTTPConnection, limit: int, until: float
) -> bytearray:
    """The whole body; a length that is told beforehand is believed only up to the limit, and must be kept."""
    told = response.length
    if told is not None and told > limit:
        raise _TooLong(told)
    body, come = bytearray(told or 0), 0
    while told is None or come < told:
        if told is None:  # in chunks, or until the connection ends
            piece = response.read1(PIECE)
            body += piece
            got = len(piece)
        else:
            got = response.readinto(memoryview(body)[come : come + PIECE])
        come += got
        if come > limit:
            raise _TooLong(f"more than {limit}")
        if not got:
            break
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer came too slowly")
        if connection.sock is not None:
            connection.sock.settimeout(left)
    if told is not None and come != told:
        raise http.client.IncompleteRead(b"", told - come)
    return body
