"""Films on their way out, under the path where the peer has them."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calotype.core.errors import InvalidArgument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["export_to_gif", "export_to_video"]

logger = logging.getLogger(__name__)


def export_to_video(
    video_frames: Any,
    output_video_path: str | os.PathLike[str] | None = None,
    fps: float = 10,
    quality: float | None = 5.0,
    bitrate: int | None = None,
    macro_block_size: int | None = 16,
) -> str:
    """Write frames as a film, whole or not at all, in the format that its name asks for."""
    from calotype.core.films.frames import frames_of
    from calotype.core.films.kinds import KINDS, kind_of
    from calotype.core.films.writer import FilmWriter

    path = _path(output_video_path, ".mp4", "output_video_path")
    block = 1 if macro_block_size is None else macro_block_size
    if isinstance(block, bool) or not isinstance(block, int) or not 1 <= block <= 1024:
        raise InvalidArgument("macro_block_size", "1 to 1024, or None", repr(block))
    takes = KINDS[kind_of(path)]
    chosen = quality if takes.takes_quality and bitrate is None else None
    with FilmWriter(path, fps, quality=chosen, bitrate=bitrate) as film:
        for frame in frames_of(video_frames, "video_frames"):
            fitted = _in_blocks(frame, block) if takes.coded else frame
            if fitted is not frame and not film.count:
                logger.warning(
                    "frames of %d x %d are enlarged to %d x %d: macro_block_size=%d",
                    *frame.shape[1::-1], *fitted.shape[1::-1], block,
                )  # fmt: skip
            film.write(fitted)
    return str(path)


def export_to_gif(image: Any, output_gif_path: str | os.PathLike[str] | None = None, fps: float = 10) -> str:
    """Write frames as a GIF that loops, whole or not at all."""
    from calotype.core.films.frames import frames_of
    from calotype.core.films.writer import FilmWriter

    path = _path(output_gif_path, ".gif", "output_gif_path")
    with FilmWriter(path, fps, kind="gif") as film:
        film.write(frames_of(image, "image"))
    return str(path)


def _path(path: object, suffix: str, name: str) -> Path:
    """Where to write: without a wish, a new file among the temporary ones."""
    if path is None:
        handle, made = tempfile.mkstemp(suffix)
        os.close(handle)
        return Path(made)
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise InvalidArgument(name, "a path", repr(path)[:80])
    return Path(path)


def _in_blocks(frame: NDArray[np.uint8], block: int) -> NDArray[np.uint8]:
    """The frame, enlarged to whole blocks, which some players need."""
    import numpy as np
    from PIL import Image

    height, width = frame.shape[:2]
    wide, high = -(-width // block) * block, -(-height // block) * block
    if (wide, high) == (width, height):
        return frame
    return np.asarray(Image.fromarray(frame).resize((wide, high), Image.Resampling.BICUBIC))
