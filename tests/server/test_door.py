"""Who may come in: with a key, whoever has it; without one, this machine alone."""

from __future__ import annotations

import pytest
import torch

from tests.server.asking import ask, body_of, described, get
from tests.server.serving import raw, server

LATENTS = torch.zeros(1, 4, 4, 4)
TOLD = ("/metrics", "/docs", "/openapi.json")
ROUTES = (*TOLD, "/vaes/sd/decode", "/vaes/sd/encode", "/nowhere", "//health", "/health/../metrics", "/health/")


@pytest.fixture(scope="module")
def locked():
    with server(key="open sesame") as running:
        yield running


@pytest.fixture(scope="module")
def local():
    with server() as running:
        yield running


@pytest.mark.parametrize("key", ["", "Bearer", "Bearer other", "Basic open sesame", "Bearer open sesam\u00e9"])
def test_every_route_but_health_wants_the_key(locked, key):
    for path in ROUTES:
        said = get(locked.address, path, **({"Authorization": key.encode("latin-1")} if key else {}))
        assert said.status == 401, path
        assert "sesame" not in said.body.decode()


def test_the_key_opens(locked):
    assert get(locked.address, "/metrics", Authorization="Bearer open sesame").status == 200
    assert get(locked.address, "/metrics", authorization="bearer open sesame").status == 200


def test_health_is_for_all(locked):
    assert [get(locked.address, f"/health{path}").status for path in ("", "/live", "/ready")] == [200] * 3


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost@evil.example", "[", "0"]
)
def test_a_name_that_leads_here_from_elsewhere_is_refused(local, host):
    assert get(local.address, "/metrics", Host=host).status in (400, 403)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://localhost.evil.example"])
def test_pages_of_elsewhere_are_refused(local, origin):
    assert get(local.address, "/metrics", Origin=origin).error["param"] == "header 'origin'"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST", "127.9.9.9"])
def test_names_of_this_machine_are_good(local, host):
    assert get(local.address, "/metrics", Host=host).status == 200


def test_what_is_told_of_the_server(local):
    said = get(local.address, "/docs")
    assert "decode" in said.body.decode() and "src=" not in said.body.decode()
    assert said.headers["x-content-type-options"] == "nosniff"
    assert "server" not in said.headers
    assert b'calotype_requests_total{route="/docs",status="200"}' in get(local.address, "/metrics").body


def test_each_of_several_keys_opens_and_has_its_share():
    with server(key=["one", "two"], max_rate=1) as running:
        sent = {"query": described(LATENTS), "body": body_of(LATENTS)}
        for key, statuses in (("one", [200, 429]), ("two", [200, 429]), ("three", [401])):
            for status in statuses:
                headers = {"Content-Type": "tensor/binary", "Authorization": f"Bearer {key}"}
                assert ask(running.address, "/vaes/sd/decode", **sent, headers=headers).status == status


def test_one_address_has_so_many_connections_and_no_more():
    with (
        server(max_connections_each=2) as running,
        raw(running) as first,
        raw(running) as second,
        raw(running) as third,
    ):
        for connection in (first, second, third):
            connection.settimeout(20)
        try:
            third.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert third.recv(100) == b""
        except ConnectionError:
            pass
        first.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert first.recv(100).startswith(b"HTTP/1.1 200")
