"""Prompts as they were meant: without the marks that editors, web pages and wrong encodings leave."""

from __future__ import annotations

import functools
import html
import logging
from collections.abc import Callable

logger = logging.getLogger("calotype.generation.cleaning")


def cleaned(text: str) -> str:
    """The text with broken characters repaired, HTML's names of characters spelt out, and single spaces."""
    repair = repairer()
    if repair is None and not text.isascii():
        say_unrepaired()
    repaired = repair(text) if repair else text
    # twice: what was escaped twice stands in many captions of the web
    return " ".join(html.unescape(html.unescape(repaired)).split())


def repairer() -> Callable[[str], str] | None:
    """What repairs text that was decoded by the wrong table, where it is installed."""
    try:
        from ftfy import fix_text
    except ImportError:
        return None
    return fix_text


@functools.cache
def say_unrepaired() -> None:
    """Say once that prompts are read as they are."""
    logger.warning("ftfy is not installed: broken characters of prompts stay. pip install 'calotype[video]' brings it")
