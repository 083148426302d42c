"""Arrays that cost more to make than to learn from: a team makes them once, in parts, and they stay on disk."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calotype.core.atomic import write_atomic
from training import team
from training.studio import log


def hoarded(folder: Path, name: str, parts: int, make: Callable[[int], NDArray[np.float16]]) -> Tensor:
    """The parts one after the other; each member of a team makes its share of those that are not there yet."""
    member, members = team.place()
    paths = [folder / f"{name}-{part:03}.npy" for part in range(parts)]
    for part in range(member, parts, members):
        if not paths[part].exists():
            content = io.BytesIO()
            np.save(content, make(part))
            write_atomic(paths[part], [content.getbuffer()])
            log.info("%s: %d of %d parts", name, part + 1, parts)
    team.wait()
    return torch.cat([torch.from_numpy(np.load(path)) for path in paths])
