"""What pipelines and networks return: dataclasses that can also be read as a tuple or a dict."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


class BaseOutput:
    """A dataclass whose fields that are not None can also be reached by name or by position, like a dict or a tuple."""

    def to_tuple(self) -> tuple[Any, ...]:
        return tuple(value for _, value in self.items())

    def items(self) -> list[tuple[str, Any]]:
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))  # pyright: ignore[reportArgumentType]
        return [(name, value) for name, value in pairs if value is not None]

    def keys(self) -> list[str]:
        return [name for name, _ in self.items()]

    def values(self) -> list[Any]:
        return [value for _, value in self.items()]

    def get(self, key: str, default: Any = None) -> Any:
        return dict(self.items()).get(key, default)

    def __getitem__(self, key: str | int | slice) -> Any:
        return dict(self.items())[key] if isinstance(key, str) else self.to_tuple()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self, key, value)

    def __len__(self) -> int:
        return len(self.items())

    def __iter__(self):
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        return key in self.keys()
