"""Weights that visit the accelerator a group of layers at a time: more memory than one layer, fewer journeys."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from calotype.core.devices import reached
from calotype.core.errors import InvalidArgument
from calotype.core.offload import CPU, bring, drop, held_by

logger = logging.getLogger("calotype.core.group_offload")

LEVELS = ("block_level", "leaf_level")


@dataclass(frozen=True, eq=False)
class Group:
    """Layers that travel together; what is no block stays for as long as its network works."""

    network: nn.Module
    layers: Sequence[nn.Module]
    block: bool = True

    @property
    def held(self) -> list[torch.Tensor]:
        return [tensor for layer in self.layers for tensor in held_by(layer)]


class GroupOffload:
    """Of one network at a time, one block of layers and what stands outside of blocks."""

    def __init__(self, groups: Iterable[Group], device: torch.device, home: torch.device, non_blocking: bool = False):
        self.device, self._home, self._non_blocking = device, home, non_blocking
        self._groups = [*groups]
        self._here: list[Group] = []
        self._handles: list[Any] = []

    def begin(self) -> None:
        """Send everything home, and put the hooks on."""
        for group in self._groups:
            group.network.to(self._home)
            for layer in group.layers:
                self._handles.append(layer.register_forward_pre_hook(functools.partial(self._enter, group)))

    def _enter(self, group: Group, *_: Any) -> None:
        if group in self._here:
            return
        staying = [
            other for other in self._here if other.network is group.network and not (other.block and group.block)
        ]
        for other in self._here:
            if other not in staying:
                drop(other.held)
        bring(group.held, self.device, self._non_blocking)
        self._here = [*staying, group]

    def free(self) -> None:
        """Send home what is on the device."""
        for group in self._here:
            drop(group.held)
        self._here = []

    def remove(self) -> None:
        """Take the hooks off again; everything is at home."""
        self.free()
        for handle in self._handles:
            handle.remove()


def groups_of(
    network: nn.Module, offload_type: str, num_blocks_per_group: int | None, block_modules: Sequence[str] | None = None
) -> list[Group]:
    """The groups of a network: each layer for itself, or so many blocks of its lists together and the rest."""
    holding = [layer for layer in network.modules() if held_by(layer)]
    if offload_type not in LEVELS:
        raise InvalidArgument("offload_type", f"one of {', '.join(LEVELS)}", repr(offload_type))
    if offload_type == "leaf_level":
        return [Group(network, [layer]) for layer in holding]
    size = 1 if num_blocks_per_group is None else num_blocks_per_group
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgument("num_blocks_per_group", "a whole number from 1 up", repr(num_blocks_per_group))
    made: list[Group] = []
    taken: set[nn.Module] = set()
    for blocks in lists_of_blocks(network, block_modules):
        for first in range(0, len(blocks), size):
            layers = [layer for block in blocks[first : first + size] for layer in block.modules() if held_by(layer)]
            made.append(Group(network, layers))
            taken.update(layers)
    return [*made, Group(network, [layer for layer in holding if layer not in taken], block=False)]


def lists_of_blocks(network: nn.Module, names: Sequence[str] | None) -> list[list[nn.Module]]:
    """The lists of blocks that are the outermost of a network, or that are called so; a name alone is one block."""
    if names is not None:
        parts = dict(network.named_modules())
        odd = next((name for name in names if name not in parts), None)
        if odd is not None:
            raise InvalidArgument("block_modules", f"parts of {type(network).__name__}", repr(odd))
        chosen = [parts[name] for name in names]
    else:
        chosen = outermost_lists(network)
    return [[*part] if isinstance(part, (nn.ModuleList, nn.Sequential)) else [part] for part in chosen]


def outermost_lists(network: nn.Module) -> list[nn.Module]:
    """The lists of modules that are in no other list."""
    found: list[nn.Module] = []
    for part in network.children():
        found += [part] if isinstance(part, (nn.ModuleList, nn.Sequential)) else outermost_lists(part)
    return found


def group_offload(
    networks: Iterable[nn.Module],
    onload_device: torch.device | str,
    offload_device: torch.device | str = CPU,
    offload_type: str = LEVELS[0],
    num_blocks_per_group: int | None = None,
    non_blocking: bool = False,
    use_stream: bool = False,
    record_stream: bool = False,
    low_cpu_mem_usage: bool = False,
    offload_to_disk_path: str | None = None,
    block_modules: Sequence[str] | None = None,
) -> GroupOffload:
    """Plan to offload these networks. What is about streams is about speed alone, and streams are not used."""
    away, home = reached("onload_device", onload_device), reached("offload_device", offload_device)
    if offload_to_disk_path is not None:
        fix = "Networks that were loaded from safetensors files are mapped: the system drops what is not used."
        raise InvalidArgument("offload_to_disk_path", "None", repr(offload_to_disk_path), fix)
    if use_stream:
        logger.warning("use_stream: a group is brought when it is entered, not ahead; the numbers are the same")
    how = (offload_type, num_blocks_per_group, block_modules)
    groups = [group for network in networks for group in groups_of(network, *how)]
    return GroupOffload(groups, away, home, non_blocking)
