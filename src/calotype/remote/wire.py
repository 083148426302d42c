"""The bytes of hybrid inference, read and written alike at both ends: queries, headers, tensors and their limits.

A request is one POST to the endpoint itself. Its body is a tensor's little-endian bytes (or, to encode, a PNG); its
query says what they are and what is wanted. A client writes ``DecodeQuery(...).pairs()``; a server reads
``DecodeQuery.read(pairs)``, pairs being those of ``urllib.parse.parse_qsl(query, keep_blank_values=True)``.
``EncodeQuery`` is the same for encoding. The answer is an encoded picture, a video file, or a tensor: the headers of
``Head.headers()`` describe it, and ``Head.told_by(headers)`` reads them.

A ``Head`` (shape and dtype) is checked when it is made, before any memory is taken: rank, positive sides, at most
``MAX_ELEMENTS`` numbers. A body measures ``head.nbytes``: ``tensor_of(head, body)`` checks that and is a view of the
body, as ``bytes_of(tensor)`` is one of the tensor. Every refusal is an ``InvalidArgument``; its ``where`` is the name
of the query parameter or header, which a server answers as ``param`` with 422, or 413 for ``TooLarge``.
Numbers are not looked at: who must not work on NaN asks ``torch.isfinite``.

Nothing here imports torch until a tensor is made.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calotype.core.errors import InvalidArgument

if TYPE_CHECKING:
    import torch

TENSOR = "tensor/binary"
VIDEO = "text/plain"  # what the peer's client says it accepts when it means a video file
PICTURES = {"jpg": "image/jpeg", "png": "image/png"}  # by image_format
OUTPUT_TYPES = ("mp4", "pil", "pt")

SIZES = {"float16": 2, "bfloat16": 2, "float32": 4, "uint8": 1}  # bytes of one number
FLOATS = ("float16", "float32", "bfloat16")  # what may be sent to a VAE
RANKS = range(3, 6)  # packed latents or one picture, a batch of pictures, a batch of videos
MAX_ELEMENTS = 1 << 24  # numbers that a server takes in one tensor
MAX_BODY = 64 << 20  # bytes that a server takes in one request

Pairs = list[tuple[str, str]]


class TooLarge(InvalidArgument):
    """More than the limit: 413, where other refusals are 422."""

    code = "too_large"


@dataclass(frozen=True)
class Head:
    """What a tensor's bytes mean."""

    shape: tuple[int, ...]
    dtype: str
    limit: int = MAX_ELEMENTS

    def __post_init__(self) -> None:
        if self.dtype not in SIZES:
            raise InvalidArgument("dtype", f"one of {', '.join(SIZES)}", repr(self.dtype[:40]))
        if len(self.shape) not in RANKS:
            raise InvalidArgument("shape", f"{RANKS[0]} to {RANKS[-1]} dimensions", str(len(self.shape)))
        if min(self.shape) < 1:
            raise InvalidArgument("shape", "positive sides", str(list(self.shape))[:80])
        if self.elements > self.limit:
            raise TooLarge("shape", f"at most {self.limit} numbers", f"{str(list(self.shape))[:80]}")

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.elements * SIZES[self.dtype]

    @classmethod
    def of(cls, tensor: torch.Tensor, limit: int = MAX_ELEMENTS) -> Head:
        return cls(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), limit)

    def pairs(self) -> Pairs:
        """Shape, a side at a time, and dtype, as a query has them."""
        return [*(("shape", str(side)) for side in self.shape), ("dtype", self.dtype)]

    def headers(self) -> dict[str, str]:
        """The headers of an answer that is a tensor."""
        return {"Content-Type": TENSOR, "shape": json.dumps(list(self.shape)), "dtype": self.dtype}

    @classmethod
    def told_by(cls, headers: Mapping[str, str], limit: int = MAX_ELEMENTS) -> Head:
        """What an answer's headers, with their names in small letters, say of its bytes."""
        told = headers.get("shape", "")
        if not re.fullmatch(r"\s*\[\s*\d{1,12}(\s*,\s*\d{1,12}){0,15}\s*\]\s*", told, re.ASCII):
            raise InvalidArgument("header 'shape'", "a JSON list of sides", repr(told[:80]) if told else "none")
        if "dtype" not in headers:
            raise InvalidArgument("header 'dtype'", f"one of {', '.join(SIZES)}", "none")
        return cls(tuple(int(side) for side in re.findall(r"\d+", told)), headers["dtype"].strip(), limit)

    def measure(self, nbytes: int, where: str = "body") -> None:
        """Refuse bytes that are more or fewer than these numbers need."""
        if nbytes != self.nbytes:
            raise InvalidArgument(where, f"{self.nbytes} bytes, {list(self.shape)} of {self.dtype}", f"{nbytes} bytes")


@dataclass(frozen=True)
class DecodeQuery:
    """What is sent to be decoded, and what is wanted of it."""

    head: Head
    output_type: str = "pil"
    image_format: str = "jpg"
    partial_postprocess: bool = False
    scaling_factor: float | None = None
    shift_factor: float | None = None
    do_scaling: bool = False  # by the server's own factors
    height: int | None = None  # of the picture that packed latents make
    width: int | None = None

    def __post_init__(self) -> None:
        _one_of("output_type", self.output_type, OUTPUT_TYPES)
        _one_of("image_format", self.image_format, [*PICTURES])
        _one_of("dtype", self.head.dtype, FLOATS)
        _check_factors(self.scaling_factor, self.shift_factor)
        for name, side in (("height", self.height), ("width", self.width)):
            if side is not None and (isinstance(side, bool) or not isinstance(side, int) or not 0 < side <= 1 << 14):
                raise InvalidArgument(name, f"pixels, 1 to {1 << 14}", repr(side))
            if side is None and len(self.head.shape) == 3:
                raise InvalidArgument(name, "the picture's, as the latents are packed (3 dimensions)", "none")

    def pairs(self) -> Pairs:
        """The query, in the order in which the peer's client writes it."""
        asked = [("image_format", self.image_format), ("output_type", self.output_type)]
        asked += [("partial_postprocess", str(self.partial_postprocess)), *self.head.pairs()]
        asked += _given(scaling_factor=self.scaling_factor, shift_factor=self.shift_factor)
        asked += _given(do_scaling=True if self.do_scaling else None, height=self.height, width=self.width)
        return asked

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> DecodeQuery:
        """The query that a client wrote; what it left out is as the peer's client means it."""
        told = _Told(pairs)
        return cls(
            told.head(),
            told.text("output_type", "pil"),
            told.text("image_format", "jpg"),
            told.yes("partial_postprocess"),
            told.number("scaling_factor"),
            told.number("shift_factor"),
            told.yes("do_scaling"),
            told.whole("height"),
            told.whole("width"),
        )


@dataclass(frozen=True)
class EncodeQuery:
    """What is sent to be encoded: a tensor, or a PNG where there is no head."""

    head: Head | None = None
    scaling_factor: float | None = None
    shift_factor: float | None = None

    def __post_init__(self) -> None:
        if self.head is not None:
            _one_of("dtype", self.head.dtype, FLOATS)
        _check_factors(self.scaling_factor, self.shift_factor)

    def pairs(self) -> Pairs:
        factors = _given(scaling_factor=self.scaling_factor, shift_factor=self.shift_factor)
        return [*factors, *(self.head.pairs() if self.head else [])]

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> EncodeQuery:
        told = _Told(pairs)
        head = told.head() if told.all("shape") or told.all("dtype") else None
        return cls(head, told.number("scaling_factor"), told.number("shift_factor"))


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """A tensor's memory, copied only where it lies elsewhere or in another order."""
    import torch

    plain = tensor.detach().cpu().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().data


def tensor_of(head: Head, body: bytearray) -> torch.Tensor:
    """The tensor over these bytes, which it shares."""
    import torch

    head.measure(len(body))
    return torch.frombuffer(body, dtype=getattr(torch, head.dtype)).reshape(head.shape)


class _Told:
    """The values of a query by name; a name told twice, but for shape, is refused."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def text(self, name: str, default: str = "") -> str:
        values = self.all(name)
        if len(values) > 1:
            raise InvalidArgument(name, "one value", f"{len(values)}")
        return values[0] if values else default

    def yes(self, name: str) -> bool:
        return _one_of(name, self.text(name, "False"), ("True", "False", "true", "false")).lower() == "true"

    def number(self, name: str) -> float | None:
        told = self.text(name)
        if not told:
            return None
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", told[:64], re.ASCII):
            raise InvalidArgument(name, "a number", repr(told[:40]))
        return float(told)

    def whole(self, name: str) -> int | None:
        told = self.text(name)
        return _whole(name, told) if told else None

    def head(self) -> Head:
        return Head(tuple(_whole("shape", side) for side in self.all("shape")), self.text("dtype"))


def _whole(name: str, told: str) -> int:
    if not re.fullmatch(r"\d{1,12}", told, re.ASCII):
        raise InvalidArgument(name, "a whole number", repr(told[:40]))
    return int(told)


def _given(**values: Any) -> Pairs:
    return [(name, str(value)) for name, value in values.items() if value is not None]


def _one_of(name: str, value: str, choices: Iterable[str]) -> str:
    if value not in choices:
        raise InvalidArgument(name, f"one of {', '.join(choices)}", repr(value)[:60])
    return value


def _check_factors(scaling: float | None, shift: float | None) -> None:
    for name, value in (("scaling_factor", scaling), ("shift_factor", shift)):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (number and math.isfinite(value) and abs(value) < 1e6):
            raise InvalidArgument(name, "a number from -1e6 to 1e6", repr(value)[:40])
    if scaling is not None and abs(scaling) < 1e-6:
        raise InvalidArgument("scaling_factor", "a number that one can divide by", repr(scaling))
