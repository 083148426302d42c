"""A file at an address comes whole, within its limits, over HTTP and from where the user said."""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from calotype.core.downloads import download
from calotype.core.errors import DownloadError, InvalidArgument
from calotype.core.films import MediaLimits
from calotype.utils import load_image, load_video
from tests.unit.films.reels import picture, written


class Shelf(BaseHTTPRequestHandler):
    files: dict[str, bytes] = {}  # noqa: RUF012
    other = ""

    def do_GET(self):
        name = self.path.split("?")[0].lstrip("/")
        if name in ("moved", "away", "file", "round"):
            self.send_response(302)
            places = {"moved": "/picture", "away": self.other, "file": "file:///etc/passwd", "round": "/round"}
            self.send_header("Location", places[name])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif name in self.files:
            self.send_response(200)
            if name != "endless":
                self.send_header("Content-Length", str(len(self.files[name]) + (name == "short")))
            self.end_headers()
            self.wfile.write(self.files[name])
        else:
            self.send_error(404)

    def log_message(self, *told):
        pass


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    held = io.BytesIO()
    picture(40).save(held, "PNG")
    film = written(tmp_path_factory.mktemp("films") / "film.mp4").read_bytes()
    Shelf.files = {"picture": held.getvalue(), "film": film, "short": b"abc", "endless": bytes(5000)}
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Shelf) for _ in range(2)]
    Shelf.other = f"http://127.0.0.1:{servers[1].server_port}/picture"
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    yield f"http://127.0.0.1:{servers[0].server_port}"
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        server.server_close()
        thread.join()


def test_pictures_and_films_come_from_addresses(shelf):
    assert load_image(f"{shelf}/picture").getpixel((0, 0)) == (40, 215, 7)
    assert load_image(f"{shelf}/moved?token=1").size == (8, 6)
    assert len(load_video(f"{shelf}/film")) == 6


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none", "expected a file, found status 404"),
        ("short", "expected the whole file, found 1 bytes less"),
        ("film", "at most 1,000 bytes"),
        ("endless", "at most 1,000 bytes, found more"),
        ("away", r"a redirect to http://127\.0\.0\.1"),
        ("file", "expected a file, found status 302"),
        ("round", "status 302"),
    ],
)
def test_what_does_not_come_is_refused_by_name(shelf, name, words):
    with pytest.raises(DownloadError, match=words) as refusal:
        load_image(f"{shelf}/{name}?secret=1", limits=MediaLimits(bytes=1000))
    assert f"{shelf}/{name}" in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_nobody_there_is_said():
    with pytest.raises(DownloadError, match="found ConnectionRefusedError"):
        download("http://127.0.0.1:9/film.mp4", 100, 5)


@pytest.mark.parametrize("url", ["http://", "http://a b/", "http://[::1", "http://a:99999/", "http://a\n/"])
def test_an_address_is_one(url):
    with pytest.raises(InvalidArgument, match="an http:// or https:// address"):
        download(url, 100, 5)
