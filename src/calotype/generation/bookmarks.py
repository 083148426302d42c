"""Bookmarks: where a walk is, and what is needed to go on from there as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from calotype.core.errors import InvalidArgument
from calotype.generation.state import State


@dataclass(frozen=True)
class Walk:
    """A walk about to begin: its call, its generators, and the scheduler's attributes before the first step."""

    call: Any
    generator: Any
    fresh: Mapping[str, Any]

    def bookmark(self, walked: int, state: State) -> dict[str, Any]:
        """The place after so many steps. Values are those of now: what comes later does not change them."""
        sources = self.generator if isinstance(self.generator, list) else [self.generator]
        return {
            "walked": walked,
            "state": dict(state),
            "settings": {name: getattr(self.call, f"_{name}") for name in self.call.live_settings},
            "scheduler": {
                name: _as_now(value) for name, value in vars(self.call.scheduler).items() if self.moved(name)
            },
            "generators": [source.get_state() for source in sources if source is not None],
        }

    def moved(self, name: str) -> bool:
        """Whether steps change this attribute of the scheduler."""
        value = vars(self.call.scheduler)[name]
        return hasattr(value, "append") or value is not self.fresh.get(name)

    def go_on(self, begun: Mapping[str, Any], state: State, total: int) -> int:
        """Be where a bookmark is; returns how many steps were walked."""
        if begun["walked"] > total:
            raise InvalidArgument("bookmark", f"at most {total} steps walked", str(begun["walked"]))
        state |= begun["state"]
        for name, value in begun["settings"].items():
            setattr(self.call, f"_{name}", value)
        for name, value in begun["scheduler"].items():
            setattr(self.call.scheduler, name, value)
        sources: list[torch.Generator] = self.generator if isinstance(self.generator, list) else [self.generator]
        for source, told in zip(sources, begun["generators"], strict=True):
            source.set_state(told)
        return begun["walked"]


def _as_now(value: Any) -> Any:
    """The value, or a copy of what is appended to."""
    return value.copy() if hasattr(value, "append") else value
