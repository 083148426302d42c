"""What the Helios pipelines return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calotype.core.outputs import BaseOutput


@dataclass
class HeliosPipelineOutput(BaseOutput):
    """Films: an array or tensor (film, frame, ...), a list of lists of pictures, or latents."""

    frames: Any
