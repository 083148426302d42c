"""One film over several devices, each of which works on a part of its tokens."""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from calotype.core import resuming
from calotype.core.errors import InvalidArgument
from calotype.distributed.sequence import Shared


@contextmanager
def context_parallel(pipe: Any, group: dist.ProcessGroup | None = None) -> Generator[Any, None, None]:
    """Within it, all processes of the group make the same call of the pipeline together, and all get what it returns.

    Without a generator they draw as the first of them would.
    """
    networks = {name: part for name, part in parts_of(pipe).items() if hasattr(part, "spread")}
    if not networks:
        fix = "HeliosTransformer3DModel does."
        raise InvalidArgument("pipe", "a network whose tokens may be spread, or a pipeline with one", kind(pipe), fix)
    if not (dist.is_available() and dist.is_initialized()):
        fix = 'Start with torchrun, and call torch.distributed.init_process_group("nccl", or "gloo" on CPUs) first.'
        raise InvalidArgument("group", "processes that know of each other", "none", fix)
    if dist.get_rank(group) < 0:
        raise InvalidArgument("group", "a group that this process is in", f"rank {dist.get_rank()} of all processes")
    before = {name: network.spread for name, network in networks.items()}
    draw_alike(group, next(iter(networks.values())).device)
    try:
        for network in networks.values():
            network.spread = Shared(group)
        yield pipe
    finally:
        for name, network in networks.items():
            network.spread = before[name]


def parts_of(pipe: Any) -> dict[str, Any]:
    """The networks of a pipeline; a network has itself."""
    return {"": pipe} if isinstance(pipe, nn.Module) else getattr(pipe, "networks", {})


def kind(thing: Any) -> str:
    return type(thing).__name__


def draw_alike(group: dist.ProcessGroup | None, device: torch.device) -> None:
    """Let noise that nobody gave a generator for go on everywhere from one seed, drawn by the first process."""
    seed = torch.randint(2**62, (1,)).to(device)
    dist.broadcast(seed, group=group, group_src=0)
    torch.manual_seed(int(seed))
    resuming.seeds = random.Random(int(seed))
