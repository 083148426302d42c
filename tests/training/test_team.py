"""Several processes learn one network: what they find is averaged, and the first keeps the checkpoint."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.test_trainer import PLAN, draw, line
from training import team
from training.trainer import Batch, Losses, Task, train

STEPS = replace(PLAN, steps=20)
MEMBER = """
import sys
from pathlib import Path
import torch
from tests.training.test_team import STEPS, calm
from training import team
from training.trainer import train

team.join()
made = train(calm(), STEPS, Path(sys.argv[1], "line.pt"))
torch.save(made.state_dict(), Path(sys.argv[1], f"made-{team.place()[0]}.pt"))
"""


def calm() -> Task:
    """A task in whose losses nothing is drawn."""

    def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
        return {"loss": (networks["line"](batch["x"]) - batch["y"]).square().mean()}

    return replace(line(), losses=losses)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two members left."""
    made = tmp_path_factory.mktemp("team")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        door = str(found.getsockname()[1])
    whole = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": door, "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEMBER, str(made)]
    members = [subprocess.Popen(command, env={**whole, "RANK": rank}) for rank in "01"]
    assert [member.wait(120) for member in members] == [0, 0]
    return made


def test_members_learn_the_same_from_batches_of_their_own(folder: Path):
    first, second = (torch.load(folder / f"made-{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)

    def both(rng: np.random.Generator, size: int) -> Batch:
        step = next(steps)
        parts = [draw(np.random.default_rng([STEPS.seed, step, *rank]), size) for rank in ([], [1])]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    steps = iter(range(STEPS.steps))
    alone = train(replace(calm(), draw=both), STEPS, folder / "alone.pt")
    for name, weight in alone.state_dict().items():
        assert (first[name] - weight).abs().max() < 1e-5


def test_one_keeps_what_both_learnt(folder: Path):
    kept = torch.load(folder / "line.pt")["averaged"]
    made = torch.load(folder / "made-1.pt")
    assert all(torch.equal(kept[name], made[name]) for name in made)


def test_who_is_alone_is_first_and_agrees_with_itself():
    assert team.place() == (0, 1)
    assert team.own(3, 4) == [3, 4]
    assert team.agreed(0.5) == 0.5
