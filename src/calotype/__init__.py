"""calotype: pictures and long video from prompts.

Importing it loads nothing heavy: public names arrive when they are first used. ``__init__.pyi`` tells type checkers.
"""

from typing import Any

from calotype.core.names import PUBLIC, public

__version__ = "0.1.0"
__all__ = [*PUBLIC, "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'calotype' has no attribute {name!r}")
    found = globals()[name] = public(name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
