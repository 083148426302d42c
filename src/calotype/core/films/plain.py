"""Films that need no codec: raw y4m for a pipe, and numbered PNG files."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image

from calotype.core.films.plan import Encoder, Plan
from calotype.core.films.sinks import Pictures
from calotype.core.picture_files import write_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

# BT.601 at studio levels, which is what programs take an unmarked stream of this size for; per byte of red, green, blue
TO_YUV = np.array(
    [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]],
    dtype=np.float32,
) / np.float32(255)
LEVELS = np.array([16, 128, 128], dtype=np.float32)


class Y4m(Encoder):
    """Frames as they are, in YUV 4:4:4; a header line, then for each frame a line and three planes."""

    def __init__(self, file: BinaryIO, width: int, height: int, plan: Plan) -> None:
        self._file, rate = file, plan.fps
        told = f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} Ip A1:1 C444 XCOLORRANGE=LIMITED\n"
        file.write(told.encode())

    def add(self, frame: NDArray[np.uint8]) -> None:
        levels = (frame @ TO_YUV.T + LEVELS).round().astype(np.uint8)
        self._file.write(b"FRAME\n" + levels.transpose(2, 0, 1).tobytes())

    def finish(self) -> None:
        pass


class Stills(Encoder):
    """Each frame a PNG with the film's recipe."""

    def __init__(self, sink: Pictures, plan: Plan) -> None:
        self._sink, self._plan, self._count = sink, plan, 0

    def add(self, frame: NDArray[np.uint8]) -> None:
        write_picture(self._sink.place(self._count), Image.fromarray(frame), self._plan.recipe)
        self._count += 1

    def finish(self) -> None:
        pass
