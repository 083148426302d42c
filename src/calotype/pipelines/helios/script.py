"""What a film is told, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from calotype.core.errors import InvalidArgument
from calotype.generation.checks import check_prompts, check_texts
from calotype.generation.timeline import Cut, Texts, Timeline, timeline_of
from calotype.pipelines.helios.parts import check_readers
from calotype.pipelines.helios.unused import say_unused


class Script:
    """A timeline read aloud: texts are encoded when they are first heard, and forgotten when they are past."""

    def __init__(
        self,
        timeline: Timeline,
        read: Callable[[Texts], torch.Tensor],
        given: torch.Tensor | None = None,
        against: Callable[[], torch.Tensor] | None = None,  # what to steer away from, where there is guidance
    ) -> None:
        self.timeline = timeline
        self.against: torch.Tensor | None = None
        self.replaced: dict[str, torch.Tensor] = {}  # by a callback, and heard still
        self._read, self._given, self._read_against = read, given, against
        self._known: dict[Texts, torch.Tensor] = {}
        self._heard: list[tuple[Texts, float]] = []
        self._embeds: torch.Tensor | None = None

    def at(self, chunk: int) -> dict[str, torch.Tensor]:
        """What is told at a chunk, under the callback's names: the very same tensors as before if nothing changed."""
        heard = self.timeline.heard(chunk)
        if self._embeds is None or heard != self._heard:
            self._known = {texts: self._states(texts) for texts, _ in heard}
            embeds = self._known[heard[0][0]]
            for texts, share in heard[1:]:
                embeds = embeds.lerp(self._known[texts], share)
            self._embeds, self._heard = embeds, heard
            self.replaced.pop("prompt_embeds", None)
        if self._read_against is not None:
            self.against, self._read_against = self._read_against(), None
        against = {} if self.against is None else {"negative_prompt_embeds": self.against}
        return {"prompt_embeds": self._embeds, **against}

    def hear(self, changed: dict[str, torch.Tensor]) -> None:
        """A callback put other states in: they hold until the timeline says something new."""
        told = {"prompt_embeds": self._embeds, "negative_prompt_embeds": self.against}
        self.replaced |= {name: changed[name] for name in told if changed.get(name, told[name]) is not told[name]}
        self._embeds = changed.get("prompt_embeds", self._embeds)
        self.against = changed.get("negative_prompt_embeds", self.against)

    def go_on(self, chunk: int, replaced: dict[str, torch.Tensor]) -> None:
        """Be where a callback had put these in by the end of a chunk."""
        self.replaced = {**replaced}
        self._embeds, self._heard = replaced.get("prompt_embeds"), self.timeline.heard(chunk)
        if "negative_prompt_embeds" in replaced:
            self.against, self._read_against = replaced["negative_prompt_embeds"], None

    def _states(self, texts: Texts) -> torch.Tensor:
        if not texts and self._given is not None:
            return self._given
        return self._known[texts] if texts in self._known else self._read(texts)


def script_of(
    call: Any,
    prompt: Any,
    negative_prompt: Any,
    prompt_embeds: torch.Tensor | None,
    negative_prompt_embeds: torch.Tensor | None,
    copies: int,
    length: int,
    seconds: float,
) -> tuple[Script, int]:
    """What the films of a call will be told, of which a chunk lasts so many seconds; and how many films there are."""
    if isinstance(call._timeline, Timeline):
        timeline = call._timeline
        if timeline.cuts[0].texts:  # they take the place of what the call was given
            prompt, prompt_embeds = timeline.cuts[0].texts[0], None
        else:
            prompt = None
    elif call._timeline is None:
        check_one_time(prompt)
        first = () if prompt is None else (*check_texts("prompt", prompt),)
        timeline = Timeline([Cut(0, first)])
    else:
        if prompt is not None or prompt_embeds is not None:
            fix = "The timeline begins with a prompt, at 0."
            raise InvalidArgument("prompt, timeline", "one of the two", "both", fix)
        timeline = timeline_of(call._timeline, seconds)
        prompt = timeline.cuts[0].texts[0]
    width = call.transformer.config.text_dim
    prompts = check_prompts(prompt, negative_prompt, prompt_embeds, negative_prompt_embeds, width)
    guided = call.do_classifier_free_guidance
    check_readers(call, prompt_embeds is None or (guided and negative_prompt_embeds is None))
    if not guided:
        away = {"negative_prompt": bool(negative_prompt), "negative_prompt_embeds": negative_prompt_embeds is not None}
        say_unused("there is no guidance", **away)

    def states(texts: Any, embeds: torch.Tensor | None = None) -> torch.Tensor:
        options = {"prompt_embeds": embeds, "num_videos_per_prompt": copies, "max_sequence_length": length}
        read, _ = call.encode_prompt(texts, do_classifier_free_guidance=False, **options)
        return read if len(read) == prompts * copies else read[:1].expand(prompts * copies, -1, -1)

    def against() -> torch.Tensor:
        return states(negative_prompt or "", negative_prompt_embeds)

    given = None if prompt_embeds is None else states(None, prompt_embeds)
    return Script(timeline, states, given, against if guided else None), prompts * copies


def check_one_time(prompt: Any) -> None:
    """A list of prompts makes a film of each; one film with several prompts in turn is asked for by a timeline."""
    several = isinstance(prompt, (list, tuple))
    if isinstance(prompt, dict) or (several and any(isinstance(each, (tuple, list, int, float)) for each in prompt)):
        fix = 'For prompts that take turns in one film give timeline=[(0, "first"), (5, "then")], starts in seconds.'
        raise InvalidArgument("prompt", "a text, or a list of texts, one for each film", repr(prompt)[:80], fix)
