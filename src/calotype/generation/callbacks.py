"""Callbacks: what users run between two steps, with the tensors they asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from calotype.core.errors import InvalidArgument
from calotype.generation.state import State

OnStepEnd = Callable[[Any, int, torch.Tensor, dict[str, torch.Tensor]], "dict[str, torch.Tensor] | None"]
Older = Callable[[int, torch.Tensor, torch.Tensor], Any]
Report = Callable[[Any, int, torch.Tensor, State], State]


def reports(
    call: Any,
    on_step_end: OnStepEnd | None,
    watched: Sequence[str],
    older: Older | None = None,
    every: int | None = None,
) -> Report | None:
    """One report to run after each step, from a callback of either kind; None where there is nothing to run."""
    watched = getattr(on_step_end, "tensor_inputs", watched)
    allowed = call._callback_tensor_inputs
    for name in watched:
        if name not in allowed:
            raise InvalidArgument("callback_on_step_end_tensor_inputs", f"names among {', '.join(allowed)}", repr(name))
    for name, called in (("callback_on_step_end", on_step_end), ("callback", older)):
        if called is not None and not callable(called):
            raise InvalidArgument(name, "something to call", type(called).__name__)
    if on_step_end is None and older is None:
        return None

    def report(call: Any, i: int, t: torch.Tensor, state: State) -> State:
        changed: State = {}
        if on_step_end is not None:
            # None where there is none: without guidance, for one, nothing to steer away from
            seen: dict[str, Any] = {name: state.get(name) for name in watched}
            answer = on_step_end(call, i, t, seen) or {}
            changed = {name: tensor for name, tensor in answer.items() if name in allowed}
            if "latents" in changed and changed["latents"].shape != state["latents"].shape:
                wanted, found = tuple(state["latents"].shape), tuple(changed["latents"].shape)
                raise InvalidArgument("latents from callback_on_step_end", f"shape {wanted}", f"shape {found}")
        order = call.scheduler.order
        if older is not None and (i + 1) % order == 0 and (i // order) % (every or 1) == 0:
            older(i // order, t, changed.get("latents", state["latents"]))
        return changed

    return report
