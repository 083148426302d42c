"""Orthogonal steps: for matrices in the middle, not for tables, edges and lines; and a run is resumed with them."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.descent import SIDE, Descent
from training.trainer import Batch, Losses, Plan, Task, train

PLAN = Plan(
    steps=40, batch=8, learning_rate=2e-2, warmup=2, averaging=0.5, orthogonal=True, clip=math.inf, save_every=math.inf
)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, SIDE)
        self.first = nn.Conv2d(1, SIDE, 3, padding=1)  # reads too little to be a matrix
        self.middle = nn.Conv2d(SIDE, SIDE, 3, padding=1)
        self.last = nn.Linear(SIDE, 2)

    def forward(self, x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        seen = torch.tanh(self.middle(torch.tanh(self.first(x))) + self.table(ids)[..., None, None])
        return self.last(seen.mean((2, 3)))


def networks() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"small": Small()})


def draw(rng: np.random.Generator, size: int) -> Batch:
    x = torch.from_numpy(rng.normal(size=(size, 1, 6, 6)).astype(np.float32))
    ids = torch.from_numpy(rng.integers(0, 20, size))
    return {"x": x, "ids": ids, "y": torch.stack([x.mean((1, 2, 3)), ids / 20], 1)}


def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
    return {"loss": (networks["small"](batch["x"], batch["ids"]) - batch["y"]).square().mean()}


def moved(rate: float = 1.0) -> dict[str, torch.Tensor]:
    """How far each weight goes in one step of a rate of 0.1."""
    made = networks()
    before = copy.deepcopy(made.state_dict())
    descent = Descent(made, {"small": rate}, 0.1, (0.9, 0.99), weight_decay=0.0, orthogonal=True)
    losses(made, draw(np.random.default_rng(0), 8), torch.Generator())["loss"].backward()
    descent.step(1.0)
    assert all(weight.grad is None for weight in made.parameters())
    return {name.removeprefix("small."): made.state_dict()[name] - value for name, value in before.items()}


def test_a_middle_matrix_moves_alike_in_all_its_directions_and_nothing_else_does():
    steps = moved()
    strengths = torch.linalg.svdvals(steps["middle.weight"].flatten(1))
    assert strengths.max() < 2 * strengths.min()
    for name in (
        "table.weight",
        "first.weight",
        "last.weight",
    ):  # AdamW's first step is the rate, whatever the gradient
        touched = steps[name][steps[name] != 0].abs()
        assert torch.allclose(touched, torch.full_like(touched, 0.1), rtol=1e-2), name


def test_factors_slow_a_network_down():
    whole, half = moved(), moved(0.5)
    for name in ("middle.weight", "last.weight"):
        assert torch.allclose(half[name], whole[name] / 2, rtol=1e-2, atol=1e-4)


def test_it_learns_and_a_checkpoint_holds_all_of_it(tmp_path: Path):
    task = Task("small", networks(), draw, losses)
    whole = train(task, PLAN, tmp_path / "whole.pt")
    fresh = losses(networks(), draw(np.random.default_rng(9), 64), torch.Generator())["loss"]
    assert losses(whole, draw(np.random.default_rng(9), 64), torch.Generator())["loss"] < fresh / 3

    class Killed(Exception):
        pass

    def until_killed(rng: np.random.Generator, size: int, left: list[int] = [25]) -> Batch:  # noqa: B006
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return draw(rng, size)

    broken = Task("small", networks(), until_killed, losses)
    try:
        train(broken, replace(PLAN, save_every=0.0), tmp_path / "broken.pt")
    except Killed:
        resumed = train(Task("small", networks(), draw, losses), PLAN, tmp_path / "broken.pt")
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )
