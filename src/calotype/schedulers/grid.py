"""The points a solver visits: which timesteps, and how much signal and noise there is at each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from ..core.errors import InvalidArgument
from .checks import chosen, descending
from .curve import Curve

Spacing = Literal["linspace", "leading", "trailing"]
FinalSigma = Literal["zero", "sigma_min"]
Space = Literal["vp", "ve", "flow"]


class Point(NamedTuple):
    """``alpha`` of the picture plus ``sigma`` of noise."""

    alpha: float
    sigma: float

    @property
    def size(self) -> float:
        """The standard deviation of the sample, for a picture and a noise of one each."""
        return math.hypot(self.alpha, self.sigma)

    @property
    def ratio(self) -> float:
        return self.sigma / self.alpha if self.alpha else math.inf

    @property
    def lam(self) -> float:
        """Half the logarithm of the signal-to-noise ratio."""
        return -math.log(self.ratio) if self.ratio else math.inf


SPACES: dict[str, Callable[[float], Point]] = {
    # the variance stays 1; written so that a ratio of infinity is pure noise
    "vp": lambda s: Point(1 / math.hypot(1, s), 1 / math.hypot(1, 1 / s) if s else 0.0),
    "ve": lambda s: Point(1.0, s),  # the variance explodes
    "flow": lambda s: Point(1 - s, s),  # a straight line from the picture to the noise
}
"""What a level means, by space: the noise-to-signal ratio, or for flow the share of noise."""


@dataclass(frozen=True)
class Grid:
    """Timesteps for the network, and noise levels: where each step starts, and then where the last one ends."""

    timesteps: np.ndarray
    levels: np.ndarray
    space: str = "vp"

    @cached_property
    def points(self) -> tuple[Point, ...]:
        return tuple(map(SPACES[self.space], self.levels.tolist()))

    @property
    def steps(self) -> int:
        return len(self.levels) - 1

    def __deepcopy__(self, _: Any) -> Grid:
        return self


# -- spacings: descending timesteps ---------------------------------------------------------------------------------


def linspace(steps: int, total: int, reach: int, extra: int) -> np.ndarray:
    return np.linspace(0, reach - 1, steps + extra)[::-1][:steps]


def leading(steps: int, total: int, reach: int, extra: int) -> np.ndarray:
    return (np.arange(steps + extra) * (reach // (steps + extra)))[::-1][:steps].astype(np.float64)


def trailing(steps: int, total: int, reach: int, extra: int) -> np.ndarray:
    return np.round(np.arange(reach, 0, -total / steps))[:steps] - 1


SPACINGS: dict[str, Callable[[int, int, int, int], np.ndarray]] = {
    "linspace": linspace,
    "leading": leading,
    "trailing": trailing,
}

# -- ramps: levels from high to low, whatever the timesteps ---------------------------------------------------------


def karras(high: float, low: float, steps: int, rho: float = 7.0) -> np.ndarray:
    """Even in the seventh root (arXiv 2206.00364, equation 5)."""
    return np.linspace(high ** (1 / rho), low ** (1 / rho), steps) ** rho


def exponential(high: float, low: float, steps: int) -> np.ndarray:
    """Even in the logarithm."""
    return np.exp(np.linspace(math.log(high), math.log(low), steps))


def beta(high: float, low: float, steps: int, shape: float = 0.6) -> np.ndarray:
    """Crowded at both ends, as the quantiles of a beta distribution (arXiv 2407.12173)."""
    return low + (high - low) * beta_quantile(1 - np.linspace(0, 1, steps), shape, shape)


RAMPS: dict[str, Callable[[float, float, int], np.ndarray]] = {
    "karras": karras,
    "exponential": exponential,
    "beta": beta,
    "lu": exponential,  # even in lambda, arXiv 2211.01095 appendix: the same levels
}


def beta_quantile(probability: np.ndarray, a: float, b: float) -> np.ndarray:
    """Where the beta distribution reaches a probability, by halving where its power series converges fast."""
    k = np.arange(60)

    def below(x: np.ndarray, a: float, b: float) -> np.ndarray:
        rising = np.cumprod(np.append(1.0, (k[:-1] + 1 - b) / (k[:-1] + 1)))  # of (1 - t) ** (b - 1)
        return x**a * (x[..., None] ** k * rising / (a + k)).sum(-1) * math.gamma(a + b) / math.gamma(a) / math.gamma(b)

    def in_lower_half(p: np.ndarray, a: float, b: float) -> np.ndarray:
        x, step = np.full(p.shape, 0.25), 0.125
        for _ in range(60):
            x, step = x + np.where(below(x, a, b) < p, step, -step), step / 2
        return np.where(p <= 0, 0.0, x)

    p = np.asarray(probability, dtype=np.float64)
    low = p <= below(np.array(0.5), a, b)
    return np.where(low, in_lower_half(p, a, b), 1 - in_lower_half(1 - p, b, a))


# -- plans ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """How a solver chooses its points: what its class fixes and what its options say."""

    space: Space = "vp"
    spacing: str = "linspace"
    offset: int = 0  # added to leading timesteps
    extra: int = 0  # 1: one more timestep is spread, and the cleanest left out
    whole: bool = True  # timesteps are whole numbers
    rounds: str | None = None  # a ramp whose timesteps are, even if the others' are not
    ramp: str | None = None
    across: Literal["curve", "walk"] = "curve"  # a ramp spans the whole curve, or the levels of the spaced timesteps
    high: float | None = None  # where a ramp starts and ends, if not there
    low: float | None = None
    final: str = "zero"
    reach: int | None = None  # only the timesteps below this one are spaced
    total: int | None = None  # spaced as if training had so many steps
    shift: float = 1.0  # flow: above 1, more steps at high noise
    terminal: float | None = None  # flow: the level of the last timestep
    pure: bool = False  # flow: the walk begins at noise alone

    def __post_init__(self) -> None:
        chosen("timestep_spacing", self.spacing, SPACINGS)
        chosen("final_sigmas_type", self.final, FINALS)

    def timesteps(self, steps: int, total: int) -> np.ndarray:
        """Descending timesteps, spread over the training steps."""
        total = self.total or total
        spaced = SPACINGS[self.spacing](steps, total, self.reach or total, self.extra)
        spaced = spaced + self.offset if self.spacing == "leading" else spaced
        return np.round(spaced) if self.whole else spaced

    def clipped(self, curve: Curve, lam_min: object) -> Plan:
        """The plan without the timesteps at which half the logarithm of the signal-to-noise ratio is below a bound."""
        lam = -np.log(curve.ratios)
        if not isinstance(lam_min, (int, float)) or not lam_min <= lam[0]:
            raise InvalidArgument("lambda_min_clipped", f"a number up to {lam[0]:.3g}", repr(lam_min))
        too_noisy = int(np.count_nonzero(lam < lam_min))
        return replace(self, reach=curve.steps - too_noisy) if too_noisy else self

    def walk(self, curve: Curve, steps: int) -> Grid:
        """The grid of so many steps down the curve."""
        if self.space == "flow":
            line = np.linspace(1, 1 / curve.steps, steps + 1)
            return self.through_flow(curve, line[:-1] if self.pure else (1 - line)[:0:-1])
        timesteps = self.timesteps(steps, curve.steps)
        if timesteps[0] > curve.steps - 1:
            raise InvalidArgument(
                "steps_offset", f"timesteps up to {curve.steps - 1}", f"{timesteps[0]:g} with {steps} steps"
            )
        levels = curve.ratios_at(timesteps)
        if not np.diff(levels).all():
            raise InvalidArgument("num_inference_steps", f"fewer, so that {self.spacing} timesteps differ", str(steps))
        if self.ramp:
            levels = self.ramped(curve, levels)
            timesteps = curve.timesteps_at(levels)
        return self.finish(curve, timesteps, levels)

    def whole_curve(self, curve: Curve) -> Grid:
        """The grid of all training steps."""
        return replace(self, ramp=None, spacing="linspace", extra=0, reach=None).walk(curve, curve.steps)

    def through_timesteps(self, curve: Curve, timesteps: Sequence[float] | np.ndarray) -> Grid:
        """The grid of timesteps given by hand."""
        if self.ramp:
            raise InvalidArgument("timesteps", f"None, as the levels follow the {self.ramp} ramp", "timesteps")
        given = descending("timesteps", timesteps, 0, curve.steps - 1)
        return self.finish(curve, given, curve.ratios_at(given))

    def through_levels(self, curve: Curve, levels: Sequence[float] | np.ndarray) -> Grid:
        """The grid of noise levels given by hand, the one at which the walk ends included."""
        given = descending("sigmas", levels, 0, float(np.finfo(np.float32).max))
        if len(given) < 2:
            raise InvalidArgument(
                "sigmas", "at least two levels, the last one being where the walk ends", str(len(given))
            )
        return Grid(curve.timesteps_at(given[:-1]).astype(np.float32), given, self.space)

    def through_flow(self, curve: Curve, line: np.ndarray) -> Grid:
        """The grid of shares of noise, as they are before they are shifted."""
        levels = np.minimum(self.shifted(line), 1 - 1e-6)  # the logarithm of a signal of zero is no place to start from
        return self.finish(curve, levels * curve.steps, levels)

    def shifted(self, line: np.ndarray) -> np.ndarray:
        """Shares of noise, shifted and stretched to their terminal."""
        levels = self.shift * line / (1 + (self.shift - 1) * line)
        if self.terminal is None:
            return levels
        if levels[-1] >= 1:
            raise InvalidArgument("shift_terminal", "a walk with a second level to stretch", "one of noise alone")
        return 1 - (1 - levels) * (1 - self.terminal) / (1 - levels[-1])

    def ramped(self, curve: Curve, levels: np.ndarray) -> np.ndarray:
        """As many levels, along the ramp."""
        high, low = (levels[0], levels[-1]) if self.across == "walk" else (curve.ratios[-1], curve.ratios[0])
        high, low = (high if self.high is None else self.high), (low if self.low is None else self.low)
        if not 0 < low <= high < math.inf:
            raise InvalidArgument("sigma_min, sigma_max", "0 < sigma_min <= sigma_max", f"{low:g} and {high:g}")
        ramp = RAMPS[self.ramp or "exponential"](float(high), float(low), len(levels))
        return np.clip(ramp, low, high)  # roots and powers may step over the ends by a rounding

    def finish(self, curve: Curve, timesteps: np.ndarray, levels: np.ndarray) -> Grid:
        """The grid of these points: timesteps in their own type, and the level at which the last step ends."""
        if self.whole:
            # these two ramps were always rounded, the others always cut
            timesteps = (np.round(timesteps) if self.ramp in ("karras", "lu") else timesteps).astype(np.int64)
        else:
            rounded = self.ramp is not None and self.ramp == self.rounds
            timesteps = (np.round(timesteps) if rounded else timesteps).astype(np.float32)
        return Grid(timesteps, np.append(levels, FINALS[self.final](curve)), self.space)


FINALS: dict[str, Callable[[Curve], float]] = {
    "zero": lambda curve: 0.0,
    "sigma_min": lambda curve: float(curve.ratios[0]),
}
