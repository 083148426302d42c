"""The values of a query: each once, each of its kind, or refused by its name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from calotype.core.errors import InvalidArgument
from calotype.remote.heads import MAX_ELEMENTS, Head, Pairs


class Told:
    """The values of a query by name; a name told twice, but for shape, is refused."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def text(self, name: str, default: str = "") -> str:
        values = self.all(name)
        if len(values) > 1:
            raise InvalidArgument(name, "one value", f"{len(values)}")
        return values[0] if values else default

    def yes(self, name: str) -> bool:
        return one_of(name, self.text(name, "False"), ("True", "False", "true", "false")).lower() == "true"

    def number(self, name: str) -> float | None:
        told = self.text(name)
        if not told:
            return None
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", told[:64], re.ASCII):
            raise InvalidArgument(name, "a number", repr(told[:40]))
        return float(told)

    def whole(self, name: str) -> int | None:
        told = self.text(name)
        return whole_number(name, told) if told else None

    def head(self, limit: int = MAX_ELEMENTS) -> Head:
        return Head(tuple(whole_number("shape", side) for side in self.all("shape")), self.text("dtype"), limit)


def whole_number(name: str, told: str) -> int:
    if not re.fullmatch(r"\d{1,12}", told, re.ASCII):
        raise InvalidArgument(name, "a whole number", repr(told[:40]))
    return int(told)


def given(**values: Any) -> Pairs:
    return [(name, str(value)) for name, value in values.items() if value is not None]


def one_of(name: str, value: str, choices: Iterable[str]) -> str:
    if value not in choices:
        raise InvalidArgument(name, f"one of {', '.join(choices)}", repr(value)[:60])
    return value


def check_factors(scaling: float | None, shift: float | None) -> None:
    for name, value in (("scaling_factor", scaling), ("shift_factor", shift)):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (number and math.isfinite(value) and abs(value) < 1e6):
            raise InvalidArgument(name, "a number from -1e6 to 1e6", repr(value)[:40])
    if scaling is not None and abs(scaling) < 1e-6:
        raise InvalidArgument("scaling_factor", "a number that one can divide by", repr(scaling))
