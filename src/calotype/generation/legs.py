"""Calls that are parts of a longer one: one walk in two legs, counted, stopped and resumed as a whole."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from calotype.core.story import Stream
from calotype.generation.state import Step


def leg(
    call: Any, place: int, begin: Callable[..., Stream], before: int = 0, after: int = 0
) -> Generator[Step, None, tuple[Any, int]]:
    """Walk the leg at this place, with so many steps before and after it; its output, and the steps so far.

    ``begin`` begins its stream, at a bookmark or at its start. A leg that a bookmark has behind it is walked again,
    in silence: noise is drawn as it was, and what comes after is the same to the last bit.
    """
    begun: dict[str, Any] = call.begun or {"leg": -1}
    here, behind = begun["leg"] == place, begun["leg"] > place
    walked = begun["walked"] if here else before
    with begin(begun={**begun, "walked": walked - before} if here else None) as stream:
        if call.interrupt:
            stream.pipe._interrupt = True
        for step in stream:
            walked = before + step.index + 1
            if not behind:
                bookmark = {**step.bookmark, "walked": walked, "leg": place}
                yield replace(step, index=walked - 1, total=before + step.total + after, bookmark=bookmark)
        return stream.output, walked
