"""What the Stable Diffusion pipelines return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calotype.core.outputs import BaseOutput


@dataclass
class StableDiffusionPipelineOutput(BaseOutput):
    """Pictures, and for each whether the safety checker blocked it (None where none looked)."""

    images: Any
    nsfw_content_detected: list[bool] | None
