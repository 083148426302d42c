"""Weights that wait in main memory and visit the accelerator only to work."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

# A network is entered by being called, or by one of these.
ENTRANCES = ("forward", "encode", "decode", "embed_hint")


class ModelOffload:
    """At most one network at a time on the device: entering one sends the one before it back."""

    def __init__(self, networks: list[nn.Module], device: torch.device) -> None:
        self.device = device
        self._networks = networks
        self._resident: nn.Module | None = None
        for network in networks:
            network.to("cpu")
            for name in ENTRANCES:
                if hasattr(network, name):
                    network.__dict__[name] = self._admitting(network, getattr(network, name))

    def _admitting(self, network: nn.Module, entrance: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(entrance)
        def enter(*args: Any, **kwargs: Any) -> Any:
            if self._resident is not network:
                self.free()
                network.to(self.device)
                self._resident = network
            return entrance(*args, **kwargs)

        return enter

    def free(self) -> None:
        """Send the resident network home."""
        if self._resident is not None:
            self._resident.to("cpu")
            self._resident = None

    def remove(self) -> None:
        """Take the hooks off again; everything is in main memory."""
        self.free()
        for network in self._networks:
            for name in ENTRANCES:
                network.__dict__.pop(name, None)


class SequentialOffload:
    """Only the layer at work is on the device: the least memory, the slowest way."""

    def __init__(self, networks: list[nn.Module], device: torch.device) -> None:
        self.device = device
        self._handles: list[Any] = []
        for network in networks:
            network.to("cpu")
            for layer in network.modules():
                held = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
                if held:
                    self._handles.append(layer.register_forward_pre_hook(functools.partial(self._bring, held)))
                    self._handles.append(
                        layer.register_forward_hook(functools.partial(self._drop, held), always_call=True)
                    )

    def _bring(self, held: list[torch.Tensor], layer: nn.Module, _: Any) -> None:
        for tensor in held:
            tensor.home = tensor.data  # pyright: ignore[reportAttributeAccessIssue]
            tensor.data = tensor.data.to(self.device, non_blocking=True)

    @staticmethod
    def _drop(held: list[torch.Tensor], layer: nn.Module, *_: Any) -> None:
        for tensor in held:
            tensor.data = vars(tensor).pop("home", tensor.data)

    def free(self) -> None:
        """Nothing stays behind."""

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()


def accelerator(gpu_id: int | None, device: torch.device | str | None) -> torch.device:
    """The device that offloaded weights visit: as named, else the machine's accelerator."""
    if device is None:
        kind = torch.accelerator.current_accelerator() if hasattr(torch, "accelerator") else None
        device = kind or ("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(device)
    return device if gpu_id is None or device.type == "cpu" else torch.device(device.type, gpu_id)
