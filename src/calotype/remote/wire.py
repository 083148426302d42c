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

from collections.abc import Iterable
from dataclasses import dataclass

from calotype.core.errors import InvalidArgument
from calotype.remote.heads import FLOATS, MAX_ELEMENTS, Head, Pairs
from calotype.remote.told import Told, check_factors, given, one_of

VIDEO = "text/plain"  # what the peer's client says it accepts when it means a video file
PICTURES = {"jpg": "image/jpeg", "png": "image/png"}  # by image_format
OUTPUT_TYPES = ("mp4", "pil", "pt")


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
        one_of("output_type", self.output_type, OUTPUT_TYPES)
        one_of("image_format", self.image_format, [*PICTURES])
        one_of("dtype", self.head.dtype, FLOATS)
        check_factors(self.scaling_factor, self.shift_factor)
        for name, side in (("height", self.height), ("width", self.width)):
            if side is not None and (isinstance(side, bool) or not isinstance(side, int) or not 0 < side <= 1 << 14):
                raise InvalidArgument(name, f"pixels, 1 to {1 << 14}", repr(side))
            if side is None and len(self.head.shape) == 3:
                raise InvalidArgument(name, "the picture's, as the latents are packed (3 dimensions)", "none")

    def pairs(self) -> Pairs:
        """The query, in the order in which the peer's client writes it."""
        asked = [("image_format", self.image_format), ("output_type", self.output_type)]
        asked += [("partial_postprocess", str(self.partial_postprocess)), *self.head.pairs()]
        asked += given(scaling_factor=self.scaling_factor, shift_factor=self.shift_factor)
        asked += given(do_scaling=True if self.do_scaling else None, height=self.height, width=self.width)
        return asked

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> DecodeQuery:
        """The query that a client wrote; what it left out is as the peer's client means it."""
        told = Told(pairs)
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
            one_of("dtype", self.head.dtype, FLOATS)
        check_factors(self.scaling_factor, self.shift_factor)

    def pairs(self) -> Pairs:
        factors = given(scaling_factor=self.scaling_factor, shift_factor=self.shift_factor)
        return [*factors, *(self.head.pairs() if self.head else [])]

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]], limit: int = MAX_ELEMENTS) -> EncodeQuery:
        told = Told(pairs)
        head = told.head(limit) if told.all("shape") or told.all("dtype") else None
        return cls(head, told.number("scaling_factor"), told.number("shift_factor"))
