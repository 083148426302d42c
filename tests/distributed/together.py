"""What each of several processes does in the tests of films that are made together."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import set_forkserver_preload
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from PIL import Image

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


def other_calls(rank: int) -> dict[str, Callable[[], Any]]:
    """What processes do that do not all do the same."""
    words = "hello" if rank else "and cat"
    told = SMALL | {"height": 32, "width": 48, "num_inference_steps": 1, "prompt": "hello", "num_frames": 33}

    def film(**other: Any) -> Any:
        return base()(**told | {"generator": source(0), "guidance_scale": 1.0} | other)

    def directed() -> None:
        session = base().session(**told | {"num_frames": None, "seeds": [0]})
        next(session)
        session.set_prompt(words, blend=1)
        next(session)

    def prediction() -> None:
        network = base().transformer
        inputs = torch.ones(1, network.config.in_channels, 1, 4, 4), torch.tensor([500 + rank])
        network(*inputs, torch.ones(1, 2, network.config.text_dim))

    return {
        "seeds": lambda: film(generator=source(rank)),
        "words": lambda: film(prompt=words),
        "words to steer away from": lambda: film(negative_prompt=words, guidance_scale=2.0),
        "steps": lambda: film(sigmas=[0.5 + rank / 100]),
        "sizes": lambda: film(height=32 + 16 * (rank > 0)),
        "lengths": lambda: film(num_frames=33 + 33 * rank),
        "guidance": lambda: film(guidance_scale=1.0 + rank),
        "pictures": lambda: film(image=Image.new("RGB", (48, 32), (80 * rank, 0, 0))),
        "stages": lambda: distilled()(**PYRAMID | {"is_amplify_first_chunk": rank > 0}, prompt="hello", seeds=[0]),
        "directions": directed,
        "timesteps of a network": prediction,
    }


def fault(act: Callable[[], Any]) -> str:
    """How it was refused."""
    try:
        act()
    except InvalidArgument as error:
        return str(error)
    return "nothing was refused"


def work(rank: int, size: int, folder: Path) -> None:
    """Make films as one of so many processes, and note what came of it."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    found: dict[str, Any] = {}
    pipes = {"base": base(), "pyramid": distilled()}
    with context_parallel(pipes["base"]), context_parallel(pipes["pyramid"]):
        found["seeded"] = films()
        found["unseeded"] = films(None)
        told = SMALL | {"prompt": "hello", "num_inference_steps": 1}
        found["session"] = next(base().session(**told)).latents
        found["state file"] = base()(**told, num_frames=33, output_type="latent", state_file=folder / f"{rank}").frames
        found["too small"] = fault(lambda: base()(**told, num_latent_frames_per_chunk=1))
        found["other"] = {what: fault(act) for what, act in other_calls(rank).items()}
    found["afterwards"] = films()
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


def made_by(size: int, folder: Path) -> list[dict[str, Any]]:
    """What each of so many processes found."""
    set_forkserver_preload([__name__])  # so that they are imported once for all
    processes.start_processes(work, (size, folder), nprocs=size, start_method="forkserver")  # pyright: ignore
    return [torch.load(folder / f"{rank}.pt") for rank in range(size)]
