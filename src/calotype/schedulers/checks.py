"""Checks at the door of every scheduler: a choice from a table, a count of steps, a walk given by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, TypeVar

import numpy as np

from ..core.errors import InvalidArgument

Given = TypeVar("Given")


def needed(where: str, value: Given | None) -> Given:
    """The value, which the signature could do without and this call cannot."""
    if value is None:
        raise InvalidArgument(where, "a value for this step", "None")
    return value


def chosen(where: str, choice: object, choices: Iterable[str | None]) -> None:
    """Refuse what is not among the choices, naming them."""
    known = list(choices)
    if choice not in known:
        raise InvalidArgument(where, f"one of {', '.join(map(str, known))}", repr(choice))


def at_most_one(switches: dict[str, Any]) -> str | None:
    """The name of the one switch that is on, or None; several contradict each other."""
    on = [name for name, value in switches.items() if value]
    if len(on) > 1:
        raise InvalidArgument(on[0], "at most one of these switched on", " and ".join(on))
    return on[0] if on else None


def whole(where: str, value: object, low: int, high: int) -> int:
    """The value, if it is a whole number within the bounds."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) <= high:
        raise InvalidArgument(where, f"a whole number from {low} to {high}", repr(value))
    return int(value)


def descending(where: str, values: Sequence[float] | np.ndarray, low: float, high: float) -> np.ndarray:
    """Values given by hand as float64: finite, within the bounds, and each below the one before."""
    try:
        walk = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidArgument(where, "a list of numbers", repr(values)) from None
    if walk.ndim != 1 or not walk.size:
        raise InvalidArgument(where, "a flat list with at least one number", f"shape {walk.shape}")
    for index, value in enumerate(walk):
        if not low <= value <= high:  # a NaN is within no bounds
            raise InvalidArgument(f"{where}[{index}]", f"a number from {low:g} to {high:g}", f"{value:g}")
        if index and value >= walk[index - 1]:
            raise InvalidArgument(f"{where}[{index}]", f"less than {walk[index - 1]:g} before it", f"{value:g}")
    return walk
