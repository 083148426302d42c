"""Plain data out of files as values: what does not fit is the file's fault, and said."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from calotype.core.errors import CorruptFile, InvalidArgument, UnknownArgument
from calotype.core.schema import fit_arguments

T = TypeVar("T")


def value_of(kind: type[T], document: Any, where: str) -> T:
    """The dataclass that a document tells, each field of its type; what the document says beyond it is left alone."""
    if not isinstance(document, Mapping):
        raise CorruptFile(where, "an object", type(document).__name__)
    fields = inspect.signature(kind).parameters
    known = {name: document[name] for name in fields if name in document}
    missing = [name for name, field in fields.items() if field.default is field.empty and name not in known]
    if missing:
        raise CorruptFile(f"{where}: {missing[0]}", "a value", "nothing")
    with fault_of_the_file():
        return kind(**fit_arguments(kind.__init__, known, where))


@contextmanager
def fault_of_the_file() -> Generator[None, None, None]:
    """What is wrong with an argument in here came out of a file."""
    try:
        yield
    except (InvalidArgument, UnknownArgument) as error:
        raise CorruptFile(error.where, error.expected, error.found, error.fix) from None
