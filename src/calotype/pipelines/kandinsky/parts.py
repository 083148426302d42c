"""A pipeline made of another one's components, for a part of its work."""

from __future__ import annotations

from typing import Any

from calotype.core.assembly import USUAL
from calotype.core.pipeline import DiffusionPipeline


def borrowed(pipe: DiffusionPipeline, kind: type[Any], prefix: str = "") -> Any:
    """A pipeline of this kind from those components whose names begin so: offloaded and stopped with their owner."""
    made = kind(**{name: getattr(pipe, f"{prefix}{name}") for name in kind.init_names()})
    usual = {
        name.removeprefix(prefix): value
        for name, value in pipe.config.get(USUAL, {}).items()
        if name.startswith(prefix)
    }
    made.register_to_config(**({USUAL: usual} if usual else {}))
    made._offload, made._progress_options = pipe._offload, pipe._progress_options
    pipe._calls.add(made)
    return made
