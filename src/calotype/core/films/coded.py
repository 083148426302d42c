"""Films through the codecs of FFmpeg: H.264 in MP4 and VP9 in WebM, in pieces that play while the file grows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from calotype.core.errors import InvalidArgument, MissingDependency
from calotype.core.films.plan import Encoder, Plan
from calotype.core.picture_files import recipe_document

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

THREADS = 4  # each holds a frame
USUAL_QUALITY = 7.0
EVEN_ROW = 8 * 16  # pixels: in rows of other lengths x264's fastest code for block trees reads what nobody wrote


@dataclass(frozen=True)
class Codec:
    """A codec, the container it lives in, and how both are set."""

    name: str
    container: str
    worst: int  # the codec's number for the lowest quality; 0 is the best
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    container_options: Mapping[str, str] = field(default_factory=dict[str, str])


# Few frames looked ahead: what the encoder holds is the lag of a film that is watched while it grows.
H264 = Codec(
    "libx264",
    "mp4",
    51,
    {"rc-lookahead": "8", "bf": "2"},
    {"movflags": "empty_moov+default_base_moof+frag_keyframe", "frag_duration": "500000"},  # microseconds
)
VP9 = Codec(
    "libvpx-vp9",
    "webm",
    63,
    {"lag-in-frames": "8", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
    {"cluster_time_limit": "500", "fflags": "bitexact"},  # milliseconds; no names drawn at random
)


def library() -> Any:
    """FFmpeg's libraries, if they are installed."""
    try:
        import av
    except ImportError:
        fix = "pip install calotype[video]; GIF, WebP, PNG and y4m go without."
        raise MissingDependency("MP4 and WebM", "the library av", "none", fix) from None
    return av


class Coded(Encoder):
    """Encodes on the way; a frame of odd size gets its last row or column twice, as 4:2:0 needs even ones."""

    def __init__(self, codec: Codec, file: BinaryIO, width: int, height: int, plan: Plan) -> None:
        self._av, self._count, self._plan = library(), 0, plan
        self._more = ((0, height % 2), (0, width % 2), (0, 0))
        wide, high = width + width % 2, height + height % 2
        if (wide, high) != (width, height):
            logger.warning(
                "%s: %d x %d is odd; the film is %d x %d, its edge repeated", plan.where, width, height, wide, high
            )
        try:
            self._container = self._av.open(file, "w", format=codec.container, options=dict(codec.container_options))
            if plan.recipe is not None:
                self._container.metadata["comment"] = recipe_document(plan.recipe)
            self._stream = self._container.add_stream(codec.name, rate=plan.fps, options=_options(codec, plan, wide))
            context = self._stream.codec_context
            context.width, context.height, context.pix_fmt, context.thread_count = wide, high, "yuv420p", THREADS
            context.time_base = Fraction(1) / plan.fps
            if plan.bitrate is not None:
                context.bit_rate = plan.bitrate
            # said in the file and done in the frames: players guess otherwise, each in its own way
            context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
            context.color_range = 1  # studio levels
            context.open()
        except (self._av.FFmpegError, ValueError) as error:
            found = f"{codec.name} refuses it ({getattr(error, 'strerror', None) or error})"
            raise InvalidArgument(f"frames of {width} x {height}", "a size that can be encoded", found) from None

    def add(self, frame: NDArray[np.uint8]) -> None:
        padded = np.pad(frame, self._more, "edge") if any(map(any, self._more)) else frame
        told = self._av.VideoFrame.from_ndarray(padded, format="rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU709", src_color_range="JPEG", dst_color_range="MPEG"
        )
        told.pts, told.time_base = self._count, Fraction(1) / self._plan.fps
        self._count += 1
        self._container.mux(self._stream.encode(told))

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


def _options(codec: Codec, plan: Plan, width: int) -> dict[str, str]:
    second = str(max(round(plan.fps), 1))  # a picture that stands by itself, each second: there one can begin to watch
    options = {**codec.options, "g": second}
    if codec is H264 and width % EVEN_ROW:
        options["mbtree"] = "0"  # the same frames are the same file
    if plan.bitrate is not None:
        return options
    quality = USUAL_QUALITY if plan.quality is None else plan.quality
    return {**options, "crf": str(round(codec.worst * (1 - quality / 10))), "b": "0"}
