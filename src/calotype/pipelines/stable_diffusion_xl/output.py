"""What the Stable Diffusion XL pipelines return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calotype.core.outputs import BaseOutput


@dataclass
class StableDiffusionXLPipelineOutput(BaseOutput):
    """Pictures."""

    images: Any
