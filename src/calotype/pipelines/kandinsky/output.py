"""What the Kandinsky pipelines return."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from calotype.core.outputs import BaseOutput


@dataclass
class ImagePipelineOutput(BaseOutput):
    """Pictures."""

    images: Any


@dataclass
class KandinskyPriorPipelineOutput(BaseOutput):
    """Embeds of pictures to steer towards, and away from; taken apart, it gives the two."""

    image_embeds: Any  # (batch, width)
    negative_image_embeds: Any

    def __iter__(self) -> Iterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return iter(self.to_tuple())
