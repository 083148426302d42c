"""The stages of Helios: which part of the noise is taken away at which size of the picture (arXiv 2410.05954).

numpy in float64: the tables are compared to the last digit, and no tensor is touched.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..core.errors import InvalidArgument
from .checks import whole

TOP = 0.999
"""The largest share of noise that training saw in a stage."""


@dataclass(frozen=True)
class Stage:
    """One size of the picture, walked from ``start`` to ``end``; both, and ``ori_start``, are shares of noise."""

    ori_start: float  # where the stage before ended
    start: float  # what became of it when the picture was enlarged and noise was added
    end: float
    kept: float  # alpha: how much of the enlarged picture is kept on entering
    added: float  # beta: how much noise, correlated within its blocks, is added to it
    ratios: tuple[float, float]  # which part of the whole way this stage is
    timesteps: np.ndarray  # one for each training step, descending
    levels: np.ndarray  # beside them: each stage walks from noise to a picture on a line of its own

    def __deepcopy__(self, _: Any) -> Stage:
        return self

    def line(self, steps: int, spare: int) -> tuple[np.ndarray, np.ndarray]:
        """Timesteps and levels of so many steps, as if ``spare`` more came after them."""
        timesteps, levels = (
            np.linspace(table[0], table[-1], steps + spare)[:steps] for table in (self.timesteps, self.levels)
        )
        return timesteps, levels

    def timesteps_at(self, levels: np.ndarray) -> np.ndarray:
        """The timesteps of shares of noise that were shifted: straight from the last of the stage to its first."""
        first, last = self.timesteps[0], self.timesteps[-1]
        return last + levels * (first - last)


def shares(total: int, shift: float) -> np.ndarray:
    """The share of noise at each training step, from noise to the picture; float64, shifted."""
    line = (1 - 1 / total) * (1 - np.arange(total) / total)
    return shift * line / (1 + (shift - 1) * line)


def stages_of(total: int, shift: float, bounds: Sequence[float], gamma: float) -> tuple[Stage, ...]:
    """The stages between these bounds, which are shares of the training steps."""
    table = shares(total, shift)
    begins = [table[int(bound * total)] for bound in bounds[:-1]]
    entered = [entrance(float(begin), gamma, first=not place) for place, begin in enumerate(begins)]
    ends = [*begins[1:], 0.0]
    lengths = [start - end for (start, _, _), end in zip(entered, ends, strict=True)]
    reached = np.append(0.0, np.cumsum(lengths) / sum(lengths))
    reached[-1] = np.nextafter(1.0, 0.0)  # the whole way is a place behind the last
    levels = np.linspace(TOP, 0, total, endpoint=False)
    stages: list[Stage] = []
    for place, (start, kept, added) in enumerate(entered):
        low, high = float(reached[place]), float(reached[place + 1])
        first = min(table[int(low * total)], TOP) * total
        last = table[min(int(high * total), total - 1)] * total
        timesteps = np.linspace(first, last, total, endpoint=False)
        stages.append(
            Stage(float(begins[place]), start, float(ends[place]), kept, added, (low, high), timesteps, levels)
        )
    return tuple(stages)


def entrance(ori_start: float, gamma: float, first: bool) -> tuple[float, float, float]:
    """Where a stage starts, and how much of the picture and of noise is mixed there (section 3.2 of the paper).

    Each value of the enlarged picture stands in a block of four; noise with a correlation of ``-gamma`` within the
    block brings the correlation back to none.
    """
    if first:
        return ori_start, 1.0, 0.0
    signal = 1 - ori_start
    spread = math.sqrt(1 + 1 / gamma) * (1 - signal) + signal
    return 1 - signal / spread, 1 / spread, (1 - signal) / math.sqrt(gamma) / spread


def bounds_of(stages: int, stage_range: Sequence[float], total: int) -> tuple[float, ...]:
    """The checked bounds of so many stages; a single stage is the whole way, whatever is written beside it."""
    if whole("stages", stages, 1, total) == 1:
        return 0.0, 1.0
    bounds = tuple(map(float, stage_range))
    steps = [int(bound * total) if 0 <= bound <= 1 else -1 for bound in bounds]
    ascending = all(low < high for low, high in pairwise(steps))
    if len(bounds) != stages + 1 or steps[0] != 0 or steps[-1] != total or not ascending:
        wanted = f"{stages + 1} numbers that rise from 0 to 1, as stages={stages}"
        raise InvalidArgument("stage_range", wanted, str(list(stage_range)))
    return bounds


def correlated(gamma: float) -> float:
    """The checked ``gamma``: noise of blocks of four cannot be correlated by less than minus a third."""
    if not 0 < gamma <= 1 / 3:
        raise InvalidArgument("gamma", "a number above 0, up to 1/3", repr(gamma))
    return gamma


def suited_shift(tokens: int, config: Mapping[str, Any]) -> float | None:
    """``mu``, the shift that suits so many tokens, if a scheduler's config asks for one; never cut at the ends."""
    if not config.get("use_dynamic_shifting"):
        return None
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    slope = (high - low) / (many - few)
    return tokens * slope + (low - slope * few)
