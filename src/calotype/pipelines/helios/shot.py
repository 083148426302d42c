"""One stage of one chunk, as the one loop sees it."""

from __future__ import annotations

from typing import Any

import torch

from calotype.generation.state import State


class Reader:
    """What the transformer has read for a call: each text once, however many steps follow, and the past of a chunk."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self._texts: dict[str, tuple[torch.Tensor, Any]] = {}
        self._past: Any = None
        self._places: dict[torch.Size, Any] = {}

    @property
    def transformer(self) -> Any:
        return self.call.transformer

    def worn(self) -> Any:
        """Within it the transformer wears the adapters of the call."""
        return self.call.adapted("transformer", scale=(self.call.attention_kwargs or {}).get("scale"))

    def text(self, name: str, embeds: torch.Tensor) -> Any:
        """What was read of the states under this name; it is read anew when they are others."""
        if name not in self._texts or self._texts[name][0] is not embeds:
            self._texts[name] = (embeds, self.transformer.read_text(embeds))
        return self._texts[name][1]

    def read(self, pieces: dict[str, torch.Tensor], indices: dict[str, torch.Tensor]) -> None:
        """Read the past that a chunk sees: once for all its steps, stages and texts."""
        self._current = indices.pop("indices_hidden_states")
        with self.worn():
            self._past = self.transformer.read_history(**pieces, **indices)

    def velocity(self, sample: torch.Tensor, t: torch.Tensor, text: Any) -> torch.Tensor:
        """What the transformer predicts."""
        if sample.shape not in self._places:
            self._places[sample.shape] = self.transformer.place(self._current, sample)
        return self.transformer.predict(sample, t, text, self._past, self._places[sample.shape])


class Shot:
    """The call with a denoiser that has read.

    With guidance the prediction is made for each text in turn: what was read of the past serves both, in the memory of
    one. The first ``idle`` steps predict nothing, so nothing is computed.
    """

    begun: dict[str, Any] | None = None
    autoencoder = None
    live_settings = ()  # a film goes on after a chunk, so its steps note none of them

    def __init__(self, reader: Reader, idle: int = 0) -> None:
        self._reader, self._call, self._idle = reader, reader.call, idle
        self.scheduler = reader.call.scheduler

    # settings, which a callback may change

    @property
    def do_classifier_free_guidance(self) -> bool:
        return self._call.do_classifier_free_guidance

    @property
    def guidance_scale(self) -> float:
        return self._call.guidance_scale

    @property
    def guidance_rescale(self) -> float:
        return self._call.guidance_rescale

    @property
    def interrupt(self) -> bool:
        return self._call.interrupt

    def denoiser_inputs(self, state: State, rows: int) -> dict[str, Any]:
        """The states of the texts that are heard, those to steer away from first."""
        names = ("negative_prompt_embeds", "prompt_embeds")
        return {"heard": {name: state[name] for name in names[not self.do_classifier_free_guidance :]}}

    def denoiser(self, sample: torch.Tensor, t: torch.Tensor, heard: State, return_dict: bool = False) -> Any:
        """The velocity of the sample, each half told its own text."""
        self._call._current_timestep = t
        if self._idle:
            self._idle -= 1
            return (torch.zeros_like(sample),)
        time = (t.to(torch.int64) if self._call.whole_timesteps else t).reshape(1)
        halves = sample.to(self._reader.transformer.dtype).chunk(len(heard))
        with self._reader.worn():
            told = zip(halves, heard.items(), strict=True)
            said = [self._reader.velocity(half, time, self._reader.text(*text)) for half, text in told]
        return (said[0] if len(said) == 1 else torch.cat(said),)
