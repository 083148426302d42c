"""What is asked, of whom, and what was answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

ROOT = Path(__file__).parent.parent
LIBRARIES = {"ours": "calotype", "peer": "diffusers"}
QUIET = {"HF_HUB_OFFLINE": "1", "DIFFUSERS_VERBOSITY": "error", "TRANSFORMERS_VERBOSITY": "error"}
Found = TypeVar("Found")


@dataclass(frozen=True)
class Place:
    """Where and how large to measure."""

    folder: Path  # of a saved StableDiffusionPipeline, in fp32
    tiny: Path  # of one that takes no time
    picture: int  # pixels a side
    quick: bool  # only to see that everything runs

    @property
    def latents(self) -> int:
        return self.picture // (2 if self.quick else 8)  # the tiny autoencoder halves, the true one has three halvings


@dataclass(frozen=True)
class Goal:
    """Ours is at most ``times`` the other side and ``plus`` as much again, in the question's unit."""

    times: float = 1.0
    plus: float = 0.0

    def __str__(self) -> str:
        return f"≤ {self.times:g} x" if not self.plus else f"≤ + {self.plus:g}"


@dataclass(frozen=True)
class Question:
    """One thing to measure on two sides, ours first."""

    name: str
    unit: str  # s or MB
    sides: dict[str, Callable[[], float]]
    goal: Goal
    rounds: int = 5
    warm: int = 1  # rounds that do not count


@dataclass(frozen=True)
class Answer:
    """What both sides took, round by round."""

    name: str
    unit: str
    other: str  # with whom we compare
    ours: list[float]
    theirs: list[float]
    times: float
    plus: float

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios: neighbours in time suffer from the same noise."""
        return median(ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True))

    @property
    def met(self) -> bool:
        excess = [ours - self.times * theirs - self.plus for ours, theirs in zip(self.ours, self.theirs, strict=True)]
        return median(excess) <= 0

    def line(self) -> str:
        sides = (f"{min(values):9.3f} / {median(values):9.3f} {self.unit:2}" for values in (self.ours, self.theirs))
        goal = f"{Goal(self.times, self.plus)} {'met' if self.met else 'MISSED'}"
        return f"{self.name:44} {'  '.join(sides)}  {self.ratio:6.2f} x {self.other:6}  {goal}"

    def row(self) -> str:
        """The answer as a row of a table in Markdown."""
        ours, theirs = (
            f"{median(values):.{3 if self.unit == 's' else 0}f} {self.unit}" for values in (self.ours, self.theirs)
        )
        who = "" if self.other == "peer" else f" ({self.other})"
        goal = f"{Goal(self.times, self.plus)}, {'met' if self.met else 'missed'}"
        return f"| {self.name} | {ours} | {theirs}{who} | {self.ratio:.2f} | {goal} |"

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": round(self.ratio, 3), "met": self.met}


def ask(question: Question, quick: bool) -> Answer:
    """Measure both sides in turn, the first of one round being the last of the next."""
    warm, rounds = (0, 1) if quick else (question.warm, question.rounds)
    found: dict[str, list[float]] = {side: [] for side in question.sides}
    for number in range(warm + rounds):
        for side in sorted(found, reverse=bool(number % 2)):
            found[side].append(round(question.sides[side](), 4))
    (_, ours), (other, theirs) = found.items()
    goal = question.goal
    return Answer(question.name, question.unit, other, ours[warm:], theirs[warm:], goal.times, goal.plus)


def library(side: str) -> Any:
    """Our package, or the peer's, imported now."""
    return import_module(LIBRARIES[side])


def fresh(function: Callable[..., Found], *arguments: str) -> Callable[[], Found]:
    """The function's result in a process of its own, in which nothing was imported before."""
    code = (
        "import importlib, json, sys; module, name, *rest = sys.argv[1:]; "
        "print(json.dumps(getattr(importlib.import_module(module), name)(*rest)))"
    )
    command = [sys.executable, "-c", code, function.__module__, function.__name__, *arguments]

    def run() -> Found:
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        done = subprocess.run(command, cwd=ROOT, env=inherited | QUIET, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command[3:])} failed:\n{done.stderr[-3000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    return run
