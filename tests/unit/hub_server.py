"""A small Hub on this machine: the few addresses that ``huggingface_hub`` asks for, with faults on request."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

LARGE = 1000  # bytes from which a file is named by its SHA-256, as large files on the Hub are


@dataclass
class Repository:
    """Commits of one repository, and what its branches mean now."""

    commits: dict[str, dict[str, bytes]]
    branches: dict[str, str]
    private: bool = False


@dataclass
class Hub:
    """What the server has, what it does wrong, and what it was asked."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)  # name: after how many bytes each next reply is cut
    flipped: set[str] = field(default_factory=set)  # names of files of which one bit arrives wrong
    broken: dict[str, int] = field(default_factory=dict)  # a word in an address: the status it gets
    before: Callable[[str], None] = lambda path: None  # is called with each path, before the answer
    elsewhere: str = ""  # where large files are sent from, if not from here
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)  # method, path, headers

    def gets(self, word: str = "/resolve/") -> list[str]:
        """The paths of files that were fetched."""
        return [path for method, path, _ in self.asked if method == "GET" and word in path]


def etag(data: bytes) -> str:
    if len(data) >= LARGE:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        hub, path = self.hub, re.sub(r"^http://[^/]+|\?.*$", "", self.path)  # a proxy is asked for whole addresses
        hub.asked.append((self.command, path, {key.lower(): value for key, value in self.headers.items()}))
        hub.before(path)
        for word, status in hub.broken.items():
            if word in path:
                return self.reply(status, b"{}")
        if told := re.fullmatch(r"/api/models/(.+)/revision/([^/]+)", path):
            return self.info(*told.groups())
        if told := re.fullmatch(r"/api/models/(.+)/tree/([^/]+)", path):
            return self.tree(*told.groups())
        if told := re.fullmatch(r"/(?:elsewhere/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self.file(*told.groups())
        return self.reply(404, b"{}")

    def commit_of(self, name: str, revision: str) -> str | None:
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and "authorization" not in self.hub.asked[-1][2]):
            self.reply(401, b"{}", {"X-Error-Code": "RepoNotFound"})
            return None
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            self.reply(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return None
        return commit

    def info(self, name: str, revision: str) -> None:
        if commit := self.commit_of(name, revision):
            files = [{"rfilename": file} for file in self.hub.repositories[name].commits[commit]]
            told = {"_id": "0", "id": name, "sha": commit, "siblings": files, "tags": [], "private": False}
            self.reply(200, json.dumps(told).encode())

    def tree(self, name: str, revision: str) -> None:
        if commit := self.commit_of(name, revision):
            files = self.hub.repositories[name].commits[commit]
            told = [
                {"type": "file", "path": file, "size": len(data), "oid": etag(data)} for file, data in files.items()
            ]
            self.reply(200, json.dumps(told).encode())

    def file(self, name: str, revision: str, file: str) -> None:
        here = self.path.startswith("/elsewhere/")
        commit = revision if here else self.commit_of(name, revision)
        if commit is None:
            return None
        data = self.hub.repositories[name].commits[commit].get(unquote(file))
        if data is None:
            return self.reply(404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        facts = {"ETag": f'"{etag(data)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if self.hub.elsewhere and len(data) >= LARGE and not here:
            facts |= {"X-Linked-Etag": f'"{etag(data)}"', "X-Linked-Size": str(len(data))}
            return self.reply(302, b"", facts | {"Location": f"{self.hub.elsewhere}/elsewhere{self.path}"})
        if file in self.hub.flipped:
            data = bytes([data[0] ^ 1]) + data[1:]
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(wanted[1]) if wanted else 0
        if wanted:
            facts["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        return self.reply(206 if wanted else 200, data[begin:], facts, self.hub.cuts.get(file))

    def reply(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, cuts: list[int] | None = None
    ) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if cuts:
            self.wfile.write(body[: cuts.pop(0)])
            self.wfile.flush()
            self.connection.close()
            self.close_connection = True
        else:
            self.wfile.write(body)


class Server:
    """A running server; ``url`` is what ``HF_ENDPOINT`` should say."""

    def __init__(self, hub: Hub) -> None:
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()
