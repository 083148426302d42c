"""Prompts that change on the way: what is told at the first step, and anew wherever a text reads otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from calotype.generation import a1111, compel
from calotype.generation.state import State, Told


def _the_same(text: str, steps: int, where: str) -> list[str]:
    """In compel's syntax nothing changes on the way; what is spelt wrong is refused all the same."""
    compel.clauses(text, where)
    return [text] * steps


# for each syntax, what each of so many steps reads of a text
TURNS: Mapping[str, Callable[[str, int, str], list[str]]] = {"a1111": a1111.turns, "compel": _the_same}


def in_turns(call: Any, texts: Mapping[str, Any], tell: Callable[[dict[str, Any]], Told]) -> Told:
    """What ``tell`` makes of the texts by their argument's name, and of the texts of later steps if the call's syntax
    has them change."""
    if call.prompt_syntax is None:
        return tell(dict(texts))
    steps = max(1, math.ceil(call.num_timesteps / call.scheduler.order))
    read = {name: _turns(call.prompt_syntax, name, given, steps) for name, given in texts.items()}
    told: dict[str, Told] = {}  # one for each wording
    later: dict[int, State] = {}
    before = ""
    for step in range(steps):
        now = {name: turns[step] for name, turns in read.items()}
        key = repr(now)
        if key not in told:
            told[key] = tell(now)
        if step and key != before:
            later[step * call.scheduler.order] = told[key].state
        before = key
    return replace(next(iter(told.values())), later=later)


def _turns(syntax: str, name: str, given: Any, steps: int) -> list[Any]:
    """What each step reads of an argument: a text, a list of texts, or nothing."""
    if given is None or isinstance(given, str):
        return [None] * steps if given is None else TURNS[syntax](given, steps, name)
    each = [TURNS[syntax](text, steps, f"{name}[{i}]") for i, text in enumerate(given)]
    return [[*now] for now in zip(*each, strict=True)]
