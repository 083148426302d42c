"""Arguments that a call was given and has no use for: the peer takes them in silence."""

from __future__ import annotations

import logging

logger = logging.getLogger("calotype.pipelines.helios")


def say_unused(reason: str, **given: bool) -> None:
    """Tell of those that were given, and are of no use for this reason."""
    names = [name for name, there in given.items() if there]
    if names:
        logger.warning("%s: not used, as %s", ", ".join(names), reason)
