"""Brownian motion that is the same however it is asked about."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

TICK = 6  # decimals to which times are told apart


@dataclass(frozen=True)
class BrownianTree:
    """A Brownian path that a seed fixes at all times at once (arXiv 2001.01328 and 2105.13493, section 4 of each).

    A path over an interval is a bridge: it is halved, with noise that belongs to that half alone, until the time that
    is asked about is at an end. Nothing is remembered, so the path may be shared, copied, and walked in any order.
    """

    seed: int
    low: float
    high: float
    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"

    def between(self, start: float, end: float) -> torch.Tensor:
        """Standard normal noise: how far the path gets from one time to another, over the root of their distance."""
        return (self.at(end) - self.at(start)) / math.sqrt(abs(end - start))

    def at(self, time: float) -> torch.Tensor:
        """The path at a time, from where it is at the lower end."""
        low, high = round(self.low, TICK), round(self.high, TICK)
        time = min(max(round(time, TICK), low), high)
        begun, width = torch.zeros(self.shape, device=self.device), self.high - self.low
        rise = self.noise((), 3) * math.sqrt(width)
        branch, depth = 0, 0
        while low < time < high:
            middle = round((low + high) / 2, TICK)
            part = (middle - low) / (high - low)
            wobble = math.sqrt((high - middle) * part)
            first = part * rise + wobble * self.noise((branch, depth), 4)
            later = time >= middle
            if later:
                low, begun, rise = middle, begun + first, rise - first
            else:
                high, rise = middle, first
            branch, depth = 2 * branch + later, depth + 1
        return begun if time <= low else begun + rise

    def noise(self, branch: tuple[int, ...], words: int) -> torch.Tensor:
        """The noise of a branch; its seed is the first of as many words, which is part of what the words are."""
        state = np.random.SeedSequence(self.seed, spawn_key=branch, pool_size=24).generate_state(words)
        generator = torch.Generator(self.device).manual_seed(int(state[0]))
        return torch.randn(self.shape, generator=generator, device=self.device, dtype=self.dtype).float()
