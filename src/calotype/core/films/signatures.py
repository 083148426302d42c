"""What a film's first bytes say it is; its name does not matter."""

from __future__ import annotations

from calotype.core.errors import CorruptFile

# What Pillow reads.
ANIMATION = (b"GIF87a", b"GIF89a", b"\x89PNG\r\n\x1a\n")

# What stands where, and FFmpeg's name of what reads it: it is told, as its guesses may end in a playlist.
DEMUXERS = (
    *((mark, 4, "mov") for mark in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")),
    (b"\x1a\x45\xdf\xa3", 0, "matroska"),
    (b"AVI ", 8, "avi"),
    (b"YUV4MPEG2 ", 0, "yuv4mpegpipe"),
)


def is_animation(start: bytes) -> bool:
    """Is this for Pillow?"""
    return start.startswith(ANIMATION) or start[:4] + start[8:12] == b"RIFFWEBP"


def is_film(path: str) -> bool:
    """Does this file begin as a film does, and not as a picture that may be animated?"""
    with open(path, "rb") as file:
        start = file.read(16)
    return start.startswith(b"GIF8") or any(start[place : place + len(mark)] == mark for mark, place, _ in DEMUXERS)


def demuxer_of(start: bytes, where: str) -> str:
    """Who in FFmpeg reads a file that starts like this."""
    for mark, place, demuxer in DEMUXERS:
        if start[place : place + len(mark)] == mark:
            return demuxer
    wanted = "a film: MP4, WebM, MKV, AVI, y4m, GIF, WebP or APNG"
    raise CorruptFile(where, wanted, f"a file that starts with {start!r}")
