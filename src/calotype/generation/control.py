"""ControlNets in the loop: what each net hears, when, and what it adds to the denoiser's inputs."""

from __future__ import annotations

from typing import Any

import torch

from calotype.core.bundle import Bundle
from calotype.core.errors import InvalidArgument, WrongType
from calotype.generation.checks import Rule, number
from calotype.generation.latents import spread
from calotype.generation.state import State


class Control:
    """One net with its scale and the part of the walk in which it is heard; its hint is embedded once in a call."""

    def __init__(
        self,
        net: Any,
        scale: float,
        window: tuple[float, float],
        guess: bool,
        hint: str,  # the state's name of the hint
        place: int | None = None,  # of this net's hint, where hints of several nets go by that name
    ) -> None:
        self.net, self.scale, self.window, self.hint, self.place = net, scale, window, hint, place
        self.guess = guess or net.config.global_pool_conditions  # such nets were trained to be heard by one half only
        self._embedded: tuple[torch.Tensor, int, torch.Tensor] | None = None

    def __call__(
        self, sample: torch.Tensor, t: torch.Tensor, span: tuple[float, float], state: State, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """What the denoiser is told beside ``inputs`` at this step, which is this part of the walk."""
        if span[0] < self.window[0] or span[1] > self.window[1]:
            return {}
        rows = len(state["latents"]) if self.guess else len(sample)  # conditional rows come last
        dtype = self.net.dtype
        added = inputs.get("added_cond_kwargs") or {}
        down, middle = self.net(
            sample[-rows:].to(dtype),
            t,
            inputs["encoder_hidden_states"][-rows:].to(dtype),
            None,
            self.scale,
            added_cond_kwargs={name: added[name][-rows:].to(dtype) for name in self.net.reads if name in added},
            guess_mode=self.guess,
            return_dict=False,
            embedded_hint=self._embed(state, sample.device),
        )
        down = [padded(each.to(sample.dtype), len(sample)) for each in down]
        middle = padded(middle.to(sample.dtype), len(sample))
        if inputs.get("down_block_additional_residuals") is not None:  # another net was heard before
            down = [a + b for a, b in zip(inputs["down_block_additional_residuals"], down, strict=True)]
            middle = inputs["mid_block_additional_residual"] + middle
        return {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}

    def _embed(self, state: State, device: torch.device) -> torch.Tensor:
        """The hint as the net adds it to the latents; made anew only if a callback changed it."""
        hints = state[self.hint]
        if self._embedded is None or self._embedded[0] is not hints or self._embedded[1] != hints._version:
            hint = hints if self.place is None else hints[self.place]
            embedded = self.net.embed_hint(hint.to(device, self.net.dtype))
            embedded = embedded if len(embedded) == 1 else spread(embedded, len(state["latents"]))
            self._embedded = hints, hints._version, embedded
        return self._embedded[2]


def padded(x: torch.Tensor, rows: int) -> torch.Tensor:
    """The rows after as many rows of zeros as are missing."""
    return x if len(x) == rows else torch.cat([x.new_zeros(rows - len(x), *x.shape[1:]), x])


def controls(network: Any, hint: str, scale: Any, window: tuple[Any, Any], guess: bool) -> list[Control]:
    """A control for each net that is heard at all: one whose scale is zero is not run."""
    nets = list(network.nets) if isinstance(network, Bundle) else [network]
    scales = per_net("controlnet_conditioning_scale", scale, len(nets), number())
    starts = per_net("control_guidance_start", window[0], len(nets), number(0, 1))
    ends = per_net("control_guidance_end", window[1], len(nets), number(0, 1))
    for i, (first, last) in enumerate(zip(starts, ends, strict=True)):
        if first >= last:
            where = f"control_guidance_start{f'[{i}]' if len(nets) > 1 else ''}"
            raise InvalidArgument(where, f"less than control_guidance_end, {last:g}", f"{first:g}")
    places = range(len(nets)) if isinstance(network, Bundle) else [None]
    rows = zip(nets, scales, zip(starts, ends, strict=True), places, strict=True)
    return [Control(net, scale, window, guess, hint, place) for net, scale, window, place in rows if scale]


def per_net(name: str, value: Any, count: int, rule: Rule) -> list[float]:
    """A number for each net: the same for all, or one of a list."""
    if not isinstance(value, (list, tuple)):
        rule(name, value)
        return [float(value)] * count
    given: list[Any] = list(value)
    if len(given) != count:
        raise (WrongType if count == 1 else InvalidArgument)(
            name, f"a number, or a list of {count}, one for each ControlNet", f"a list of {len(given)}"
        )
    for i, each in enumerate(given):
        rule(f"{name}[{i}]", each)
    return [float(each) for each in given]
