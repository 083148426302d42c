"""What is asked of a VAE of films, held against it and against the limits before a byte of the body is read."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from calotype.core.errors import InvalidArgument
from calotype.remote.heads import SIZES, TENSOR, Head, Pairs, tensor_of
from calotype.remote.told import Told
from calotype.remote.wire import DecodeQuery, EncodeQuery
from calotype.server.asked import DECODE_NAMES, ENCODE_NAMES, Latents, Pictures, levels
from calotype.server.factors import scaled, unscaled
from calotype.server.fit import Facts, check_body, check_film, check_names, check_numbers, check_sides
from calotype.server.limits import Limits
from calotype.server.png import pixels_of

if TYPE_CHECKING:
    import torch

FPS = 24.0  # frames per second of a file, where nothing else is told


@dataclass(eq=False)
class FilmDecoding(Latents):
    """Latents that are to become films."""

    shape: tuple[int, int, int, int, int]  # of the films: (batch, channels, frames, height, width)
    fps: float = FPS
    latents: torch.Tensor | None = field(default=None, repr=False)

    @classmethod
    def read(cls, pairs: Pairs, headers: Mapping[str, str], facts: Facts, limits: Limits) -> FilmDecoding:
        check_names(pairs, (*DECODE_NAMES, "fps"))
        query = DecodeQuery.read(pairs)
        fps = Told(pairs).number("fps")
        if fps is not None and not 1 <= fps <= 120:
            raise InvalidArgument("fps", "1 to 120 frames per second", f"{fps:g}")
        _check_output(query, headers.get("accept", ""), facts)
        sent = query.head.shape
        if len(sent) != 5 or sent[1] != facts.latents:
            wanted = f"(batch, {facts.latents}, latents, height, width), for {facts.name}"
            raise InvalidArgument("shape", wanted, str(list(sent)))
        if sent[0] > 1 and cls._flows(query):
            fix = "Send each by itself, or ask for output_type=pt."
            raise InvalidArgument("shape", "one film, for frames one behind the other", f"{sent[0]}", fix)
        for name, side, latents in (("height", query.height, sent[3]), ("width", query.width, sent[4])):
            if side is not None and side != latents * facts.factor:
                raise InvalidArgument(name, f"{latents * facts.factor}, as the latents' {latents} say", str(side))
        frames = 1 + (sent[2] - 1) * (facts.frames or 1)
        shape = (sent[0], facts.pixels, frames, sent[3] * facts.factor, sent[4] * facts.factor)
        check_body(query.head, limits)
        check_film("shape", shape, limits)
        return cls(query, facts, shape, FPS if fps is None else fps)

    count = 1

    @staticmethod
    def _flows(query: DecodeQuery) -> bool:
        return query.output_type != "pt" or query.partial_postprocess

    @property
    def flows(self) -> bool:
        """Are frames sent one behind the other, as they are made? In (batch, channel, frame, ...) they cannot be."""
        return self._flows(self.query)

    @property
    def pixels(self) -> int:
        return self.shape[0] * math.prod(self.shape[2:])

    @property
    def key(self) -> Hashable:
        return self  # like no other

    def take(self, body: bytearray, limits: Limits) -> None:
        """Read the body."""
        self.latents = tensor_of(self.query.head, body)
        check_numbers(self.latents)

    def entering(self, network: Any) -> torch.Tensor:
        assert self.latents is not None
        return unscaled(self.latents, self.query, network)

    def leaving(self, frames: torch.Tensor) -> torch.Tensor:
        """Of frames (batch, channel, frame, height, width) in [-1, 1], what is asked for."""
        if not self.flows:
            return frames
        unit = (frames[0].transpose(0, 1).float() * 0.5 + 0.5).clamp(0, 1)
        if self.query.output_type == "pil":
            return unit.to(frames.dtype).contiguous()
        return levels(unit)

    def head(self, dtype: str) -> Head:
        """Of all frames that are sent one behind the other, by a network of this type."""
        _, channels, frames, height, width = self.shape
        last = self.query.output_type == "pt"
        shape = (frames, height, width, channels) if last else (frames, channels, height, width)
        return Head(shape, "uint8" if last else dtype, limit=1 << 40)


def _check_output(query: DecodeQuery, accept: str, facts: Facts) -> None:
    """Refuse what is for pictures, and what this server has no library for."""
    if query.output_type == "pil" and accept.startswith("image/"):
        fix = "With a processor, the client asks for frames as a tensor."
        raise InvalidArgument("header 'accept'", f"{TENSOR}, as {facts.name} makes films", repr(accept[:40]), fix)
    if query.output_type == "mp4" and find_spec("av") is None:
        raise InvalidArgument("output_type", "pil or pt, as this server has no library av", "mp4")


@dataclass(eq=False)
class FilmEncoding(Pictures):
    """Films, or a picture that is one of a single frame, that are to become latents."""

    copies, count, flows = 3, 1, False

    @classmethod
    def read(cls, pairs: Pairs, headers: Mapping[str, str], facts: Facts, limits: Limits) -> FilmEncoding:
        check_names(pairs, ENCODE_NAMES)
        query = EncodeQuery.read(pairs, limits.max_film // min(SIZES.values()))
        if query.head is not None:
            shape, step = query.head.shape, facts.frames or 1
            if len(shape) != 5 or shape[1] != facts.pictures or (shape[2] - 1) % step:
                told = f"(batch, {facts.pictures}, 1 + {step} * n, height, width), for {facts.name}"
                raise InvalidArgument("shape", told, str(list(shape)))
            check_sides(shape, facts)
            check_body(query.head, limits, limits.max_film)
            check_film("shape", shape, limits)
        return cls(query, facts, limits.max_upload)

    @property
    def key(self) -> Hashable:
        return self

    def take(self, body: bytearray, limits: Limits) -> None:
        if self.query.head is None:
            self.sent = pixels_of(body, self.facts.pictures, self.facts.factor, limits)[:, :, None]
            return
        self.sent = tensor_of(self.query.head, body)
        check_numbers(self.sent)

    def entering(self, network: Any) -> torch.Tensor:
        assert self.sent is not None
        return self.sent.to(network.device)

    def leaving(self, latents: torch.Tensor) -> torch.Tensor:
        return scaled(latents, self.query)
