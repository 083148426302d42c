"""One loop for every network: step i depends on the seed and on i alone, so a run that was killed goes on unchanged."""

from __future__ import annotations

import copy
import io
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from calotype.core.atomic import write_atomic
from training import team
from training.descent import Descent

log = logging.getLogger("calotype.training")

Batch = dict[str, Tensor]
Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn."""

    steps: int
    batch: int = 64
    learning_rate: float = 1e-3
    warmup: int = 200  # steps
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0  # largest norm of all gradients together
    averaging: float = 0.999  # decay of the averaged weights, which are the ones that are kept
    seed: int = 0
    minutes: float = math.inf  # the rate cools down by the clock where that is faster
    orthogonal: bool = False  # whether matrices take orthogonal steps
    bfloat16: bool = False
    workers: int = 0  # threads that draw batches ahead
    save_every: float = 60.0  # seconds
    report_every: float = 15.0  # seconds


@dataclass(frozen=True)
class Task:
    """What is learnt: networks, where batches come from, and what is to become small."""

    name: str
    networks: nn.ModuleDict
    draw: Callable[[np.random.Generator, int], Batch]  # a batch of this size, on the CPU
    losses: Callable[[nn.ModuleDict, Batch, torch.Generator], Losses]  # the one named "loss" is followed down
    rates: Mapping[str, float] | None = None  # factors of the learning rate, by the name of a network


@dataclass
class Progress:
    """How far a run has come."""

    step: int = 0
    seconds: float = 0.0

    def of(self, plan: Plan) -> float:
        """From 0 to 1, by steps or by the clock, whichever is further."""
        return min(1.0, max(self.step / plan.steps, self.seconds / 60 / plan.minutes))


def train(task: Task, plan: Plan, checkpoint: Path, device: torch.device | None = None) -> nn.ModuleDict:
    """Learn to the end of the plan, from the checkpoint if there is one; the averaged networks, ready to be used."""
    device = device or torch.device("cpu")
    networks = task.networks.to(device).train()
    averaged = copy.deepcopy(networks)
    descent = Descent(networks, task.rates or {}, plan.learning_rate, plan.betas, plan.weight_decay, plan.orthogonal)
    progress = _resume(checkpoint, plan, networks, averaged, descent)
    began, seen = time.monotonic() - progress.seconds, Sums()
    saved = reported = time.monotonic()
    for batch in _batches(task, plan, progress.step):
        if progress.of(plan) >= 1:
            break
        batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
        generator = torch.Generator(device).manual_seed(_number(*team.own(plan.seed, progress.step)))
        with narrow(device, plan.bfloat16):
            losses = task.losses(networks, batch, generator)
        losses["loss"].backward()
        team.average_gradients(networks.parameters())
        norm = nn.utils.clip_grad_norm_(networks.parameters(), plan.clip)
        descent.step(_rate(progress, plan))
        _follow(averaged, networks, plan.averaging, progress.step)
        progress.step += 1
        progress.seconds = team.agreed(time.monotonic() - began)
        seen.add({**losses, "gradient": norm})
        over, now = progress.of(plan) >= 1, time.monotonic()
        if over or now - reported > plan.report_every:
            log.info("%s %s", _where(task, plan, progress), seen.means())
            reported = now
        if over or now - saved > plan.save_every:
            _save(checkpoint, plan, networks, averaged, descent, progress)
            saved = now
    return averaged.eval().requires_grad_(False)


def narrow(device: torch.device, wanted: bool = True) -> torch.autocast:
    """Numbers of half the width, where they are less work: a CPU that must widen them takes five times as long."""
    known = torch.cpu.get_capabilities()
    less = device.type != "cpu" or any(known.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and less)


@dataclass
class Sums:
    """Sums since they were last told; nothing waits for the device in between."""

    values: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    count: int = 0

    def add(self, values: Mapping[str, Tensor]) -> None:
        self.values = {name: value.detach() + self.values.get(name, 0) for name, value in values.items()}
        self.count += 1

    def means(self) -> str:
        text = "  ".join(f"{name} {float(total) / self.count:.4f}" for name, total in self.values.items())
        self.values, self.count = {}, 0
        return text


def _batches(task: Task, plan: Plan, first: int) -> Iterator[Batch]:
    """The batches of all steps still to go, drawn ahead by threads if there are any."""

    def draw(step: int) -> Batch:
        return task.draw(np.random.default_rng(team.own(plan.seed, step)), plan.batch)

    if not plan.workers:
        yield from (draw(step) for step in range(first, plan.steps))
        return
    with ThreadPoolExecutor(plan.workers) as pool:
        ahead = deque(pool.submit(draw, step) for step in range(first, min(first + 2 * plan.workers, plan.steps)))
        try:
            for step in range(first + len(ahead), plan.steps + len(ahead)):
                yield ahead.popleft().result()
                if step < plan.steps:
                    ahead.append(pool.submit(draw, step))
        finally:
            pool.shutdown(cancel_futures=True)


def _rate(progress: Progress, plan: Plan) -> float:
    """Up in a straight line, then down half a cosine."""
    return min(1.0, (progress.step + 1) / plan.warmup) * (1 + math.cos(math.pi * progress.of(plan))) / 2


@torch.no_grad()
def _follow(averaged: nn.Module, networks: nn.Module, decay: float, step: int) -> None:
    """Move averages that forget their random beginning: young ones follow fast."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    for kept, now in zip(averaged.parameters(), networks.parameters(), strict=True):
        kept.lerp_(now, weight)


def _number(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _where(task: Task, plan: Plan, progress: Progress) -> str:
    speed = progress.step * plan.batch * team.place()[1] / max(progress.seconds, 1e-9)
    return (
        f"{task.name} {progress.step} ({progress.of(plan):.0%}, {progress.seconds / 60:.1f} min, {speed:.0f} a second)"
    )


def _save(path: Path, plan: Plan, networks: nn.Module, averaged: nn.Module, descent: Descent, now: Progress) -> None:
    """Write all that the next step needs, whole or not at all; one of a team does it for all."""
    if not team.first():
        return
    state = {"plan": _fixed(plan), "progress": asdict(now), "networks": networks.state_dict()}
    content = io.BytesIO()
    torch.save({**state, "averaged": averaged.state_dict(), "descent": descent.state_dict()}, content)
    write_atomic(path, [content.getbuffer()])


def _resume(path: Path, plan: Plan, networks: nn.Module, averaged: nn.Module, descent: Descent) -> Progress:
    """Take up the run that was saved, or begin."""
    if not path.exists():
        return Progress()
    state = torch.load(path, "cpu", weights_only=True)
    if state["plan"] != _fixed(plan):
        raise ValueError(
            f"{path} belongs to another plan, {state['plan']}, not to {_fixed(plan)}; remove it to start anew"
        )
    for name, part in (("networks", networks), ("averaged", averaged), ("descent", descent)):
        part.load_state_dict(state[name])
    return Progress(**state["progress"])


def _fixed(plan: Plan) -> dict[str, Any]:
    """What may not change between the parts of one run."""
    free = ("minutes", "workers", "save_every", "report_every")
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(plan).items()
        if name not in free
    }
