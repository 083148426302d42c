"""Does a value fit an annotation? The types of constructors are the schema of the configs."""

from __future__ import annotations

import functools
import inspect
import json
import math
import types
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from calotype.core.errors import InvalidArgument, UnknownArgument


@dataclass(frozen=True)
class Range:
    """The numbers from ``low`` to ``high``, both included; stands in ``Annotated[int, Range(1, 128)]``."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


Count = Annotated[int, Range(1, 1_000_000)]
"""How many of something there are: at least one, and nothing that could only be an accident."""


class Misfit(Exception):
    """A value does not fit; the caller says which and where."""


def fit_arguments(init: Callable[..., Any], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values for the arguments of ``init``, lists made tuples where tuples are meant; misfits are refused."""
    hints = _hints(init)
    fitted: dict[str, Any] = {}
    for name, value in values.items():
        hint, default = hints.get(name, (Any, None))
        try:
            fitted[name] = value if value is default else fit(value, hint)
        except Misfit:
            raise InvalidArgument(f"{where}: {name}", describe(hint), shown(value)) from None
    return fitted


def refuse_unknown(given: Iterable[str], known: Iterable[str], who: str) -> None:
    """Refuse a keyword that is not among the known ones, with the nearest of them."""
    known = list(known)
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise UnknownArgument(f"{who} takes no {name!r}", fix=f"Did you mean {near[0]!r}?" if near else "")


def fit(value: Any, hint: Any) -> Any:
    """The value as the annotation means it, or ``Misfit``."""
    if hint is Any or hint is object:
        return value
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is None:
        return _fit_plain(value, hint)
    return _FITTERS.get(origin, _fit_instance)(value, arguments, origin)


def describe(hint: Any) -> str:
    """The annotation in the words of an error message."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return " ".join([describe(arguments[0]), *map(str, arguments[1:])])
    if origin in (Union, types.UnionType):
        return " or ".join(describe(argument) for argument in arguments)
    if origin is Literal:
        return " or ".join(shown(argument) for argument in arguments)
    if origin is tuple and arguments[1:] in ((), (...,)):
        return f"list of {describe(arguments[0])}"
    if origin is not None and arguments:
        return f"{'list' if origin is tuple else origin.__name__} of {', '.join(map(describe, arguments))}"
    return {type(None): "null"}.get(hint, getattr(hint, "__name__", str(hint)))


def shown(value: Any) -> str:
    """A value as a config file would spell it, cut where it gets long."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."


@functools.cache
def _hints(init: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    hints = get_type_hints(init, include_extras=True)
    parameters = inspect.signature(init).parameters.values()
    return {p.name: (hints.get(p.name, Any), p.default) for p in parameters}


def _fit_plain(value: Any, hint: Any) -> Any:
    number = not isinstance(value, bool)  # True is an int in Python, and a mistake in a config
    if hint is int:
        fits = number and isinstance(value, Integral)
    elif hint is float:
        fits = number and isinstance(value, Real) and math.isfinite(value)
    elif hint is None or hint is type(None):
        fits = value is None
    elif hint is tuple and isinstance(value, list):
        return tuple(value)
    else:
        fits = isinstance(value, hint)
    if not fits:
        raise Misfit
    return value


def _fit_union(value: Any, arguments: tuple[Any, ...], _: Any) -> Any:
    for argument in arguments:
        with suppress(Misfit):
            return fit(value, argument)
    raise Misfit


def _fit_annotated(value: Any, arguments: tuple[Any, ...], _: Any) -> Any:
    fitted = fit(value, arguments[0])
    for rule in arguments[1:]:
        if isinstance(rule, Range) and not rule.low <= fitted <= rule.high:
            raise Misfit
    return fitted


def _fit_literal(value: Any, arguments: tuple[Any, ...], _: Any) -> Any:
    if not any(value == argument and type(value) is type(argument) for argument in arguments):
        raise Misfit
    return value


def _fit_tuple(value: Any, arguments: tuple[Any, ...], _: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        raise Misfit
    items: tuple[Any, ...] = tuple(value)
    if arguments[-1] is ... or len(arguments) == 1:  # tuple[int] is what many write for any number of them
        return tuple(fit(item, arguments[0]) for item in items)
    if len(items) != len(arguments):
        raise Misfit
    return tuple(map(fit, items, arguments))


def _fit_list(value: Any, arguments: tuple[Any, ...], _: Any) -> Any:
    return list(_fit_tuple(value, (arguments[0], ...), tuple))


def _fit_dict(value: Any, arguments: tuple[Any, ...], _: Any) -> Any:
    if not isinstance(value, Mapping):
        raise Misfit
    items: Mapping[Any, Any] = value
    for key, item in items.items():
        fit(key, arguments[0])
        fit(item, arguments[1])
    return items


def _fit_instance(value: Any, _: tuple[Any, ...], origin: Any) -> Any:
    return _fit_plain(value, origin)


_FITTERS: dict[Any, Callable[[Any, tuple[Any, ...], Any], Any]] = {
    Union: _fit_union,
    types.UnionType: _fit_union,
    Annotated: _fit_annotated,
    Literal: _fit_literal,
    tuple: _fit_tuple,
    list: _fit_list,
    dict: _fit_dict,
}
