"""Stories: a pipeline's call is a generator, run to its end by calling it, or step by step by streaming it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import torch

from calotype.core.errors import Cancelled
from calotype.core.schema import refuse_unknown

if TYPE_CHECKING:
    from calotype.core.pipeline import DiffusionPipeline


class Told(Protocol):
    """What a story yields: where it is, and how far it goes."""

    index: int
    total: int


class Stream(Iterator[Any]):
    """A call on its way: iterate over its steps, then read ``output``; ``cancel`` stops it between two steps."""

    def __init__(self, pipe: DiffusionPipeline, tale: Generator[Any, None, Any]) -> None:
        self.pipe = pipe
        self._tale = tale
        self._output: Any = None
        self._ended = self._cancelled = False

    def __next__(self) -> Any:
        if self._ended:
            raise StopIteration
        try:
            return next(self._tale)
        except StopIteration as end:
            self._output = end.value
            self._close()
            raise
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        self._ended = True
        self._tale.close()
        self.pipe.maybe_free_model_hooks()

    @property
    def output(self) -> Any:
        """What the call returns; walks the steps that are left."""
        for _ in self:
            pass
        if self._cancelled:
            raise Cancelled("stream", "a call that ran to its end", "one that was cancelled")
        return self._output

    def cancel(self) -> None:
        """Stop here. The pipeline is as it was before the call."""
        if not self._ended:
            self._cancelled = True
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

    def begin(pipe: DiffusionPipeline, *args: Any, **kwargs: Any) -> Stream:
        refuse_unknown(kwargs, parameters, type(pipe).__name__)
        call = pipe.for_one_call()
        bound = signature.bind(call, *args, **kwargs)
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            if name in pipe.argument_rules:
                pipe.argument_rules[name](name, value)
            if name in pipe.live_settings:
                setattr(call, f"_{name}", value)
        return Stream(call, told(*bound.args, **bound.kwargs))

    @functools.wraps(tell)
    def call(self: DiffusionPipeline, *args: Any, **kwargs: Any) -> Any:
        stream = begin(self, *args, **kwargs)
        with self.progress_bar(total=0) as bar:
            for step in stream:
                bar.total = step.total
                bar.update(step.index + 1 - bar.n)
        return stream.output

    call.begin = begin  # pyright: ignore[reportAttributeAccessIssue]
    return call
