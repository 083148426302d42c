"""How the tokens of a long sequence are shared out among devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor

from calotype.ops.attention import attend

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]  # of query, key and value: (batch, heads, tokens, width) each


class Spread(Protocol):
    """The seam between a network and several devices: all layers work on a part of the tokens, attention sees them all.

    A network hands each kind of token, and what belongs to it, to ``part`` on its own; so a part has of each kind.
    """

    def agree(self, *facts: Any) -> None:
        """Refuse work that is another elsewhere: these facts of it are the same on all devices, tensors to rounding."""
        ...

    def part(self, tokens: Tensor) -> Tensor:
        """What this device has of the tokens (1 or batch, tokens, ...)."""
        ...

    def attention(self, kinds: Sequence[int]) -> Attention:
        """What this device's queries see among the keys of all devices, if so many tokens of each kind were shared out.

        Queries may be those of the last kinds alone.
        """
        ...

    def whole(self, tokens: Tensor, total: int) -> Tensor:
        """The tokens (batch, tokens, ...) of one kind of all devices, in the order they had before ``part``."""
        ...


class Alone:
    """All tokens on one device."""

    def agree(self, *facts: Any) -> None: ...

    def part(self, tokens: Tensor) -> Tensor:
        return tokens

    def attention(self, kinds: Sequence[int]) -> Attention:
        return attend

    def whole(self, tokens: Tensor, total: int) -> Tensor:
        return tokens


ALONE = Alone()
