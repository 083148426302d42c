"""Pictures that are a film: animations that Pillow reads, folders and lists; and single ones."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from calotype.core.downloads import download, is_address, name_of
from calotype.core.errors import CorruptFile, InvalidArgument
from calotype.core.films.found import Found, MediaLimits, until_damage
from calotype.core.films.sinks import numbered
from calotype.core.paths import regular_file
from calotype.ops.pictures import plain, upright

STILLS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")

Turned = Callable[[Image.Image], Image.Image]


def animation_frames(file: BinaryIO, where: str, limits: MediaLimits, closing: ExitStack) -> Found:
    """The frames of a GIF, a WebP or an APNG, and their mean speed."""
    picture = closing.enter_context(opened_picture(file, where, limits))
    with _our_words(where):
        count = getattr(picture, "n_frames", 1)
        limits.check_count(count, where)
        speed = _speed(picture, count)
    return Found(until_damage(_animated(picture, count, where), where), speed, count)


def picture_frames(pictures: Sequence[Any], limits: MediaLimits) -> Found:
    """The pictures of a list, each read when its turn comes; they have no speed."""
    return Found((picture_from(each, limits) for each in pictures), None, len(pictures))


def picture_from(source: Any, limits: MediaLimits, turned: Turned = plain) -> Image.Image:
    """A picture, or the one at a path or an address, upright and in RGB unless it is turned into something else."""
    if isinstance(source, Image.Image):
        return _rgb(source, turned)
    if not isinstance(source, (str, os.PathLike)) or not str(source):
        found = repr(source) if isinstance(source, str) else type(source).__name__
        raise InvalidArgument("image", "a path, an address or a PIL image", found)
    if is_address(source):
        file, where = download(str(source), limits.bytes, limits.seconds), name_of(source)
    else:
        file, where = opened_file(Path(source), limits.bytes), str(source)
    with file, opened_picture(file, where, limits) as picture:
        with _our_words(where):
            picture.load()
        return _rgb(picture, turned)


def _rgb(picture: Image.Image, turned: Turned) -> Image.Image:
    return plain(picture).convert("RGB") if turned is plain else turned(upright(picture))


def opened_file(path: Path, limit: int) -> BinaryIO:
    """An ordinary file of a size that will do, open for reading."""
    size = regular_file(path).st_size
    if not size:
        raise CorruptFile(str(path), "a picture or a film", "an empty file")
    if size > limit:
        fix = "Pass limits=MediaLimits(bytes=...) to read it."
        raise InvalidArgument(str(path), f"at most {limit:,} bytes", f"{size:,}", fix)
    try:
        return open(path, "rb")
    except OSError as error:
        raise CorruptFile(str(path), "a file that can be read", error.strerror or type(error).__name__) from None


@contextlib.contextmanager
def opened_picture(file: BinaryIO, where: str, limits: MediaLimits) -> Generator[Image.Image, None, None]:
    """A picture whose size is known and will do, not yet decoded."""
    with _our_words(where), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limits are ours
        picture = Image.open(file, formats=FORMATS)
    with picture:
        limits.check_size(*picture.size, where)
        yield picture


def stills(path: Path) -> list[Path]:
    """The pictures of a folder in the order of their names, or those that a pattern such as frame_%05d.png names."""
    if path.is_dir():
        found = [each for each in path.iterdir() if each.suffix.lower() in STILLS and not each.name.startswith(".")]
        found.sort(key=lambda each: _natural(each.name))
    else:
        found = numbered(path)
    if not found:
        raise CorruptFile(str(path), f"pictures ({', '.join(STILLS)})", "none")
    return found


def _natural(name: str) -> list[tuple[int, str]]:
    """The order in which people count: frame_9 before frame_10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _speed(picture: Image.Image, count: int) -> float | None:
    """Frames per second over the whole; those of a GIF are not shown equally long."""
    shown, seen = 0.0, 0
    with contextlib.suppress(OSError, ValueError, EOFError, SyntaxError, IndexError):  # damage is said with the pixels
        for seen in range(count):
            picture.seek(seen)
            if picture.format == "WEBP":  # it is said with the pixels there
                picture.load()
            shown += float(picture.info.get("duration", 0))
        seen = count
    return 1000 * seen / shown if shown else None


def _animated(picture: Image.Image, count: int, where: str) -> Iterator[Image.Image]:
    for i in range(count):
        with _our_words(where):
            picture.seek(i)
            frame = plain(picture.copy()).convert("RGB")
        yield frame


@contextlib.contextmanager
def _our_words(where: str) -> Generator[None, None, None]:
    """What goes wrong in Pillow is a fault of the file."""
    try:
        yield
    except Image.UnidentifiedImageError:
        raise CorruptFile(where, f"a picture ({', '.join(FORMATS)})", "something else") from None
    except (Image.DecompressionBombError, MemoryError):
        raise CorruptFile(where, "a picture of a usual size", "one far too large") from None
    except (CorruptFile, InvalidArgument):
        raise
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError) as error:
        raise CorruptFile(where, "a whole picture", f"one that is damaged ({str(error)[:80]})") from None
