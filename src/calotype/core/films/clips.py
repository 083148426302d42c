"""Films out of clips: each is encoded by itself, so that a film that was stopped goes on to the very same pictures."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from calotype.core.errors import CorruptFile
from calotype.core.films.coded import H264, VP9, Codec, library
from calotype.core.films.coded_reader import opened
from calotype.core.films.plan import Encoder, Plan
from calotype.core.films.writer import FilmWriter
from calotype.core.picture_files import recipe_document

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODECS = {"mp4": (H264, "mov"), "webm": (VP9, "matroska")}  # and who reads what each writes
SHAPE = struct.Struct("<III")  # frames, height, width


def encoded(frames: Any, kind: str, fps: float | Fraction) -> bytes:
    """Frames as a film of their own."""
    whole = io.BytesIO()
    with FilmWriter(whole, fps, kind=kind) as film:
        film.write(frames)
    return whole.getvalue()


def packed(frames: NDArray[np.uint8]) -> bytes:
    """Frames (frame, height, width, 3) as they are, compressed."""
    return SHAPE.pack(*frames.shape[:3]) + zlib.compress(frames.tobytes(), 1)


def unpacked(clip: bytes, where: str) -> NDArray[np.uint8]:
    """The frames that were packed."""
    try:
        shape = SHAPE.unpack_from(clip)
        return np.frombuffer(zlib.decompress(clip[SHAPE.size :]), np.uint8).reshape(*shape, 3)
    except (struct.error, zlib.error, ValueError):
        raise CorruptFile(where, "frames as they were kept", "other bytes") from None


class Joined(Encoder):
    """Puts clips one behind the other in one container; what is encoded is not touched."""

    def __init__(self, kind: str, file: BinaryIO, plan: Plan) -> None:
        codec, self._demuxer = CODECS[kind]
        self._kind, self._plan, self._stream = kind, plan, None
        self._count = self._ahead = 0
        self._container = _container(codec, file)
        if plan.recipe is not None:
            self._container.metadata["comment"] = recipe_document(plan.recipe)

    def add(self, frame: NDArray[np.uint8]) -> None:
        self.join(encoded(frame, self._kind, self._plan.fps))

    def join(self, clip: bytes) -> int:
        """Take a clip; how many frames it has."""
        container = opened(io.BytesIO(clip), self._demuxer, f"{self._plan.where}: a clip")
        try:
            track = container.streams.video[0]
            if self._stream is None:
                self._stream = self._container.add_stream_from_template(track)
            packets = [packet for packet in container.demux(track) if packet.pts is not None]
            self._place(packets, track.time_base * self._plan.fps)
            self._container.mux(packets)
        finally:
            container.close()
        self._count += len(packets)
        return len(packets)

    def finish(self) -> None:
        self._container.close()

    def _place(self, packets: list[Any], frames: Fraction) -> None:
        """Give packets their places in the film; a tick of their clock lasts so many frames."""
        first = min(packet.pts for packet in packets)
        if not self._count:  # how many frames are decoded before the first is shown: of a short clip it may be fewer
            self._ahead = round((first - packets[0].dts) * frames)
        for order, packet in enumerate(packets):
            packet.pts = self._count + round((packet.pts - first) * frames)
            packet.dts = self._count + order - self._ahead
            packet.duration, packet.time_base, packet.stream = 1, 1 / self._plan.fps, self._stream


def _container(codec: Codec, file: BinaryIO) -> Any:
    return library().open(file, "w", format=codec.container, options=dict(codec.container_options))
