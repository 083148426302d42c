"""The trainer: it learns, it repeats itself, and a run that was killed goes on unchanged."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from training.trainer import Batch, Losses, Plan, Task, train

PLAN = Plan(steps=300, batch=16, learning_rate=5e-2, warmup=20, averaging=0.9, save_every=math.inf)
STRAIGHT = np.array([[1.0, -2.0, 0.5]], np.float32)


def draw(rng: np.random.Generator, size: int) -> Batch:
    x = rng.normal(size=(size, 3)).astype(np.float32)
    return {"x": torch.from_numpy(x), "y": torch.from_numpy(x @ STRAIGHT.T)}


def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
    shaken = batch["x"] + 0.01 * torch.randn(batch["x"].shape, generator=generator)
    return {"loss": (networks["line"](shaken) - batch["y"]).square().mean()}


def line() -> Task:
    torch.manual_seed(0)
    return Task("line", nn.ModuleDict({"line": nn.Linear(3, 1)}), draw, losses)


def numbers(networks: nn.ModuleDict) -> dict[str, list[float]]:
    return {name: tensor.flatten().tolist() for name, tensor in networks.state_dict().items()}


def test_the_trainer_learns(tmp_path: Path):
    made = train(line(), PLAN, tmp_path / "line.pt")
    assert made["line"].weight.detach().numpy() == pytest.approx(STRAIGHT, abs=0.02)
    assert not made.training
    assert not any(parameter.requires_grad for parameter in made.parameters())


def test_a_seed_is_a_run_whatever_the_threads(tmp_path: Path):
    plans = [PLAN, replace(PLAN, workers=2), replace(PLAN, seed=1)]
    same, threaded, other = (numbers(train(line(), plan, tmp_path / f"{i}.pt")) for i, plan in enumerate(plans))
    assert same == threaded
    assert same != other


def test_a_finished_run_is_not_run_again(tmp_path: Path):
    first = numbers(train(line(), PLAN, tmp_path / "line.pt"))
    written = (tmp_path / "line.pt").stat().st_mtime_ns
    assert numbers(train(line(), PLAN, tmp_path / "line.pt")) == first
    assert (tmp_path / "line.pt").stat().st_mtime_ns == written


def test_another_plan_does_not_take_up_the_checkpoint(tmp_path: Path):
    train(line(), replace(PLAN, steps=5), tmp_path / "line.pt")
    with pytest.raises(ValueError, match=r"another plan.*remove it"):
        train(line(), PLAN, tmp_path / "line.pt")


def test_the_clock_ends_a_run_with_a_rate_of_zero(tmp_path: Path):
    began = time.monotonic()
    train(line(), replace(PLAN, steps=10**9, minutes=0.3 / 60), tmp_path / "line.pt")
    assert time.monotonic() - began < 20


def test_a_run_that_was_killed_ends_as_if_it_had_not_been(tmp_path: Path):
    whole = numbers(train(line(), PLAN, tmp_path / "whole.pt"))
    broken = tmp_path / "broken.pt"
    program = [sys.executable, "-W", "error", __file__, str(broken)]
    roots = os.pathsep.join(str(path) for path in (Path(__file__).parents[2], Path(__file__).parents[2] / "src"))
    with subprocess.Popen(program, env={**os.environ, "PYTHONPATH": roots}) as run:
        while not broken.exists() and run.poll() is None:
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert torch.load(broken, weights_only=True)["progress"]["step"] < PLAN.steps
    assert numbers(train(line(), PLAN, broken)) == whole


if __name__ == "__main__":  # the run that is killed: it saves after every step, and takes its time
    torch.set_num_threads(1)

    def slow(rng: np.random.Generator, size: int) -> Batch:
        time.sleep(0.02)
        return draw(rng, size)

    train(replace(line(), draw=slow), replace(PLAN, save_every=0.0), Path(sys.argv[1]))
