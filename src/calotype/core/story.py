"""Stories: a pipeline's call is a generator, run to its end by calling it, or step by step by streaming it."""

from __future__ import annotations

import functools
import inspect
import math
import os
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol

import torch

from calotype.core.awaiting import awaited
from calotype.core.errors import Cancelled, DeadlinePassed, InvalidArgument
from calotype.core.resuming import Keeper, with_source_of_noise
from calotype.core.schema import refuse_unknown

if TYPE_CHECKING:
    from calotype.core.pipeline import DiffusionPipeline


# what every call takes beside the arguments of its signature
BESIDE = ("state_file", "state_every", "deadline", "seeds")


class Told(Protocol):
    """What a story yields: where it is, and how far it goes."""

    index: int
    total: int


class Stream(Iterator[Any]):
    """A call on its way: iterate over its steps, then read ``output``; ``cancel`` stops it between two steps.

    In asynchronous programs ``async for`` takes each step in a thread; a task that is cancelled cancels the call.
    """

    def __init__(
        self,
        pipe: DiffusionPipeline,
        tale: Generator[Any, None, Any],
        keeper: Keeper | None = None,
        deadline: float | None = None,  # seconds from now
    ) -> None:
        self.pipe = pipe
        self._tale, self._keeper, self._deadline = tale, keeper, deadline
        self._ends = math.inf if deadline is None else time.monotonic() + deadline
        self._output: Any = None
        self._ended = self._cancelled = False
        self._turn = RLock()  # of the thread that takes a step, or ends the call

    def __next__(self) -> Any:
        with self._turn:
            if self._ended:
                raise StopIteration
            try:
                if time.monotonic() > self._ends:
                    raise self._too_late()
                step = next(self._tale)
                if self._keeper:
                    self._keeper.note(step)
            except StopIteration as end:
                self._output = end.value
                self._close()
                raise
            except BaseException:
                self._close()
                raise
            if self._cancelled:  # meanwhile, by a callback or another thread
                self._close()
            return step

    def __aiter__(self) -> AsyncIterator[Any]:
        return awaited(self, self.cancel)

    def _too_late(self) -> DeadlinePassed:
        kept = f"Go on with pipe.resume({str(self._keeper.path)!r})." if self._keeper else ""
        return DeadlinePassed("deadline", f"an end within {self._deadline:g} seconds", "work left to do", kept)

    def _close(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._tale.close()
        self.pipe.maybe_free_model_hooks()
        if self._keeper:
            self._keeper.write()

    @property
    def output(self) -> Any:
        """What the call returns; walks the steps that are left."""
        for _ in self:
            pass
        if self._cancelled:
            raise Cancelled("stream", "a call that ran to its end", "one that was cancelled")
        return self._output

    def watched(self) -> Any:
        """Walk the steps that are left behind a progress bar; what the call returns."""
        with self.pipe.progress_bar(total=0) as bar:
            for step in self:
                bar.total = step.total
                bar.update(step.index + 1 - bar.n)
        return self.output

    def cancel(self) -> None:
        """Stop here, or after the step at work. The pipeline is as it was before the call."""
        if not self._ended:
            self._cancelled = True
            with self._turn:
                if inspect.getgeneratorstate(self._tale) != inspect.GEN_RUNNING:  # else a callback of the step asks
                    self._close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()


def story(tell: Callable[..., Generator[Any, None, Any]]) -> Callable[..., Any]:
    """Make a generator method a call: it runs on a copy of the pipeline that shares its components, without gradients.

    The copy's scheduler and settings are the call's own, so calls neither see each other nor leave anything behind.
    Before it begins, each argument is held against the pipeline's rule of that name.
    """
    signature = inspect.signature(tell)
    parameters = [*signature.parameters][1:]
    told = torch.no_grad()(tell)

    def begin(
        pipe: DiffusionPipeline,
        *args: Any,
        state_file: str | os.PathLike[str] | None = None,
        state_every: int | None = None,
        deadline: float | None = None,
        seeds: Sequence[int] | None = None,
        begun: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Stream:
        beside = {name: kwargs.pop(name, default) for name, default in pipe.beside_signature.items()}
        refuse_unknown(kwargs, (*parameters, *BESIDE, *beside), type(pipe).__name__)
        if deadline is not None and (isinstance(deadline, bool) or not deadline > 0):
            raise InvalidArgument("deadline", "a number of seconds above 0", repr(deadline))
        if seeds is not None:
            if kwargs.get("generator") is not None:
                raise InvalidArgument("seeds", "no generator beside them", "both", "Give one of the two.")
            kwargs["generator"] = list(seeds)
        call = pipe.for_one_call()
        call.begun = begun
        bound = signature.bind(call, *args, **kwargs)
        for name, value in pipe.usual_arguments.items():
            bound.arguments.setdefault(name, value)
        bound.apply_defaults()
        arguments = {name: bound.arguments[name] for name in parameters} | beside
        for name, value in arguments.items():
            if name in pipe.argument_rules:
                pipe.argument_rules[name](name, value)
            if name in pipe.live_settings:
                setattr(call, f"_{name}", value)
        keeper = None
        if state_file is not None:
            arguments = with_source_of_noise(arguments)
            keeper = Keeper(pipe, state_file, pipe.state_every if state_every is None else state_every, arguments)
        tale = told(call, **{name: arguments[name] for name in parameters})
        return pipe.stream_kind(call, tale, keeper, deadline)

    @functools.wraps(tell)
    def call(self: DiffusionPipeline, *args: Any, **kwargs: Any) -> Any:
        return begin(self, *args, **kwargs).watched()

    call.begin = begin  # pyright: ignore[reportAttributeAccessIssue]
    return call
