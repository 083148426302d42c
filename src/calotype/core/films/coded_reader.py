"""Frames out of FFmpeg's libraries: known containers, known codecs, no network and no other file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO

from PIL import Image

from calotype.core.errors import CorruptFile
from calotype.core.films.coded import library
from calotype.core.films.found import USUAL, Found, MediaLimits, until_damage

CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "prores", "rawvideo")
WHOLE = "a whole film"


def coded_frames(file: BinaryIO, demuxer: str, where: str, limits: MediaLimits, closing: ExitStack) -> Found:
    """The frames of the first picture track."""
    container = opened(file, demuxer, where, limits)
    closing.callback(container.close)
    streams = [stream for stream in container.streams.video if not _is_cover(stream)]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise CorruptFile(where, "a track of pictures", kinds)
    stream = streams[0]
    if stream.codec_context is None or stream.codec_context.codec.canonical_name not in CODECS:
        name = stream.codec_context.codec.canonical_name if stream.codec_context else "an unknown one"
        raise CorruptFile(where, f"one of the codecs {', '.join(CODECS)}", name)
    if not stream.width * stream.height:
        raise CorruptFile(where, WHOLE, "frames of a size that is not known or far too large")
    limits.check_size(stream.width, stream.height, where)
    # a size that grows on the way is refused by the decoder itself
    stream.codec_context.options = {"max_pixels": str(limits.pixels)}
    rate = stream.average_rate or stream.guessed_rate
    frames = until_damage(_decoded(container, stream, where), where)
    return Found(frames, float(rate) if rate else None, _expected(container, stream, rate))


def opened(file: BinaryIO, demuxer: str, where: str, limits: MediaLimits = USUAL) -> Any:
    """The container, read by the demuxer that is named."""
    av = library()
    try:
        return av.open(
            file,
            "r",
            format=demuxer,
            options={"max_pixels": str(max(limits.pixels, USUAL.pixels))},  # while it looks what there is
            metadata_errors="replace",
            io_open=_refuse,
        )
    except (av.FFmpegError, ValueError) as error:
        raise CorruptFile(where, WHOLE, f"one that cannot be read ({_said(error)})") from None


def _refuse(url: str, flags: int, options: dict[str, str]) -> Any:
    """A film that leads to another file."""
    raise PermissionError("a film that names other files")


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _expected(container: Any, stream: Any, rate: Any) -> int | None:
    if stream.frames:
        return int(stream.frames)
    if stream.duration:
        seconds = float(stream.duration * stream.time_base)
    else:
        seconds = container.duration / 1e6 if container.duration else 0.0  # FFmpeg counts microseconds
    return int(seconds * float(rate)) if seconds > 0 and rate else None


def _decoded(container: Any, stream: Any, where: str) -> Iterator[Image.Image]:
    av = library()
    try:
        for frame in container.decode(stream):
            picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
            yield picture.rotate(frame.rotation, expand=True) if frame.rotation else picture
    except (av.FFmpegError, ValueError) as error:
        raise CorruptFile(where, WHOLE, f"pictures that cannot be read ({_said(error)})") from None


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)[:120]
