"""Pictures and films on their way in, under the path where the peer has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, overload

from calotype.core.errors import InvalidArgument

if TYPE_CHECKING:
    from PIL import Image

    from calotype.core.films.found import MediaLimits

__all__ = ["load_image", "load_video"]


def load_image(
    image: Any,
    convert_method: Callable[[Image.Image], Image.Image] | None = None,
    *,
    limits: MediaLimits | None = None,
) -> Image.Image:
    """The picture at a path or an address, upright and in RGB, or as ``convert_method`` makes it."""
    from calotype.core.films.found import USUAL
    from calotype.core.films.pictures import picture_from
    from calotype.ops.pictures import plain

    return picture_from(image, limits or USUAL, convert_method or plain)


@overload
def load_video(
    video: Any,
    convert_method: Callable[[list[Image.Image]], list[Image.Image]] | None = None,
    return_fps: Literal[False] = False,
    *,
    limits: MediaLimits | None = None,
) -> list[Image.Image]: ...
@overload
def load_video(
    video: Any,
    convert_method: Callable[[list[Image.Image]], list[Image.Image]] | None = None,
    *,
    return_fps: Literal[True],
    limits: MediaLimits | None = None,
) -> tuple[list[Image.Image], float]: ...
def load_video(
    video: Any,
    convert_method: Callable[[list[Image.Image]], list[Image.Image]] | None = None,
    return_fps: bool = False,
    *,
    limits: MediaLimits | None = None,
) -> list[Image.Image] | tuple[list[Image.Image], float]:
    """All frames of a film, and how many it shows in a second; a ``FilmReader`` gives them one by one."""
    from calotype.core.films.found import USUAL
    from calotype.core.films.reader import FilmReader

    limits = limits or USUAL
    frames: list[Image.Image] = []
    held = 0
    with FilmReader(video, limits) as film:
        if return_fps and film.fps is None:
            raise InvalidArgument("return_fps", "False for pictures that have no speed", "True")
        for frame in film:
            size = 3 * frame.width * frame.height
            held += size
            # the frames of a film are of one size, those of a folder need not be
            needed = max(held, size * (film.expected or 0)) if film.fps else held
            if needed > limits.memory:
                fix = "Read it with FilmReader, or pass limits=MediaLimits(memory=...)."
                raise InvalidArgument(
                    film.where, f"at most {limits.memory:,} bytes of frames", f"{needed:,} or more", fix
                )
            frames.append(frame)
    told = frames if convert_method is None else convert_method(frames)
    return (told, film.fps) if return_fps and film.fps is not None else told
