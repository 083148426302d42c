"""Several networks that are one component of a pipeline."""

from __future__ import annotations

from torch import nn


class Bundle(nn.Module):
    """Networks side by side: the first under the component's name, the others with a number after it."""

    nets: nn.ModuleList

    def apart(self, name: str) -> dict[str, nn.Module]:
        """Each network by the name of its folder."""
        return {f"{name}_{i}" if i else name: net for i, net in enumerate(self.nets)}
