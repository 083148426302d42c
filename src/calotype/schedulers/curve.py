"""The noise that training used: one noise level per training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ..core.errors import InvalidArgument
from .checks import chosen

BetaSchedule = Literal["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace", "exp"]


@dataclass(frozen=True)
class Curve:
    """How much of the picture is left after each training step.

    float32 is part of the numbers: checkpoints were trained with levels rounded to it, and at the clean end
    the rounding of ``1 - alphas_cumprod`` is worth 0.03 %.
    """

    betas: np.ndarray  # (steps,) float32
    faintest: float = 0.0  # what stands for an alphas_cumprod of zero where a solver divides by it
    root: Callable[[np.ndarray], np.ndarray] = np.sqrt  # a solver may need another library's rounding

    @cached_property
    def alphas_cumprod(self) -> np.ndarray:
        left = np.cumprod((1 - self.betas).astype(np.float64)).astype(np.float32)
        left[-1] = max(left[-1], self.faintest)
        return left

    @cached_property
    def ratios(self) -> np.ndarray:
        """Noise over signal at each training step, ascending."""
        with np.errstate(divide="ignore"):
            squared = (1 - self.alphas_cumprod) / self.alphas_cumprod
        return self.root(squared).astype(np.float64)

    @property
    def steps(self) -> int:
        return len(self.betas)

    def ratios_at(self, timesteps: np.ndarray) -> np.ndarray:
        """Noise over signal at timesteps, between training steps too."""
        place = np.clip(timesteps, 0, self.steps - 1)
        before = np.floor(place).astype(np.int64)
        low, high = self.ratios[before], self.ratios[np.minimum(before + 1, self.steps - 1)]
        part = place - before
        with np.errstate(invalid="ignore"):  # the last ratio may be infinite
            return np.where(part > 0, low + part * (high - low), low)

    def timesteps_at(self, ratios: np.ndarray) -> np.ndarray:
        """The timesteps at which training saw these noise-to-signal ratios; float32 levels, as the results are cut."""
        # where a faintest level was put in at the end, the few before it are noisier than it: they are passed over
        levels = np.log(np.maximum.accumulate(self.ratios).astype(np.float32))
        return np.interp(np.log(np.maximum(ratios, 1e-10)), levels, np.arange(self.steps))

    def __deepcopy__(self, _: Any) -> Curve:
        return self


def make_curve(
    steps: int,
    schedule: str,
    start: float,
    end: float,
    trained: Sequence[float] | np.ndarray | None = None,
    zero_snr: bool = False,
    faintest: float = 0.0,
) -> Curve:
    """The curve of a named beta schedule, or of betas that are given."""
    if isinstance(steps, bool) or steps < 1:
        raise InvalidArgument("num_train_timesteps", "at least 1", repr(steps))
    if trained is not None:
        betas = np.asarray(trained, dtype=np.float32)
        if betas.shape != (steps,):
            raise InvalidArgument("trained_betas", f"num_train_timesteps={steps} numbers", f"shape {betas.shape}")
    else:
        chosen("beta_schedule", schedule, SCHEDULES)
        betas = SCHEDULES[schedule](steps, start, end).astype(np.float32)
    if not (np.isfinite(betas).all() and betas.min() >= 0 and betas.max() <= 1):
        where = f"beta_start={start}, beta_end={end}" if trained is None else "trained_betas"
        raise InvalidArgument(where, "betas from 0 to 1", f"betas from {betas.min():g} to {betas.max():g}")
    if not zero_snr:
        return Curve(betas)
    return Curve(without_signal_at_the_end(betas), faintest)


def without_signal_at_the_end(betas: np.ndarray) -> np.ndarray:
    """Betas rescaled so that the last training step is pure noise (arXiv 2305.08891, algorithm 1)."""
    root = np.sqrt(Curve(betas).alphas_cumprod)
    first, last = root[0].copy(), root[-1].copy()
    left = ((root - last) * (first / (first - last))) ** 2
    return 1 - np.concatenate([left[:1], left[1:] / left[:-1]])


def _line(start: float, end: float, steps: int) -> np.ndarray:
    """Evenly spaced float32 values, counted from the nearer end: rounded as torch.linspace rounds them."""
    low, high = np.float32(start), np.float32(end)
    stride = np.float64((high - low) / np.float32(max(steps - 1, 1)))
    index = np.arange(steps)
    counted = np.where(index < steps // 2, low + stride * index, high - stride * (steps - 1 - index))
    return counted.astype(np.float32)


def _linear(steps: int, start: float, end: float) -> np.ndarray:
    return _line(start, end, steps)


def _scaled_linear(steps: int, start: float, end: float) -> np.ndarray:
    return _line(start**0.5, end**0.5, steps) ** 2


def _sigmoid(steps: int, start: float, end: float) -> np.ndarray:
    return (1 / (1 + np.exp(-_line(-6, 6, steps)))) * np.float32(end - start) + np.float32(start)


def _from_left(left: Callable[[np.ndarray], np.ndarray]) -> Callable[[int, float, float], np.ndarray]:
    """Betas that leave ``left(t)`` of the signal's power at time t in [0, 1]; no step takes more than 0.999."""

    def betas(steps: int, _start: float, _end: float) -> np.ndarray:
        kept = left(np.arange(steps + 1) / steps)
        return np.minimum(1 - kept[1:] / kept[:-1], 0.999)

    return betas


def _cosine(t: np.ndarray) -> np.ndarray:
    return np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2


def _laplace(t: np.ndarray) -> np.ndarray:
    snr = np.exp(-0.5 * np.sign(0.5 - t) * np.log(1 - 2 * np.abs(0.5 - t) + 1e-6))
    return np.sqrt(snr / (1 + snr))


def _exponential(t: np.ndarray) -> np.ndarray:
    return np.exp(-12 * t)


SCHEDULES: dict[str, Callable[[int, float, float], np.ndarray]] = {
    "linear": _linear,
    "scaled_linear": _scaled_linear,
    "squaredcos_cap_v2": _from_left(_cosine),
    "sigmoid": _sigmoid,
    "laplace": _from_left(_laplace),
    "exp": _from_left(_exponential),
}
