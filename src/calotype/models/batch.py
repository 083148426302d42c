"""What a tokenizer or an image processor hands to a network."""

from __future__ import annotations

from typing import Any

from calotype.core.errors import InvalidArgument


class Batch(dict[str, Any]):
    """Values by item or by attribute."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(name)

    def to(self, *args: Any, **kwargs: Any) -> Batch:
        """The same on another device; for tensors."""
        return Batch({name: value.to(*args, **kwargs) for name, value in self.items()})


def stacked(values: list[Any], kind: str | None, fix: str = "") -> Any:
    """The rows as one tensor ("pt") or one array ("np"), or as they are; ``fix`` is what to do about unequal ones."""
    if kind is None:
        return values
    if kind not in ("pt", "np"):
        raise InvalidArgument("return_tensors", "'pt', 'np' or None", repr(kind))
    import numpy as np

    try:
        array = np.array(values)
    except ValueError:
        raise InvalidArgument("return_tensors", "rows of one shape", "several shapes", fix) from None
    if kind == "np":
        return array
    import torch

    return torch.from_numpy(array)
