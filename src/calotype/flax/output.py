"""What the pipelines of JAX return."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from calotype.core.outputs import BaseOutput


@dataclass
class FlaxStableDiffusionPipelineOutput(BaseOutput):
    """Pictures (batch, height, width, channels) in [0, 1], and for each whether the safety checker blocked it."""

    images: Any
    nsfw_content_detected: list[bool] | None

    def replace(self, **updates: Any) -> FlaxStableDiffusionPipelineOutput:
        """The same with other values in these fields."""
        return dataclasses.replace(self, **updates)
