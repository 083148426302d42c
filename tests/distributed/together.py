"""What each of several processes does in the tests of films that are made together."""

from __future__ import annotations

from multiprocessing import set_forkserver_preload
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as processes

from calotype.core.errors import InvalidArgument
from calotype.distributed import context_parallel
from tests.stories.test_helios import PYRAMID, SMALL, base, distilled, source


def films(seed: int | None = 0) -> dict[str, Any]:
    """Two chunks of each pipeline."""
    told = {"prompt": "hello", "num_frames": 40, "output_type": "pt"}
    drawn = {} if seed is None else {"generator": source(seed)}
    whole = base()(**SMALL | {"height": 32, "width": 48}, guidance_scale=2.0, **told, **drawn).frames
    drawn = {} if seed is None else {"generator": source(seed)}
    return {"base": whole, "pyramid": distilled()(**PYRAMID, **told, **drawn).frames}


def work(rank: int, size: int, folder: Path) -> None:
    """Make films as one of so many processes, and note what came of it."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    found: dict[str, Any] = {}
    pipes = {"base": base(), "pyramid": distilled()}
    with context_parallel(pipes["base"]), context_parallel(pipes["pyramid"]):
        found["seeded"] = films()
        found["unseeded"] = films(None)
        try:
            base()(prompt="hello", **SMALL, num_latent_frames_per_chunk=1)
        except InvalidArgument as error:
            found["too small"] = str(error)
    found["afterwards"] = films()
    with context_parallel(pipes["base"]), context_parallel(pipes["pyramid"]):
        try:
            films(rank)
        except InvalidArgument as error:
            found["other seeds"] = str(error)
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


def made_by(size: int, folder: Path) -> list[dict[str, Any]]:
    """What each of so many processes found."""
    set_forkserver_preload([__name__])  # so that they are imported once for all
    processes.start_processes(work, (size, folder), nprocs=size, start_method="forkserver")  # pyright: ignore
    return [torch.load(folder / f"{rank}.pt") for rank in range(size)]
