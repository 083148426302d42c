"""Several processes that learn one network, each from batches of its own: ``torchrun -m training``."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import nn


def join() -> None:
    """Find the others that the launcher started, if it started any."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        dist.init_process_group("gloo")


def place() -> tuple[int, int]:
    """Which of how many this process is."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def first() -> bool:
    """Whether this process is the one that tells and writes."""
    return place()[0] == 0


def own(*parts: int) -> list[int]:
    """What a seed is made of: the first of a team draws as one that is alone."""
    return [*parts, place()[0]] if not first() else [*parts]


def agreed(number: float) -> float:
    """The first one's number."""
    if not dist.is_initialized():
        return number
    told = torch.tensor(number, dtype=torch.float64)
    dist.broadcast(told, 0)
    return float(told)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """The mean of what all found; who did not use a weight found nothing, which counts."""
    if not dist.is_initialized():
        return
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    found = [each.grad if each.grad is not None else torch.zeros_like(each) for each in learning]
    whole = torch.cat([gradient.flatten() for gradient in found])
    dist.all_reduce(whole)
    means = (whole / place()[1]).split([each.numel() for each in learning])
    for parameter, mean in zip(learning, means, strict=True):
        parameter.grad = mean.view_as(parameter)


def wait() -> None:
    """Until all are here."""
    if dist.is_initialized():
        dist.barrier()
