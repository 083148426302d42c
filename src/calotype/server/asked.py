"""What is asked of a VAE of pictures, held against it and against the limits before a byte of the body is read."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from calotype.core.errors import InvalidArgument
from calotype.remote.heads import TENSOR, Head, Pairs, tensor_of
from calotype.remote.wire import PICTURES, DecodeQuery, EncodeQuery
from calotype.server.factors import scaled, unscaled
from calotype.server.fit import Facts, check_body, check_names, check_numbers, check_sides, check_size, unpacked
from calotype.server.limits import Limits
from calotype.server.png import pixels_of

if TYPE_CHECKING:
    import torch

DECODE_NAMES = (
    "image_format", "output_type", "partial_postprocess", "shape", "dtype",
    "scaling_factor", "shift_factor", "do_scaling", "height", "width",
)  # fmt: skip
ENCODE_NAMES = ("shape", "dtype", "scaling_factor", "shift_factor")
BINARY = (TENSOR, "application/octet-stream")


@dataclass(eq=False)
class Latents:
    """What decoding pictures and films has in common: a body of so many bytes, and what comes of it."""

    query: DecodeQuery
    facts: Facts

    kinds = ("", *BINARY)  # of bodies
    exact = True  # a body of ``limit`` bytes, no fewer
    pixels = 0

    @property
    def limit(self) -> int:
        return self.query.head.nbytes

    @property
    def cost(self) -> int:
        """Bytes of memory, from the body to the answer."""
        return self.limit + self.pixels * self.facts.pixels * 4


@dataclass(eq=False)
class Pictures:
    """What encoding pictures and films has in common: a tensor of them, or a picture file."""

    query: EncodeQuery
    facts: Facts
    most: int  # bytes of a picture file
    sent: torch.Tensor | None = field(default=None, repr=False)

    kinds = ("", *BINARY, PICTURES["png"])
    copies: ClassVar[int]  # of a tensor that are in memory at once

    @property
    def exact(self) -> bool:
        return self.query.head is not None

    @property
    def limit(self) -> int:
        return self.most if self.query.head is None else self.query.head.nbytes

    @property
    def pixels(self) -> int:
        return 0 if self.sent is None else self.sent.numel() // self.facts.pictures

    @property
    def cost(self) -> int:
        return self.limit if self.query.head is None else self.copies * self.limit


@dataclass
class Decoding(Latents):
    """Latents that are to become pictures."""

    shape: tuple[int, int, int, int]  # of the latents, unpacked
    file: bool  # a picture file, not a tensor
    latents: torch.Tensor | None = field(default=None, repr=False)

    @classmethod
    def read(cls, pairs: Pairs, headers: Mapping[str, str], facts: Facts, limits: Limits) -> Decoding:
        check_names(pairs, DECODE_NAMES)
        query = DecodeQuery.read(pairs)
        if query.output_type == "mp4":
            raise InvalidArgument("output_type", f"pil or pt, as {facts.name} makes pictures", "mp4")
        shape = unpacked(query, facts)
        file = query.output_type == "pil" and headers.get("accept", "").partition(";")[0].strip() != TENSOR
        if file and shape[0] > 1:
            fix = "Ask for a tensor: output_type=pt."
            raise InvalidArgument("shape", "one picture, for a picture file", f"{shape[0]}", fix)
        check_body(query.head, limits)
        check_size("shape", shape[0], shape[2] * facts.factor, shape[3] * facts.factor, limits)
        return cls(query, facts, shape, file)

    @property
    def count(self) -> int:
        return self.shape[0]

    @property
    def pixels(self) -> int:
        return self.count * self.shape[2] * self.shape[3] * self.facts.factor**2

    @property
    def key(self) -> Hashable:
        return ("decode", self.facts.name, self.shape[1:])

    def take(self, body: bytearray, limits: Limits) -> None:
        """Read the body."""
        latents = tensor_of(self.query.head, body)
        check_numbers(latents)
        if latents.ndim == 3:  # packed, two by two
            latents = latents.unflatten(1, (self.shape[2] // 2, self.shape[3] // 2)).unflatten(3, (-1, 2, 2))
            latents = latents.permute(0, 3, 1, 4, 2, 5).reshape(self.shape)
        self.latents = latents

    def entering(self, network: Any) -> torch.Tensor:
        """The latents as the VAE's decoder reads them."""
        assert self.latents is not None
        return unscaled(self.latents, self.query, network)

    def leaving(self, pixels: torch.Tensor) -> torch.Tensor:
        """Of pictures in [-1, 1], what is asked for: numbers as they are, in [0, 1], or bytes with channels last."""
        if self.query.output_type == "pt" and not self.query.partial_postprocess:
            return pixels
        unit = (pixels.float() * 0.5 + 0.5).clamp(0, 1)
        if self.query.output_type == "pil" and not self.file:
            return unit.to(pixels.dtype)
        return levels(unit)


@dataclass
class Encoding(Pictures):
    """A picture, or a tensor of some, that is to become latents."""

    copies = 4

    @classmethod
    def read(cls, pairs: Pairs, headers: Mapping[str, str], facts: Facts, limits: Limits) -> Encoding:
        check_names(pairs, ENCODE_NAMES)
        query = EncodeQuery.read(pairs)
        if query.head is not None:
            shape = query.head.shape
            if len(shape) == 5 or shape[-3] != facts.pictures:
                told = f"({facts.pictures}, height, width), or several of it, for {facts.name}"
                raise InvalidArgument("shape", told, str(list(shape)))
            check_sides(shape, facts)
            check_body(query.head, limits)
            check_size("shape", math.prod(shape[:-3]), shape[-2], shape[-1], limits)
        return cls(query, facts, limits.max_upload)

    @property
    def count(self) -> int:
        return 1 if self.sent is None else len(self.sent)

    @property
    def key(self) -> Hashable:
        assert self.sent is not None
        return ("encode", self.facts.name, tuple(self.sent.shape[1:]))

    def take(self, body: bytearray, limits: Limits) -> None:
        if self.query.head is None:
            self.sent = pixels_of(body, self.facts.pictures, self.facts.factor, limits)
            return
        pictures = tensor_of(self.query.head, body)
        check_numbers(pictures)
        self.sent = pictures if pictures.ndim == 4 else pictures[None]

    def entering(self, network: Any) -> torch.Tensor:
        import torch

        assert self.sent is not None
        return self.sent.to(network.device, torch.float32)

    def leaving(self, latents: torch.Tensor) -> torch.Tensor:
        return scaled(latents, self.query)


def head_of(tensor: torch.Tensor) -> Head:
    """What an answer's headers say of a tensor; it may be larger than what is taken."""
    return Head.of(tensor, limit=1 << 40)


def levels(unit: torch.Tensor) -> torch.Tensor:
    """Pictures in [0, 1] as bytes, channels last."""
    import torch

    return (unit * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
