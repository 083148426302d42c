"""What pocket films are asked, and how often they are right, by the judge: for their card and for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.exams import Marks
from training.film_captions import plain
from training.film_judge import Verdict, judge, watch
from training.films import CHUNK, RATE, Take, changed, take
from training.judge import UNKNOWN
from training.world import SIDE

AT_ONCE = 10  # films in one call
SHOT = 4 * CHUNK  # frames that are judged at once: a second and a half
FACTS = tuple(Verdict.__dataclass_fields__)
Films = NDArray[np.uint8]


def unseen(count: int, seed: int = 0) -> list[Take]:
    """Takes whose look and way were kept from training."""
    rng = np.random.default_rng([seed, 33])
    return [take(rng, unseen=True) for _ in range(count)]


def filmed(pipe: Any, chunks: int, seed: int = 0, **options: Any) -> Films:
    """What a call films: (films, frames, height, width, 3)."""
    length = {"num_frames": chunks * CHUNK, "exact_frames": True}
    stream = pipe.stream(height=SIDE, width=SIDE, generator=seed, output_type="uint8", **length, **options)
    return np.concatenate([np.asarray(chunk.frames) for chunk in stream], axis=1)


def prompted(pipe: Any, prompts: Sequence[str], chunks: int, **options: Any) -> Films:
    """The films of prompts."""
    parts = [prompts[first : first + AT_ONCE] for first in range(0, len(prompts), AT_ONCE)]
    films = [filmed(pipe, chunks, place, prompt=[*part], **options) for place, part in enumerate(parts)]
    return np.concatenate(films)


def judged(films: Films, takes: Sequence[Take]) -> Marks:
    """How often each fact is right, shot by shot."""
    return shares(
        [
            judge(film[first : first + SHOT], one)
            for film, one in zip(films, takes, strict=True)
            for first in range(0, len(film), SHOT)
        ]
    )


def shares(verdicts: Sequence[Verdict]) -> Marks:
    """How often each fact was right, from 0 to 1."""
    return {fact: float(np.mean([getattr(one, fact) for one in verdicts])) for fact in FACTS}


def prompts(pipe: Any, count: int, shots: int = 2, **options: Any) -> Marks:
    """Whether films show what their prompts tell, in combinations never trained."""
    takes, films = answers(pipe, count, shots, **options)
    return judged(films, takes)


def answers(pipe: Any, count: int, shots: int, **options: Any) -> tuple[list[Take], Films]:
    """Combinations never trained, and the films of prompts that tell all of them."""
    takes = unseen(count)
    told = [plain(one, ground=True, speed=True) for one in takes]
    return takes, prompted(pipe, told, shots * SHOT // CHUNK, **options)


def mistaken(films: Films, takes: Sequence[Take]) -> float:
    """How often a film passes for that of the next prompt."""
    verdicts = [judge(film, other) for film, other in zip(films, [*takes[1:], takes[0]], strict=True)]
    return float(np.mean([one.colour and one.shape and one.direction for one in verdicts]))


def drift(pipe: Any, count: int, seconds: float = 60, **options: Any) -> Marks:
    """How often long films are right in their first tenth and in their last."""
    shots = int(np.ceil(seconds * RATE / SHOT))
    tenth, takes = max(1, shots // 10) * SHOT, unseen(count, seed=1)
    films = prompted(pipe, [plain(one, ground=True) for one in takes], shots * SHOT // CHUNK, **options)
    first, last = judged(films[:, :tenth], takes), judged(films[:, -tenth:], takes)
    facts = ("colour", "shape", "ground", "direction")
    return {
        f"{fact}, {when}": marks[fact]
        for when, marks in (("first tenth", first), ("last tenth", last))
        for fact in facts
    }


def changes(pipe: Any, count: int, before: int = 3, after: int = 3, **options: Any) -> Marks:
    """How often what a new prompt tells is there in the third chunk after it was told, of parts that it changed."""
    rng = np.random.default_rng(34)
    marks: dict[str, list[bool]] = {fact: [] for fact in FACTS if fact != "speed"}
    for seed, one in enumerate(unseen(count, seed=2)):
        other = changed(one, rng, unseen=True)
        told = [(0, plain(one, ground=True)), (before * CHUNK / RATE, plain(other, ground=True))]
        film = filmed(pipe, before + after, seed, timeline=told, **options)[0]
        verdict = judge(film[-CHUNK:], other)
        for fact, found in marks.items():
            if getattr(one, fact) != getattr(other, fact):
                found.append(getattr(verdict, fact))
    return {fact: float(np.mean(found)) for fact, found in marks.items() if found}


def untold(pipe: Any, count: int, chunks: int = 8, **options: Any) -> Marks:
    """How often what no prompt tells, ground and speed, is in each later chunk what it was in the first."""
    films = prompted(pipe, [plain(one) for one in unseen(count, seed=3)], chunks, **options)
    seen = [[watch(chunk) for chunk in np.split(film, chunks)] for film in films]
    kept = {
        fact: [getattr(one, fact) == getattr(first, fact) != UNKNOWN for first, *later in seen for one in later]
        for fact in ("ground", "speed")
    }
    return {fact: float(np.mean(found)) for fact, found in kept.items()}
