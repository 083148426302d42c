"""Which adapters count for a network, and how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from calotype.adapters.changes import Change


class Adapter:
    """The changes of one adapter to one network, by layer."""

    def __init__(self, name: str, changes: Mapping[str, Change]) -> None:
        self.name, self.changes = name, dict(changes)


Weights = Mapping[str, float]  # of an adapter's layers


@dataclass(frozen=True)
class Choice:
    """Which adapters count, and how much; a call keeps the one that it began with, and with it the adapters."""

    chosen: tuple[tuple[Adapter, Weights], ...] = ()
    enabled: bool = True
    by_layer: Mapping[str, tuple[tuple[str, Change, float], ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found: dict[str, tuple[tuple[str, Change, float], ...]] = {}
        for adapter, weights in self.chosen if self.enabled else ():
            for layer, change in adapter.changes.items():
                if weights[layer]:
                    found[layer] = (*found.get(layer, ()), (adapter.name, change, weights[layer]))
        object.__setattr__(self, "by_layer", found)

    @property
    def weights(self) -> dict[str, Weights]:
        """What was chosen, by the adapters' names."""
        return {adapter.name: weights for adapter, weights in self.chosen}

    def without(self, name: str) -> Choice:
        return replace(self, chosen=tuple(pair for pair in self.chosen if pair[0].name != name))
