"""How a learning rate changes from step to step, under the names of ``diffusers.optimization``."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from calotype.core.errors import InvalidArgument

Factor = Callable[[int], float]  # of the step: what the optimizer's own rate is multiplied by


class SchedulerType(Enum):
    """The names that ``get_scheduler`` knows."""

    LINEAR = "linear"
    COSINE = "cosine"
    COSINE_WITH_RESTARTS = "cosine_with_restarts"
    POLYNOMIAL = "polynomial"
    CONSTANT = "constant"
    CONSTANT_WITH_WARMUP = "constant_with_warmup"
    PIECEWISE_CONSTANT = "piecewise_constant"


def get_constant_schedule(optimizer: Optimizer, last_epoch: int = -1) -> LambdaLR:
    """The same rate at every step."""
    return LambdaLR(optimizer, lambda step: 1.0, last_epoch)


def get_constant_schedule_with_warmup(optimizer: Optimizer, num_warmup_steps: int, last_epoch: int = -1) -> LambdaLR:
    """The same rate after a rise from zero."""
    return LambdaLR(optimizer, warmed(num_warmup_steps, lambda step: 1.0), last_epoch)


def get_piecewise_constant_schedule(optimizer: Optimizer, step_rules: str, last_epoch: int = -1) -> LambdaLR:
    """Factors up to steps, and one for the rest: ``1:10,0.1:20,0.01``."""
    *told, rest = step_rules.split(",")
    pairs = [rule.split(":") for rule in told]
    if any(len(pair) != 2 for pair in pairs) or ":" in rest:
        raise InvalidArgument("step_rules", "factor:step,...,factor", repr(step_rules))
    factors = sorted((int(until), float(factor)) for factor, until in pairs)
    return LambdaLR(optimizer, lambda step: next((f for until, f in factors if step < until), float(rest)), last_epoch)


def get_linear_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    last_epoch: int = -1,
    f_min: float = 0.0,
    f_max: float = 1.0,
) -> LambdaLR:
    """Up to a share ``f_max`` of the rate in a line, and down to ``f_min`` in another."""
    fall = _walked(num_warmup_steps, num_training_steps, lambda share: f_min + (f_max - f_min) * (1 - share))
    return LambdaLR(optimizer, warmed(num_warmup_steps, fall, f_max), last_epoch)


def get_cosine_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5, last_epoch: int = -1
) -> LambdaLR:
    """Down along so many waves of a cosine; half a wave ends at zero."""

    def wave(step: int) -> float:
        share = (step - num_warmup_steps) / max(1, num_training_steps - num_warmup_steps)
        return (1 + math.cos(2 * math.pi * num_cycles * share)) / 2

    return LambdaLR(optimizer, warmed(num_warmup_steps, wave), last_epoch)


def get_cosine_with_hard_restarts_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: int, num_training_steps: int, num_cycles: int = 1, last_epoch: int = -1
) -> LambdaLR:
    """Down to zero along half a wave, so many times."""

    def wave(share: float) -> float:
        return (1 + math.cos(math.pi * (num_cycles * share % 1))) / 2 if share < 1 else 0.0

    fall = _walked(num_warmup_steps, num_training_steps, wave)
    return LambdaLR(optimizer, warmed(num_warmup_steps, fall), last_epoch)


def get_polynomial_decay_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: int,
    num_training_steps: int,
    lr_end: float = 1e-7,
    power: float = 1.0,
    last_epoch: int = -1,
) -> LambdaLR:
    """Down to the rate ``lr_end``, along a power of the share that is left."""
    first = optimizer.defaults["lr"]
    if lr_end >= first:
        raise InvalidArgument("lr_end", f"less than the optimizer's rate, {first:g}", f"{lr_end:g}")
    last = lr_end / first
    fall = _walked(num_warmup_steps, num_training_steps, lambda share: last + (1 - last) * (1 - share) ** power)
    return LambdaLR(optimizer, warmed(num_warmup_steps, fall), last_epoch)


# what each kind is made by, and what it needs beside the optimizer
KINDS: dict[SchedulerType, tuple[Callable[..., LambdaLR], tuple[str, ...]]] = {
    SchedulerType.LINEAR: (get_linear_schedule_with_warmup, ("num_warmup_steps", "num_training_steps")),
    SchedulerType.COSINE: (get_cosine_schedule_with_warmup, ("num_warmup_steps", "num_training_steps")),
    SchedulerType.COSINE_WITH_RESTARTS: (
        get_cosine_with_hard_restarts_schedule_with_warmup,
        ("num_warmup_steps", "num_training_steps", "num_cycles"),
    ),
    SchedulerType.POLYNOMIAL: (
        get_polynomial_decay_schedule_with_warmup,
        ("num_warmup_steps", "num_training_steps", "power"),
    ),
    SchedulerType.CONSTANT: (get_constant_schedule, ()),
    SchedulerType.CONSTANT_WITH_WARMUP: (get_constant_schedule_with_warmup, ("num_warmup_steps",)),
    SchedulerType.PIECEWISE_CONSTANT: (get_piecewise_constant_schedule, ("step_rules",)),
}


def get_scheduler(
    name: str | SchedulerType,
    optimizer: Optimizer,
    step_rules: str | None = None,
    num_warmup_steps: int | None = None,
    num_training_steps: int | None = None,
    num_cycles: int = 1,
    power: float = 1.0,
    last_epoch: int = -1,
) -> LambdaLR:
    """The learning rates of this name; what its kind does not read is passed over."""
    names = [kind.value for kind in SchedulerType]
    if not isinstance(name, SchedulerType) and name not in names:
        raise InvalidArgument("name", f"one of {', '.join(names)}", repr(name))
    kind = SchedulerType(name)
    make, reads = KINDS[kind]
    offered: dict[str, Any] = {
        "step_rules": step_rules,
        "num_warmup_steps": num_warmup_steps,
        "num_training_steps": num_training_steps,
        "num_cycles": num_cycles,
        "power": power,
    }
    missing = next((argument for argument in reads if offered[argument] is None), None)
    if missing:
        raise InvalidArgument(missing, f"a value, as {kind.value} needs it", "None")
    return partial(make, optimizer, last_epoch=last_epoch)(**{argument: offered[argument] for argument in reads})


def warmed(steps: int, then: Factor, top: float = 1.0) -> Factor:
    """Up to ``top`` in so many steps, then as the other says."""
    return lambda step: top * step / max(1, steps) if step < steps else then(step)


def _walked(warmup: int, total: int, factor: Callable[[float], float]) -> Factor:
    """A factor of the share that is walked of what comes after the rise, which ends at 1."""
    return lambda step: factor(min(1.0, (step - warmup) / max(1, total - warmup)))
