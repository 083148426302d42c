"""Where recipes work: a folder, a device, a seed and a share of the time; what they finish has the ordinary layout."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calotype.core.atomic import write_atomic
from training.trainer import Plan, Task, train

log = logging.getLogger("calotype.training")


# What a GPU takes at once beside a core, and how far larger batches carry: fewer and longer steps.
WIDER, FASTER, FEWER = 16, 2.0, 4
STEPS = 32  # within the deviation of a matrix that ships


@dataclass(frozen=True)
class Studio:
    """What all recipes of a run share."""

    out: Path
    device: torch.device
    seed: int = 0
    minutes: float = 100.0  # for all stages together
    workers: int = 0
    before: Path | None = None  # finished models to go on from

    def learn(self, task: Task, plan: Plan, share: float) -> nn.ModuleDict:
        """Train within a share of the time, from 0 to 1; the averaged networks, on the device."""
        plan = replace(plan, seed=self.seed, minutes=share * self.minutes, workers=self.workers)
        if self.device.type == "cuda":
            batch, rate = plan.batch * WIDER, plan.learning_rate * FASTER
            plan = replace(plan, batch=batch, learning_rate=rate, steps=plan.steps // FEWER, bfloat16=True)
        numbers = sum(parameter.numel() for parameter in task.networks.parameters())
        log.info("%s: %s parameters, at most %.1f minutes", task.name, f"{numbers:,}", plan.minutes)
        return train(task, plan, self.work / f"{task.name}.pt", self.device)

    def known(self, name: str) -> Path | None:
        """A finished thing of this name to go on from, if there is one."""
        folder = self.before / name if self.before is not None else None
        return folder if folder is not None and folder.is_dir() else None

    @property
    def work(self) -> Path:
        """Checkpoints, which only this run needs."""
        return self.out / "work"

    def folder(self, name: str) -> Path:
        """Where a finished thing lies."""
        return self.out / name

    def rng(self, *parts: int) -> np.random.Generator:
        """Draws of their own for whatever is no step of training."""
        return np.random.default_rng([self.seed, 2**32 - 1, *parts])


def as_pixels(pictures: NDArray[np.uint8]) -> Tensor:
    """Pictures (batch, height, width, 3) as a network takes them, (batch, 3, height, width) in [-1, 1]; films alike."""
    return torch.from_numpy(pictures).movedim(-1, 1).float() / 127.5 - 1


def as_pictures(pixels: Tensor) -> NDArray[np.uint8]:
    """The way back."""
    levels = (pixels.detach().float().cpu() + 1) * 127.5
    return levels.round().clamp(0, 255).to(torch.uint8).movedim(1, -1).numpy()


def halved(network: nn.Module, steps: int = STEPS) -> Any:
    """A network as it is shipped: on the CPU, in half precision, its matrices in even steps.

    What half precision can say beyond them moves what comes out by a hundredth, and would be a third of the package.
    Of these steps there are so many within the deviation of a matrix, or up to twice as many.
    """
    network = network.to("cpu", torch.float16)
    for weight in network.parameters():
        if weight.ndim > 1:
            wide = weight.data.float()
            deviation = wide.square().mean().sqrt().clamp_min(1e-4)
            step = 2 ** torch.floor(torch.log2(deviation / steps))  # multiples of a power of two end in zeros
            weight.data = ((wide / step).round() * step).half()
    return network


def write_card(
    folder: Path,
    title: str,
    about: str,
    measured: Mapping[str, float | str],
    tags: Sequence[str],
    prior: str | None = None,
) -> None:
    """The model card: what this is, and what was measured, whatever it was; which prior belongs to it, if one does."""
    beside = ["prior:", f"- {prior}"] if prior else []
    head = [
        "---",
        "license: apache-2.0",
        "library_name: diffusers",
        *beside,
        "tags:",
        *(f"- {tag}" for tag in tags),
        "---",
    ]
    rows = [f"| {name} | {value if isinstance(value, str) else f'{value:.4g}'} |" for name, value in measured.items()]
    table = ["| measured | |", "| --- | --- |", *rows] if rows else []
    made = "Made by calotype's `python -m training` from pictures that a program drew: no photograph, nobody's text."
    text = "\n".join([*head, "", f"# {title}", "", about, "", made, "", *table, ""])
    write_atomic(folder / "README.md", [text.encode()])
