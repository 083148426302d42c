"""Requests as they are on the wire, without a client that would keep them sensible."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import torch

TENSOR = {"Content-Type": "tensor/binary"}


@dataclass
class Said:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        return json.loads(self.body)["error"]


def ask(
    address: tuple[str, int], path: str, query: Any = (), body: Any = None, headers: Any = TENSOR, method: str = "POST"
) -> Said:
    """One request, on a connection of its own."""
    connection = http.client.HTTPConnection(*address, timeout=20)
    try:
        told = query if isinstance(query, str) else urlencode(query)
        connection.request(method, f"{path}?{told}", body, dict(headers))
        answer = connection.getresponse()
        return Said(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def get(address: tuple[str, int], path: str, **headers: str) -> Said:
    return ask(address, path, headers=headers, method="GET")


def described(tensor: torch.Tensor, **more: Any) -> list[tuple[str, str]]:
    """The query of a tensor that is to be decoded to one."""
    told = {"output_type": "pt", "dtype": str(tensor.dtype)[6:], **more}
    return [*(("shape", str(side)) for side in tensor.shape), *((name, str(value)) for name, value in told.items())]


def body_of(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def read(said: Said) -> torch.Tensor:
    assert said.status == 200, said.body
    tensor = torch.frombuffer(bytearray(said.body), dtype=getattr(torch, said.headers["dtype"]))
    return tensor.reshape(json.loads(said.headers["shape"]))
