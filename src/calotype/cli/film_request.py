"""What is asked of a film, as the arguments that its pipeline is called with."""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calotype.cli.asked import Wanted
from calotype.cli.names import filled, numbered
from calotype.cli.request import opened
from calotype.core.errors import InvalidArgument

if TYPE_CHECKING:
    from calotype.generation.timeline_files import Entry

USUAL_SECONDS = 5.0
STAGED = "pyramid_num_inference_steps_list"


class Steps(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]  (older releases take none)
    """A whole number, or one for each stage."""

    name = "steps"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if not re.fullmatch(r"[0-9]{1,5}(,[0-9]{1,5})*", str(value)):
            self.fail(f"expected a whole number, or one for each stage as in 2,2,2, found {value!r}", param, ctx)
        return tuple(map(int, str(value).split(",")))


class Positive(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """A finite number above 0."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            self.fail(f"expected a number above 0, found {value!r}", param, ctx)
        return number


@dataclass(frozen=True)
class FilmRequest:
    """What was asked for, beside the model, the prompt, the seed and the name."""

    seconds: float | None = None
    frames: int | None = None
    endless: bool = False
    fps: float | None = None
    size: tuple[int, int] | None = None
    steps: tuple[int, ...] | None = None
    guidance: float | None = None
    negative: str | None = None
    image: str | None = None
    video: str | None = None
    timeline: str | None = None
    timeline_id: str | None = None

    def __post_init__(self) -> None:
        for one, other in (("seconds", "frames"), ("endless", "seconds"), ("endless", "frames"), ("image", "video")):
            if getattr(self, one) and getattr(self, other):
                raise click.UsageError(f"--{one} and --{other}: give one of them.")
        if self.timeline_id is not None and self.timeline is None:
            raise click.UsageError("--timeline-id needs --timeline: the file that it is in.")

    def entries(self, prompt: str | None) -> list[Entry] | None:
        """The timeline, if there is one in place of a prompt."""
        if (prompt is None) == (self.timeline is None):
            raise click.UsageError("Give a PROMPT, or --timeline FILE with prompts and their times.")
        if self.timeline is None:
            return None
        from calotype.generation.timeline_files import read_timeline

        return read_timeline(self.timeline, self.timeline_id)

    def shown(self) -> dict[str, Any]:
        """The picture or the frames that the film begins with."""
        if self.image:
            return {"image": opened(self.image)}
        if self.video:
            from calotype.utils import load_video

            return {"video": load_video(self.video)}
        return {}

    def arguments(self, pipe: Any, entries: list[Entry] | None, shown: dict[str, Any]) -> dict[str, Any]:
        """The arguments of the call, but for the prompt and the seed."""
        fps = self.fps or float(pipe.beside_signature["fps"])
        width, height = self.size or (None, None)
        told = {
            "width": width,
            "height": height,
            "guidance_scale": self.guidance,
            "negative_prompt": self.negative,
            "timeline": None if entries is None else timeline_for(pipe, fps, entries),
            **self._steps(pipe),
            **shown,
        }
        lasts = {"num_frames": self._frames(fps), "exact_frames": True, "fps": fps}
        return {name: value for name, value in told.items() if value is not None} | lasts

    def _frames(self, fps: float) -> int | None:
        if self.endless:
            return None
        return self.frames or max(1, round((self.seconds or USUAL_SECONDS) * fps))

    def _steps(self, pipe: Any) -> dict[str, Any]:
        if self.steps is None:
            return {}
        steps = [*self.steps]
        if STAGED not in inspect.signature(type(pipe).__call__).parameters:
            if len(steps) > 1:
                found = ",".join(map(str, steps))
                raise InvalidArgument("--steps", f"one number, as {type(pipe).__name__} has no stages", found)
            return {"num_inference_steps": steps[0]}
        stages = pipe.scheduler.config.stages
        return {STAGED: steps * stages if len(steps) == 1 else steps}


def timeline_for(pipe: Any, fps: float, entries: list[Entry]) -> list[list[Any]]:
    """The timeline as a list, if a film of this speed can follow it; errors say where in the file they are."""
    from calotype.generation.timeline import timeline_of

    timeline_of(entries, pipe.frames_in({}) / fps)
    return [entry.plain for entry in entries]


def film_path(output: str, prompt: str, seed: int, overwrite: bool) -> Path:
    """The name of the film: where that is taken, a number follows it, unless it may be overwritten."""
    from calotype.core.films.kinds import kind_of
    from calotype.core.films.reels import pictures_of
    from calotype.core.films.sinks import part_of, pattern_of
    from calotype.core.paths import safe_name

    path = Path(filled(output, Wanted(1, prompt, seed)))
    safe_name(path.name, "-o")
    if kind_of(path) == "png":
        pattern_of(path)
    # a film that was stopped lies beside the name it will have
    free = (each for each in numbered(path) if not (each.exists() or part_of(each).exists() or pictures_of(each)))
    return path if overwrite else next(free)


def check_format(path: Path | None, fps: float | None) -> None:
    """Refuse a film that could not be written there, or to standard output, at that speed."""
    from calotype.core.films.kinds import checked, kind_of
    from calotype.core.films.plan import planned

    checked("y4m" if path is None else kind_of(path), planned(fps or 24, None, None, None, str(path)))
