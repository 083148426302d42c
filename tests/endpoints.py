"""A small endpoint on this machine: it decodes and encodes with a VAE as the wire's page says, with faults on request.

It reads and writes the wire by itself, so that it can disagree with the library.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import torch
from PIL import Image

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Request:
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    connection: int

    def one(self, name: str, default: str = "") -> str:
        return dict(self.query).get(name, default)


@dataclass
class Endpoint:
    """What it works with, what it does wrong, and what it was asked."""

    vae: Any = None
    url: str = ""
    # each next request is answered by one of these, before the VAE has its turn; None cuts the connection
    faults: list[Answer | Callable[[Any], None] | None] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)

    def answer(self, request: Request) -> Answer:
        told = dict(request.query)
        shape = [int(value) for name, value in request.query if name == "shape"]
        if "output_type" in told:
            latents = tensor(request.body, shape, told["dtype"]).float()
            return self.decode(latents, told)
        pixels = tensor(request.body, shape, told["dtype"]).float() if shape else from_png(request.body)
        latents = self.vae.encode(pixels).latent_dist.mode() - float(told.get("shift_factor", 0))
        return described(latents * float(told.get("scaling_factor", 1)))

    def decode(self, latents: torch.Tensor, told: dict[str, str]) -> Answer:
        if latents.ndim == 3:  # packed, two by two
            high, wide = int(told["height"]) // 4, int(told["width"]) // 4
            latents = latents.unflatten(1, (high, wide)).unflatten(3, (-1, 2, 2)).permute(0, 3, 1, 4, 2, 5)
            latents = latents.flatten(4, 5).flatten(2, 3)
        default = self.vae.config.scaling_factor if told.get("do_scaling") == "True" else 1
        latents = latents / float(told.get("scaling_factor", default)) + float(told.get("shift_factor", 0))
        frames = latents.transpose(1, 2).flatten(0, 1) if latents.ndim == 5 else latents
        pixels = self.vae.decode(frames, return_dict=False)[0]
        kind = told["output_type"]
        if kind == "mp4":
            return 200, {"Content-Type": "video/mp4"}, b"a film of %d frames" % len(pixels)
        if kind == "pil":
            if self.asked[-1].headers["accept"] == "tensor/binary":
                return described((pixels / 2 + 0.5).clamp(0, 1))
            file, name = io.BytesIO(), {"jpg": "jpeg", "png": "png"}[told["image_format"]]
            Image.fromarray(levels(pixels)[0]).save(file, name)
            return 200, {"Content-Type": f"image/{name}"}, file.getvalue()
        if told["partial_postprocess"] == "True":
            return described(torch.from_numpy(levels(pixels)))
        if latents.ndim == 5:
            pixels = pixels.unflatten(0, (len(latents), -1)).transpose(1, 2)
        return described(pixels)


def levels(pixels: torch.Tensor) -> np.ndarray:
    return (pixels.permute(0, 2, 3, 1).float().numpy() * 127.5 + 127.5).clip(0, 255).round().astype("uint8")


def tensor(body: bytes, shape: list[int], dtype: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(body), dtype=getattr(torch, dtype)).reshape(shape)


def from_png(body: bytes) -> torch.Tensor:
    picture = Image.open(io.BytesIO(body), formats=["PNG"])
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None] / 127.5 - 1


def described(found: torch.Tensor) -> Answer:
    headers = {"Content-Type": "tensor/binary", "shape": json.dumps(list(found.shape))}
    headers["dtype"] = str(found.dtype).removeprefix("torch.")
    return 200, headers, found.detach().contiguous().numpy().tobytes()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    endpoint: Endpoint

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qsl(told.query, keep_blank_values=True)
        request = Request(told.path, query, headers, body, self.client_address[1])
        self.endpoint.asked.append(request)
        fault = self.endpoint.faults.pop(0) if self.endpoint.faults else self.endpoint.answer
        if fault is None:
            self.close_connection = True
        elif isinstance(fault, tuple):
            self.reply(*fault)
        elif fault == self.endpoint.answer:
            with torch.no_grad():
                self.reply(*self.endpoint.answer(request))
        else:
            fault(self)

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(vae: Any = None, **options: Any) -> Iterator[Endpoint]:
    """A running endpoint, at its ``url``."""
    endpoint = Endpoint(vae, **options)
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"endpoint": endpoint}))
    http.daemon_threads = True
    endpoint.url = f"http://127.0.0.1:{http.server_address[1]}/vae"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
