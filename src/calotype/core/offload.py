"""Weights that wait in main memory and visit the accelerator only to work."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from calotype.core.devices import device_of

CPU = torch.device("cpu")
# A network is entered by being called, or by one of these.
ENTRANCES = ("forward", "encode", "decode", "embed_hint", "read_text", "read_history", "predict")


class ModelOffload:
    """One network at a time on the device, or those that work in turn at each step: others send them back."""

    def __init__(self, turns: Iterable[Sequence[nn.Module]], device: torch.device) -> None:
        self.device = device
        self._turns = {network: turn for turn in turns for network in turn}
        self._resident: list[nn.Module] = []
        self._hooks: list[tuple[nn.Module, str, Any, Any]] = []  # (network, entrance, ours, what was there)
        for network in self._turns:
            network.to("cpu")
            for name in ENTRANCES:
                if hasattr(network, name):
                    there, ours = vars(network).get(name), self._admitting(network, getattr(network, name))
                    self._hooks.append((network, name, ours, there))
                    vars(network)[name] = ours

    def _admitting(self, network: nn.Module, entrance: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(entrance)
        def enter(*args: Any, **kwargs: Any) -> Any:
            if network not in self._resident:
                if not all(other in self._turns[network] for other in self._resident):
                    self.free()
                network.to(self.device)
                self._resident.append(network)
            return entrance(*args, **kwargs)

        return enter

    def free(self) -> None:
        """Send home what is on the device."""
        for network in self._resident:
            network.to("cpu")
        self._resident = []

    def remove(self) -> None:
        """Take the hooks off again; everything is in main memory."""
        self.free()
        for network, name, ours, there in self._hooks:
            if vars(network).get(name) is ours:  # else it was compiled since
                vars(network).pop(name) if there is None else vars(network).update({name: there})


class SequentialOffload:
    """Only the layer at work is on the device: the least memory, the slowest way."""

    def __init__(self, networks: list[nn.Module], device: torch.device) -> None:
        self.device = device
        self._handles: list[Any] = []
        for network in networks:
            network.to("cpu")
            for layer in network.modules():
                if held := held_by(layer):
                    self._handles.append(layer.register_forward_pre_hook(functools.partial(self._bring, held)))
                    self._handles.append(
                        layer.register_forward_hook(functools.partial(self._drop, held), always_call=True)
                    )

    def _bring(self, held: list[torch.Tensor], *_: Any) -> None:
        bring(held, self.device, non_blocking=True)

    @staticmethod
    def _drop(held: list[torch.Tensor], *_: Any) -> None:
        drop(held)

    def free(self) -> None:
        """Nothing stays behind."""

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()


def held_by(layer: nn.Module) -> list[torch.Tensor]:
    """The tensors of a layer itself, without those of its parts."""
    return [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]


def bring(held: list[torch.Tensor], device: torch.device, non_blocking: bool) -> None:
    """Lay copies on the device in the place of tensors; what was there waits."""
    for tensor in held:
        tensor.home = tensor.data  # pyright: ignore[reportAttributeAccessIssue]
        tensor.data = tensor.data.to(device, non_blocking=non_blocking)


def drop(held: list[torch.Tensor]) -> None:
    """Lay the tensors back that waited; the copies are let go."""
    for tensor in held:
        tensor.data = vars(tensor).pop("home", tensor.data)


def accelerator(gpu_id: int | None, device: torch.device | str | None) -> torch.device:
    """The device that offloaded weights visit: as named, else the machine's accelerator."""
    if device is None:
        kind = torch.accelerator.current_accelerator() if hasattr(torch, "accelerator") else None
        device = kind or ("cuda" if torch.cuda.is_available() else "cpu")
    device = device_of("device", device)
    return device if gpu_id is None or device.type == "cpu" else torch.device(device.type, gpu_id)
