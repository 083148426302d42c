"""Progress bars: one look, switched off in one place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def bar(iterable: Iterable[Any] | None = None, total: float | None = None, **options: Any) -> Any:
    """A tqdm bar over an iterable or up to a total."""
    from tqdm.auto import tqdm

    return tqdm(iterable, total=total, **options)
