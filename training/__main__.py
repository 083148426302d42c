"""``python -m training``: the pocket models, from nothing."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import torch

from training import team
from training.evaluate import evaluate
from training.evaluate_films import evaluate_films
from training.recipes import RECIPES
from training.studio import Studio

STAGES = {**RECIPES, "evaluate": evaluate, "evaluate_films": evaluate_films}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="stage", help=f"any of {', '.join(STAGES)}; all if none is named")
    parser.add_argument("--out", type=Path, default=Path("build/pocket"), help="where models and checkpoints go")
    parser.add_argument("--minutes", type=float, default=100.0, help="for the training of all stages together")
    parser.add_argument(
        "--from", type=Path, dest="before", help="a folder of finished models for diffusion to go on from"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, ... or auto")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    unknown = [name for name in told.stages if name not in STAGES]
    if unknown:
        parser.error(f"no stage is called {unknown[0]!r}; there are {', '.join(STAGES)}")
    team.join()
    logging.basicConfig(
        level=logging.INFO if team.first() else logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S"
    )
    device = told.device if told.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    # a GPU waits for pictures, a CPU for itself
    workers = (os.cpu_count() or 2) - 1 if device.startswith("cuda") else 0
    studio = Studio(told.out, torch.device(device), told.seed, told.minutes, workers, told.before)
    for name in told.stages or STAGES:
        STAGES[name](studio)


if __name__ == "__main__":
    main()
