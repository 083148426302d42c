"""A pass that nobody waits for any more is stopped in its midst."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from torch import nn

from calotype.server.jobs import Unwanted


@contextmanager
def while_wanted(network: nn.Module, wanted: Callable[[], bool]) -> Generator[None, None, None]:
    """Stop the network between two of its layers, or two tiles of one, once what it makes is not wanted."""

    def check(*_: Any) -> None:
        if not wanted():
            raise Unwanted

    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Conv3d))]
    hooks = [layer.register_forward_pre_hook(check) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
