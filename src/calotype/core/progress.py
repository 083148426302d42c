"""Progress bars: one look, switched off in one place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

shown = True  # of bars that do not say themselves


def bar(iterable: Iterable[Any] | None = None, total: float | None = None, **options: Any) -> Any:
    """A tqdm bar over an iterable or up to a total."""
    from tqdm.auto import tqdm

    quiet: dict[str, Any] = {} if shown else {"disable": True}
    return tqdm(iterable, total=total, **quiet | options)
