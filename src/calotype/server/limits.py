"""What the server takes and how long it waits: one table, each line of it an option of ``calotype serve``."""

from __future__ import annotations

from dataclasses import dataclass, field


def _bound(default: int, told: str) -> int:
    return field(default=default, metadata={"told": told})


@dataclass(frozen=True)
class Limits:
    """Nothing beyond these is begun."""

    max_body: int = _bound(64 << 20, "Bytes of one tensor that is sent.")
    max_upload: int = _bound(20 << 20, "Bytes of one PNG that is sent.")
    max_side: int = _bound(4096, "Pixels of a picture's side.")
    max_pixels: int = _bound(1 << 24, "Pixels of a request, all its pictures together.")
    max_film: int = _bound(512 << 20, "Bytes of one film that is sent to be encoded.")
    max_frames: int = _bound(1024, "Frames of a request, all its films together.")
    max_film_pixels: int = _bound(1 << 26, "Pixels of a request's films, all frames together.")
    max_waiting: int = _bound(64, "Requests that may be here at once.")
    max_waiting_each: int = _bound(32, "Requests of one client that may be here at once.")
    max_rate: int = _bound(6000, "Requests of one client in a minute.")
    max_held: int = _bound(1 << 30, "Bytes that requests and their answers may take at once.")
    max_connections: int = _bound(1024, "Connections at once.")
    max_connections_each: int = _bound(64, "Connections of one address at once.")
    pass_pixels: int = _bound(1 << 20, "Pixels that go through a VAE at once, where one picture is not more.")
    tile_side: int = _bound(1024, "Pixels of the tiles that larger pictures are worked on in.")
    head_timeout: int = _bound(10, "Seconds for a request's headers.")
    body_timeout: int = _bound(30, "Seconds for a request's body, and as many more as it has times 64 KiB.")
    queue_timeout: int = _bound(120, "Seconds that a request may wait for its turn.")
    work_timeout: int = _bound(300, "Seconds that work may take.")
    stall_timeout: int = _bound(30, "Seconds that a client may read nothing of its answer.")
    drain_timeout: int = _bound(30, "Seconds for what was begun, once the server is told to end.")
