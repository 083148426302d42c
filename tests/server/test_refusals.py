"""What makes no sense is refused with the name of the field, and without reading what was sent."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from itertools import chain

import pytest
import torch

from tests.server.asking import TENSOR, ask, body_of, described, get
from tests.server.serving import raw, server

LATENTS = torch.zeros(1, 4, 4, 4)
BODY = body_of(LATENTS)
SHAPE = "shape=1&shape=4&shape=4&shape=4"


@pytest.fixture(scope="module")
def running():
    with server(max_side=64, max_pixels=4096, max_upload=4096) as running:
        yield running


def refused(said, status, param):
    assert (said.status, said.error["param"]) == (status, param), said.error
    assert said.error["request"] == said.headers["x-request-id"]
    assert param in said.error["message"]


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        ("", 422, "dtype"),
        (SHAPE, 422, "dtype"),
        ("dtype=float32", 422, "shape"),
        (f"{SHAPE}&dtype=float64", 422, "dtype"),
        (f"{SHAPE}&dtype=uint8", 422, "dtype"),
        (f"{SHAPE}&dtype=float32&dtype=float16", 422, "dtype"),
        ("shape=[1,4,4,4]&dtype=float32", 422, "shape"),
        ("shape=1.0&shape=4&shape=4&shape=4&dtype=float32", 422, "shape"),
        ("shape=-1&shape=4&shape=4&shape=4&dtype=float32", 422, "shape"),
        ("shape=0&shape=4&shape=4&shape=4&dtype=float32", 422, "shape"),
        ("shape=4&shape=4&dtype=float32", 422, "shape"),
        (f"{'shape=1&' * 60}dtype=float32", 422, "shape"),
        (f"{'shape=1&' * 80}dtype=float32", 422, "query"),
        ("shape=1&shape=4&shape=2147483648&shape=2147483648&dtype=float32", 413, "shape"),
        ("shape=1&shape=4&shape=999999999999&shape=999999999999&dtype=float32", 413, "shape"),
        ("shape=1&shape=4&shape=40&shape=4&dtype=float32", 413, "shape"),
        ("shape=9&shape=4&shape=16&shape=16&dtype=float32&output_type=pt", 413, "shape"),
        ("shape=1&shape=5&shape=4&shape=4&dtype=float32", 422, "shape"),
        ("shape=1&shape=4&shape=3&shape=4&shape=4&dtype=float32", 422, "shape"),
        ("shape=2&shape=4&shape=4&shape=4&dtype=float32", 422, "shape"),
        ("shape=1&shape=4&shape=16&dtype=float32", 422, "height"),
        ("shape=1&shape=4&shape=16&dtype=float32&height=8", 422, "width"),
        ("shape=1&shape=4&shape=16&dtype=float32&height=8&width=9", 422, "width"),
        ("shape=1&shape=4&shape=16&dtype=float32&height=8&width=16", 422, "shape"),
        (f"{SHAPE}&dtype=float32&height=9", 422, "height"),
        (f"{SHAPE}&dtype=float32&height=-8", 422, "height"),
        (f"{SHAPE}&dtype=float32&output_type=mp4", 422, "output_type"),
        (f"{SHAPE}&dtype=float32&output_type=gif", 422, "output_type"),
        (f"{SHAPE}&dtype=float32&image_format=webp", 422, "image_format"),
        (f"{SHAPE}&dtype=float32&partial_postprocess=maybe", 422, "partial_postprocess"),
        (f"{SHAPE}&dtype=float32&scaling_factor=0", 422, "scaling_factor"),
        (f"{SHAPE}&dtype=float32&scaling_factor=nan", 422, "scaling_factor"),
        (f"{SHAPE}&dtype=float32&scaling_factor=1e308", 422, "scaling_factor"),
        (f"{SHAPE}&dtype=float32&shift_factor=inf", 422, "shift_factor"),
        (f"{SHAPE}&dtype=float32&shift_factor=1&shift_factor=1", 422, "shift_factor"),
        (f"{SHAPE}&dtype=float32&scaling_facto=1", 422, "scaling_facto"),
    ],
)
def test_queries(running, query, status, param):
    refused(ask(running.address, "/vaes/sd/decode", query, BODY), status, param)


@pytest.mark.parametrize("body", [BODY[:-1], BODY + b"\0", b""], ids=["short", "long", "none"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_as_long_as_its_shape_says(running, body, chunked):
    said = ask(running.address, "/vaes/sd/decode", described(LATENTS), iter([body]) if chunked else body)
    refused(said, 422, "body")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_numbers_that_make_no_picture(running, value):
    refused(ask(running.address, "/vaes/sd/decode", described(LATENTS), body_of(LATENTS + value)), 422, "body")


@pytest.mark.parametrize(
    ("headers", "param"),
    [
        ({"Content-Type": "application/json"}, "header 'content-type'"),
        ({**TENSOR, "Content-Encoding": "gzip"}, "header 'content-encoding'"),
    ],
)
def test_bodies_of_other_kinds(running, headers, param):
    refused(ask(running.address, "/vaes/sd/decode", described(LATENTS), BODY, headers), 415, param)


def png(width, height, data=b""):
    def chunk(kind, told):
        return struct.pack(">I", len(told)) + kind + told + struct.pack(">I", zlib.crc32(kind + told))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"GIF89a", 422),
        (png(8, 8, bytes(8 * 25))[:46], 422),
        (png(8, 8)[:30], 422),
        (png(8, 8), 422),
        (png(1, 1, bytes(4)), 422),
        (png(20_000, 20_000), 413),
        (png(4_294_967_295, 1), 413),
        (png(8, 8) + bytes(5000), 413),
    ],
    ids=["none", "gif", "cut", "head", "empty", "small", "bomb", "wide", "long"],
)
def test_pictures_that_are_none(running, body, status):
    refused(ask(running.address, "/vaes/sd/encode", "", body, {}), status, "body")


def test_a_bomb_is_refused_before_a_row_of_it_is_unpacked(running, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("opened"))
    refused(ask(running.address, "/vaes/sd/encode", "", png(60, 80, bytes(14_480)), {}), 413, "body")


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_words_and_profiles_that_unpack_without_end_are_refused(running, kind):
    told = b"name\0\0" + zlib.compress(bytes(3 << 20), 9)
    chunk = struct.pack(">I", len(told)) + kind + told + struct.pack(">I", zlib.crc32(kind + told))
    plain = png(8, 8, bytes(8 * 25))
    tracemalloc.start()
    said = ask(running.address, "/vaes/sd/encode", "", plain[:33] + chunk + plain[33:], {})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert said.status in (200, 422) and most < 2.5 * (1 << 20)


def test_rows_beyond_those_that_the_head_tells_are_not_unpacked(running):
    said = ask(running.address, "/vaes/sd/encode", "", png(8, 8, bytes(3 << 20)), {})
    assert said.status == 200


@pytest.mark.parametrize(
    ("shape", "status"),
    [((1, 4, 8, 8), 422), ((1, 3, 7, 8), 422), ((1, 1, 3, 8, 8), 422), ((1, 3, 8, 128), 413), ((2, 3, 64, 64), 413)],
)
def test_tensors_to_encode(running, shape, status):
    query = [*(("shape", side) for side in shape), ("dtype", "float32")]
    refused(ask(running.address, "/vaes/sd/encode", query, b""), status, "shape")


def test_a_refusal_comes_before_the_body(running):
    """The client has said what it will send, and sent nothing yet."""
    with raw(running) as connection:
        head = f"POST /vaes/sd/decode?{SHAPE}&dtype=float64 HTTP/1.1\r\nHost: localhost\r\n"
        connection.sendall(f"{head}Content-Type: tensor/binary\r\nContent-Length: 256\r\n\r\n".encode())
        assert connection.recv(65_536).startswith(b"HTTP/1.1 422")


def test_nobody_is_asked_to_send_what_is_refused(running):
    with raw(running) as connection:
        head = f"POST /vaes/sd/decode?{SHAPE}&dtype=float32 HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        connection.sendall(f"{head}Content-Type: tensor/binary\r\nContent-Length: 999\r\n\r\n".encode())
        assert connection.recv(65_536).startswith(b"HTTP/1.1 422")


def test_an_endless_body_is_cut_off(running):
    with raw(running) as connection:
        head = (
            f"POST /vaes/sd/decode?{SHAPE}&dtype=float32 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        )
        connection.sendall(f"{head}Content-Type: tensor/binary\r\n\r\n".encode())
        said = b""
        try:
            for _ in range(1000):
                connection.sendall(b"400\r\n" + bytes(0x400) + b"\r\n")
            while piece := connection.recv(65_536):
                said += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert not said or said.startswith(b"HTTP/1.1 422")


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/", "GET", 404), ("//vaes/sd/decode", "POST", 404), ("/vaes/sd/%2e%2e/encode", "POST", 404),
     ("/vaes/other/decode", "POST", 404), ("/vaes/sd/decode", "GET", 405), ("/metrics", "POST", 405),
     ("/etc/passwd", "GET", 404), ("/vaes/sd/decode/", "POST", 404)],
)  # fmt: skip
def test_other_addresses(running, path, method, status):
    said = ask(running.address, path, "", b"" if method == "POST" else None, method=method)
    assert (said.status, set(said.error)) == (status, {"message", "type", "param", "code", "request"})


@pytest.mark.parametrize(
    "head",
    [
        b"POST /vaes/sd/decode HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
        b"POST /vaes/sd/decode HTTP/1.1\r\nHost: localhost\r\nContent-Length: -4\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
    ],
    ids=["two lengths", "negative", "version", "tls", "long", "many"],
)
def test_what_is_no_http_is_refused(running, head):
    with raw(running) as connection:
        connection.sendall(head)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 4")
    assert get(running.address, "/health/ready").status == 200


def test_no_answer_tells_of_this_machine(running):
    queries = ["", "shape=0x7f&dtype=/etc/passwd", f"{SHAPE}&dtype=float32&image_format=%2Froot"]
    answers = chain(
        *(
            (ask(running.address, f"/vaes/sd/{verb}", query, b"")).body
            for query in queries
            for verb in ("decode", "encode")
        )
    )
    text = bytes(answers).decode()
    assert "Traceback" not in text and "site-packages" not in text and ".py" not in text
