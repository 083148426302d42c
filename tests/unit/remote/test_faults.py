"""Faults that pass are waited for, so long and no longer; others are told in the server's words."""

from __future__ import annotations

import socket
import struct
import threading

import pytest
import torch

from calotype.utils.remote_utils import RemoteError, RemoteSession, RemoteUnavailable, remote_decode
from tests.endpoints import serving
from tests.tiny import tiny_vae

LATENTS = torch.zeros(1, 4, 4, 4)
TENSORS = {"output_type": "pt", "return_type": "pt", "do_scaling": False}
BUSY = (503, {}, b"busy")


@pytest.fixture
def endpoint():
    with serving(tiny_vae()) as running:
        yield running


@pytest.fixture
def waits():
    return []


@pytest.fixture
def session(waits):
    with RemoteSession(pause=waits.append, retries=3) as made:
        yield made


def reset(handler):
    """End the connection as a machine does that lost its memory."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


def truncated(handler):
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Length: 768\r\nshape: [1, 3, 8, 8]\r\ndtype: float32\r\n\r\n" + bytes(100)
    )
    handler.close_connection = True


def endless(handler):
    """A body in chunks that never ends, as far as anybody reads it."""
    handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nshape: [1, 3, 8, 8]\r\ndtype: float32\r\n\r\n"
    )
    handler.close_connection = True
    try:
        while True:
            handler.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
    except OSError:
        return


@pytest.mark.parametrize(
    "fault",
    [BUSY, (429, {}, b""), (502, {}, b""), (504, {}, b""), None, reset, truncated],
    ids=["503", "429", "502", "504", "closed", "reset", "truncated"],
)
def test_faults_that_pass_are_tried_again(endpoint, session, waits, fault):
    endpoint.faults = [fault, fault]
    assert remote_decode(endpoint.url, LATENTS, session=session, **TENSORS).shape == (1, 3, 8, 8)
    assert len(waits) == 2
    assert 0 < waits[0] < waits[1] < 2


def test_a_server_says_how_long_to_wait(endpoint, session, waits):
    endpoint.faults = [(429, {"Retry-After": "7"}, b""), (503, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, b"")]
    remote_decode(endpoint.url, LATENTS, session=session, **TENSORS)
    assert waits == [7.0, 0.0]


def test_a_server_that_asks_for_too_long_is_not_waited_for(endpoint, session, waits):
    endpoint.faults = [(429, {"Retry-After": "100000"}, b"")]
    with pytest.raises(RemoteUnavailable, match="100000 s"):
        remote_decode(endpoint.url, LATENTS, session=session, **TENSORS)
    assert not waits


def test_tries_come_to_an_end(endpoint, session, waits):
    endpoint.faults = [BUSY] * 9
    with pytest.raises(RemoteUnavailable, match=r"status 503: busy, 4 tries") as told:
        remote_decode(endpoint.url, LATENTS, session=session, **TENSORS)
    assert told.value.status == 503
    assert len(endpoint.asked) == 4


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        (b'{"error": {"message": "too large", "param": "shape"}}', "too large"),
        (b"<html><h1>Bad gateway of ours</h1></html>", "Bad gateway of ours"),
        (b"", "nothing"),
        (b"[" * 60_000, r"\[\[\["),
        (b"\xff\x00\x1b[31mred", "red"),
    ],
)
def test_refusals_quote_the_server_and_are_not_tried_again(endpoint, session, body, quoted):
    endpoint.faults = [(422, {}, body)]
    with pytest.raises(RemoteError, match=quoted) as told:
        remote_decode(endpoint.url, LATENTS, session=session, **TENSORS)
    assert isinstance(told.value, RuntimeError)
    assert told.value.status == 422
    assert len(str(told.value)) < 500
    assert str(told.value).isprintable()
    assert len(endpoint.asked) == 1


def test_redirects_are_not_followed(endpoint):
    with serving() as other:
        endpoint.faults = [(307, {"Location": other.url}, b"")]
        with pytest.raises(RemoteError, match="redirect to"):
            remote_decode(endpoint.url, LATENTS, token="secret", **TENSORS)
        assert not other.asked


def test_errors_tell_neither_token_nor_query(endpoint):
    endpoint.faults = [(401, {}, b"who are you")]
    with pytest.raises(RemoteError, match="token=") as told:
        remote_decode(f"{endpoint.url}?key=hidden", LATENTS, token="secret", **TENSORS)
    assert "hidden" not in str(told.value)
    assert "secret" not in str(told.value)


def test_an_answer_without_end_is_read_only_as_far_as_it_may_be_long(endpoint, session):
    endpoint.faults = [endless]
    with pytest.raises(RemoteError, match="at most"):
        remote_decode(endpoint.url, LATENTS, session=session, **TENSORS)


def test_a_server_that_hangs_is_left_and_not_asked_twice(endpoint):
    over = threading.Event()
    endpoint.faults = [lambda handler: over.wait(10) and setattr(handler, "close_connection", True)]
    try:
        with pytest.raises(RemoteUnavailable, match=r"within 0\.05 s"):
            remote_decode(endpoint.url, LATENTS, timeout=(5, 0.05), **TENSORS)
    finally:
        over.set()
    assert len(endpoint.asked) == 1


def test_nobody_there(session, waits):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(RemoteUnavailable, match="refused"):
            remote_decode(f"http://127.0.0.1:{free.getsockname()[1]}", LATENTS, session=session, **TENSORS)
    assert len(waits) == 3
