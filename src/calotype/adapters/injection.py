"""Changes laid beside the layers of a network and taken away again; its modules and weights stay as they are."""

from __future__ import annotations

import inspect
import math
import threading
import weakref
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from calotype.adapters.changes import LAYERS, Change, Layer
from calotype.adapters.choices import Adapter, Choice
from calotype.adapters.fusing import FusedWeights
from calotype.core.errors import InvalidArgument


class Injected:
    """The adapters of one network. Each layer that any of them changes has a gate, which asks what counts now."""

    def __init__(self, network: nn.Module) -> None:
        self.adapters: dict[str, Adapter] = {}
        self.choice = Choice()
        self.weights = FusedWeights()
        self._network = weakref.ref(network)
        self._gates: dict[str, Any] = {}
        self._users: Counter[str] = Counter()
        self._doors: list[Any] = []
        self._now = threading.local()  # what the call on this thread wears: a choice, and a factor for all of it

    @property
    def network(self) -> nn.Module:
        network = self._network()
        assert network is not None
        return network

    def layer(self, name: str) -> Layer:
        found = self.network.get_submodule(name)
        assert isinstance(found, LAYERS)
        return found

    # ------------------------------------------------------------------ in and out

    def add(self, name: str, changes: Mapping[str, Change]) -> Adapter:
        """Keep an adapter ready; it counts for nothing until it is chosen."""
        adapter = Adapter(name, changes)
        if not self._gates:
            self._open_doors()
        for layer in adapter.changes:
            if layer not in self._gates:
                self._gates[layer] = self.layer(layer).register_forward_hook(Gate(self, layer))
        self._users.update(adapter.changes.keys())
        # gates go when nobody holds the adapter any more: a call that is under way may hold it longer than we
        weakref.finalize(adapter, _let_go, weakref.ref(self), tuple(adapter.changes)).atexit = False
        self.adapters[name] = adapter
        _forget_compiled(self.network)
        return adapter

    def remove(self, name: str) -> None:
        """Forget an adapter."""
        self.choice = self.choice.without(name)
        del self.adapters[name]

    def let_go(self, layers: Iterable[str]) -> None:
        """An adapter of these layers is gone: take away the gates that no other needs."""
        self._users.subtract(layers)
        for layer in [layer for layer in layers if not self._users[layer]]:
            self._gates.pop(layer).remove()
            del self._users[layer]
        if not self._gates:
            while self._doors:
                self._doors.pop().remove()

    # ------------------------------------------------------------------ what counts now

    def now(self, layer: str) -> tuple[tuple[str, Change, float], ...]:
        """The changes of this layer that count in the call on this thread."""
        choice: Choice = getattr(self._now, "choice", self.choice)
        changes = choice.by_layer.get(layer, ())
        scale: float = getattr(self._now, "scale", 1.0)
        if not changes or (scale == 1.0 and not self.weights.adapters):
            return changes
        heard = (found for found in changes if scale and found[0] not in self.weights.adapters)
        return tuple((name, change, weight * scale) for name, change, weight in heard)

    @contextmanager
    def wearing(self, choice: Choice | None = None, scale: float | None = None) -> Generator[None, None, None]:
        """Let this choice, all of it as much as ``scale`` says, count on this thread for a while."""
        before = vars(self._now).copy()
        told = {"choice": choice, "scale": None if scale is None else number("lora_scale", scale)}
        vars(self._now).update({name: value for name, value in told.items() if value is not None})
        try:
            yield
        finally:
            vars(self._now).clear()
            vars(self._now).update(before)

    def _open_doors(self) -> None:
        """Read ``cross_attention_kwargs["scale"]`` where the network is entered."""
        names = [*inspect.signature(self.network.forward).parameters]
        if "cross_attention_kwargs" not in names:
            return
        place = names.index("cross_attention_kwargs")
        outer = self._outer

        def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            told = args[place] if len(args) > place else kwargs.get("cross_attention_kwargs")
            before: float = getattr(self._now, "scale", 1.0)
            scale = number("cross_attention_kwargs['scale']", (told or {}).get("scale", before))
            outer().append(before)
            self._now.scale = scale

        def leave(*_: Any) -> None:
            if outer():  # empty where the door was never passed
                self._now.scale = outer().pop()

        self._doors = [
            self.network.register_forward_pre_hook(enter, with_kwargs=True),
            self.network.register_forward_hook(leave, always_call=True),
        ]

    def _outer(self) -> list[float]:
        return self._now.__dict__.setdefault("outer", [])


class Gate:
    """Where the changes of a layer come in; copies of a network share it."""

    def __init__(self, injected: Injected, layer: str) -> None:
        self.injected, self.layer = injected, layer

    def __call__(self, layer: Layer, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        for _, change, weight in self.injected.now(self.layer):
            output = change.beside(layer, args[0], output, weight)
        return output

    def __deepcopy__(self, _: Any) -> Gate:
        return self


_everywhere: weakref.WeakKeyDictionary[nn.Module, Injected] = weakref.WeakKeyDictionary()


def injected(network: nn.Module) -> Injected:
    """The adapters of this network."""
    found = _everywhere.get(network)
    return _everywhere.setdefault(network, Injected(network)) if found is None else found


def number(where: str, told: Any) -> float:
    """The finite number that was told."""
    if isinstance(told, bool) or not isinstance(told, (int, float)) or not math.isfinite(told):
        raise InvalidArgument(where, "a finite number", repr(told))
    return float(told)


def _let_go(adapters: weakref.ref[Injected], layers: Iterable[str]) -> None:
    found = adapters()
    if found is not None:
        found.let_go(layers)


def _forget_compiled(network: nn.Module) -> None:
    """Compiled code does not see gates that were set after it was made."""
    if network._compiled_call_impl is not None or "predict" in vars(network):
        torch.compiler.reset()
