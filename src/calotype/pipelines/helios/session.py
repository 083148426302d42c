"""A film that is directed while it is made."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from threading import Condition
from typing import Any

import torch

from calotype.core.atomic import check_writable
from calotype.core.errors import InvalidArgument, Unready
from calotype.core.resuming import StateFile, beside_bookmark, reopen, with_source_of_noise
from calotype.generation.checks import check_texts, count
from calotype.generation.film import Chunk, Chunks, Taken
from calotype.generation.timeline import BLEND, LAST, Cut, Timeline, chunk_of, cut_at, timeline_of
from calotype.pipelines.helios.bookmarks import beginning, check_bookmark

Bookmark = dict[str, Any] | None  # of the beginning there is none


class Session(Chunks):
    """A film whose prompt may change while it is made: iterate over its chunks; direct it from this thread or another.

    A bookmark is kept of each of the last ``remember`` chunks, and the film can go back to any of them.
    """

    def __init__(
        self,
        pipe: Any,
        arguments: dict[str, Any],
        remember: int,
        begun: Bookmark = None,
        timeline: Timeline | None = None,
    ) -> None:
        for name, value in arguments.items():
            if name in pipe.argument_rules:
                pipe.argument_rules[name](name, value)
        if arguments.get("seeds") is not None and arguments.get("generator") is None:
            arguments = {**arguments, "generator": [*arguments["seeds"]], "seeds": None}
        self._state_file, every = arguments.get("state_file"), arguments.get("state_every")
        self._every = pipe.state_every if every is None else every
        count(1, LAST)("state_every", self._every)
        if self._state_file is not None:
            check_writable(self._state_file)
        self._pipe, self._remember, self._turn = pipe, remember, Condition()
        self._arguments = with_source_of_noise({"generator": None, "num_frames": None, **arguments})
        self._arguments.pop("state_file", None)  # the session writes it, not each stream
        self._sources = twins(self._arguments["generator"])  # as they are before the first chunk
        self._fps = float(arguments.get("fps", pipe.beside_signature["fps"]))
        self.timeline = timeline or self._timeline(arguments)
        if arguments.get("timeline") is not None:
            self._arguments |= {"prompt": self.timeline.cuts[0].texts[0], "timeline": None}
        self._paused = self._stopped = self._working = self._unwritten = False
        self._fault = ""  # the error that broke the chunk at work
        self._bookmarks: OrderedDict[int, Bookmark] = OrderedDict()
        self._wanted: int | None = None  # the chunk to go back to
        self._begin(begun)

    # ------------------------------------------------------------------ watching

    def steps(self) -> Iterator[Taken | Chunk]:
        """Each step as it is taken, and each chunk as it is finished. It waits while the session is paused."""
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._stopped or not self._paused)
                if self._stopped:
                    return
                if self._wanted is not None:
                    self._stream.cancel()
                    self._begin(self._bookmarks[self._wanted])
                if self._fault:
                    broken = f"one that broke with {self._fault}"
                    raise Unready(f"chunk {self._place}", "one that was made", broken, f"seek({self._place}) goes on.")
                self._underway = self._working = True
            told = self._step()
            if told is None:
                return
            yield told

    @property
    def chunk(self) -> int:
        """The number of the chunk that comes next."""
        return self._place if self._wanted is None else self._wanted

    @property
    def seconds(self) -> float:
        """How long a chunk lasts."""
        return self._window / self._fps

    @property
    def _window(self) -> int:
        """How many frames a chunk has."""
        return self._pipe.frames_in(self._arguments)

    # ------------------------------------------------------------------ directing

    def set_prompt(self, text: str, at: Any = "next", blend: int = BLEND) -> int:
        """From the next chunk that has not begun, a chunk (a number) or a time ("7.5s", "1:30") on, tell this.

        It comes in over ``blend`` chunks; 1 changes at once. Returns the number of the chunk.
        """
        with self._turn:
            free = self.chunk
            if self._wanted is None:
                free = max(free + self._underway, self._seen + 1)
            chunk = free if at == "next" else chunk_of("at", at, self.seconds)
            if chunk < free:
                fix = f"Go back with seek({chunk}) first."
                raise InvalidArgument("at", f"chunk {free} or later, as those before have begun", f"chunk {chunk}", fix)
            cut = cut_at(chunk, text, blend, "", "text")
            self._check_cut(cut)
            self.timeline.add(cut)
            self._write_anew()
            return chunk

    def pause(self) -> None:
        """Hold the film after the present step; whoever iterates waits."""
        with self._turn:
            self._paused = True

    def go_on(self) -> None:
        """Go on after a pause."""
        with self._turn:
            self._paused = False
            self._turn.notify_all()

    def stop(self) -> None:
        """End the film after the present step; it can be resumed from its state file."""
        with self._turn:
            self._stopped = True
            self._turn.notify_all()
            if not self._working:
                self._close()

    def seek(self, chunk: int) -> None:
        """Go back: the next chunk is this one. The timeline stays; what is told anew from there on is a new film."""
        with self._turn:
            self._wanted = self._remembered(chunk)
            self._write_anew()

    def branch(self, chunk: int | None = None) -> Session:
        """Another session that goes its own way from a chunk, the next one if none is named. Both share the model."""
        with self._turn:
            begun = self._bookmarks[self._remembered(self.chunk if chunk is None else chunk)]
            timeline = Timeline(self.timeline.cuts)
        return Session(self._pipe, self._told(), self._remember, begun, timeline)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the place before the next chunk to a file, from which ``resume_session`` goes on."""
        with self._turn:
            self._write_to(path)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _leave(self) -> None:
        self.stop()

    # ------------------------------------------------------------------ behind it

    def _timeline(self, arguments: dict[str, Any]) -> Timeline:
        """What is told from the beginning."""
        if arguments.get("timeline") is not None:
            return timeline_of(arguments["timeline"], self.seconds)
        prompt = arguments.get("prompt")
        if prompt is not None and not isinstance(prompt, str):
            fix = 'Prompts that take turns are a timeline: timeline=[(0, "first"), (5, "then")], starts in seconds.'
            raise InvalidArgument("prompt", "one text, as a session makes one film", type(prompt).__name__, fix)
        embeds = arguments.get("prompt_embeds")
        if embeds is not None and len(embeds) != 1:
            raise InvalidArgument("prompt_embeds", "those of one text, as a session makes one film", f"{len(embeds)}")
        return Timeline([Cut(0, () if prompt is None else (*check_texts("prompt", prompt),))])

    def _told(self) -> dict[str, Any]:
        """The arguments of the call, with generators that it may change."""
        return {**self._arguments, "generator": twins(self._sources)}

    def _begin(self, begun: Bookmark) -> None:
        """Stand after a bookmark, or before the first chunk."""
        begun = begun and {**begun, "timeline": None}  # what is told now, and later, is told
        self._stream = self._pipe.stream(**self._told(), begun=begun)
        self._stream.pipe._timeline = self.timeline  # the very one, which others change
        self._steps, self._wanted, self._seen = self._stream.steps(), None, -1  # the last chunk seen to begin
        self._fault = ""
        self._note(begun)

    def _step(self) -> Taken | Chunk | None:
        """Take a step; where none is left, or it fails, or the session was stopped, the stream is closed."""
        told = None
        try:
            told = next(self._steps, None)
        except BaseException as fault:
            self._fault = type(fault).__name__
            raise
        finally:
            with self._turn:
                self._working = False
                if isinstance(told, Chunk):
                    self._made(told)
                elif told:  # after its last step the next chunk may begin before this one is handed out
                    ended = told.index + 1 == told.total
                    self._seen = told.chunk + (ended and self._stream.pipe.works_ahead)
                if told is None or self._stopped:
                    self._close()
        return told

    def _made(self, chunk: Chunk) -> None:
        """A chunk is finished, unless it was interrupted."""
        if chunk.bookmark:
            self._note(chunk.bookmark)
            self._unwritten = True
            if self._place % self._every == 0:
                self._write()

    def _close(self) -> None:
        """Nothing is at work: let go of the model, and have the last word in the state file."""
        self._stream.cancel()
        self._write()

    def _write_anew(self) -> None:
        """Something was told: the state file says it."""
        self._unwritten = True
        self._write()

    def _write(self) -> None:
        """Bring the state file up to date, if there is one and it is not."""
        if self._state_file is not None and self._unwritten:
            self._write_to(self._state_file)
            self._unwritten = False

    def _write_to(self, path: str | os.PathLike[str]) -> None:
        told = self._told()
        kept = beside_bookmark(self._pipe, told) if self._bookmarks[self.chunk] else told
        StateFile(self._pipe, path, kept).write(self._here())

    def _here(self) -> dict[str, Any]:
        """The place before the next chunk, what was heard last, and what is heard from there on."""
        begun = self._bookmarks[self.chunk]
        return {**begun, "timeline": self.timeline.since(self.chunk - 1)} if begun else beginning(self.timeline)

    def _note(self, bookmark: Bookmark) -> None:
        """Stand here; the oldest place is forgotten."""
        self._place, self._underway = bookmark["walked"] if bookmark else 0, False
        self._bookmarks[self._place] = bookmark
        self._bookmarks.move_to_end(self._place)
        while len(self._bookmarks) > self._remember + 1:
            self._bookmarks.popitem(last=False)

    def _check_cut(self, cut: Cut) -> None:
        """The film gets there, and the words before can give way to these."""
        frames, given = self._arguments["num_frames"], self._arguments.get("prompt_embeds")
        end = LAST if frames is None else -(-frames // self._window)
        if cut.chunk >= end:
            raise InvalidArgument("at", f"a chunk before the film's end, at most {end - 1}", f"chunk {cut.chunk}")
        length = self._arguments.get("max_sequence_length", 512)
        if given is not None and cut.blend > 1 and given.shape[1] != length:
            fix = "Or change at once, with blend=1."
            raise InvalidArgument("max_sequence_length", f"{given.shape[1]}, as prompt_embeds", f"{length}", fix)

    def _remembered(self, chunk: Any) -> int:
        if type(chunk) is not int or chunk not in self._bookmarks:
            known = f"{min(self._bookmarks)} to {max(self._bookmarks)}"
            raise InvalidArgument("chunk", f"one of the chunks that are remembered, {known}", repr(chunk))
        return chunk


def twins(generator: Any) -> Any:
    """Generators that will draw the same, each a new one; a seed is one already."""
    if isinstance(generator, torch.Generator):
        twin = torch.Generator(generator.device)
        twin.set_state(generator.get_state())
        return twin
    return [twins(each) for each in generator] if isinstance(generator, (list, tuple)) else generator


def resumed(pipe: Any, state_file: str | os.PathLike[str], remember: int) -> Session:
    """The session of a state file, after its last chunk."""
    arguments, begun = reopen(pipe, state_file)
    arguments |= {"state_file": state_file}
    if begun is None:
        return Session(pipe, arguments, remember)
    check_bookmark(begun)
    timeline = Timeline.of_plain(begun["timeline"])  # it knows what was told since
    return Session(pipe, arguments, remember, begun if begun["walked"] else None, timeline)
