"""What training scripts ask of a network: adapters of PEFT's beside its layers, and less memory for gradients."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from calotype.core.errors import InvalidArgument, MissingDependency

# lists of layers that are gone through once more on the way back, instead of keeping what they made on the way there
RECOMPUTED = ("attentions", "block", "blocks", "layers", "resnets")


class Recomputed:
    """The forward of a layer in training: nothing within it is kept for the gradients."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        plain = partial(type(self.layer).forward, self.layer)
        if self.layer.training and torch.is_grad_enabled():
            return checkpoint(plain, *args, use_reentrant=False, **kwargs)
        return plain(*args, **kwargs)


class Trainable(nn.Module):
    """A network that can be trained."""

    @property
    def is_gradient_checkpointing(self) -> bool:
        return any(isinstance(layer.forward, Recomputed) for layer in self.modules())

    def enable_gradient_checkpointing(self) -> None:
        """Train with less memory, and more work: layers are gone through once more for their gradients."""
        layers = [
            layer
            for name, several in self.named_modules()
            if isinstance(several, nn.ModuleList) and name.rpartition(".")[2] in RECOMPUTED
            for layer in several
        ]
        if not layers:
            known = f"a network with layers in one of {', '.join(RECOMPUTED)}"
            raise InvalidArgument("enable_gradient_checkpointing", known, type(self).__name__)
        for layer in layers:
            vars(layer)["forward"] = Recomputed(layer)

    def disable_gradient_checkpointing(self) -> None:
        """Train as it is usual."""
        for layer in self.modules():
            if isinstance(layer.forward, Recomputed):
                del vars(layer)["forward"]

    # ------------------------------------------------------------------ adapters of PEFT's, to be trained

    def add_adapter(self, adapter_config: Any, adapter_name: str = "default") -> None:
        """Put fresh layers of PEFT's beside those that its config names; they alone are trained."""
        try:
            from peft import inject_adapter_in_model  # pyright: ignore
        except ImportError:
            raise MissingDependency("peft", "an installed peft", "none", "pip install peft") from None
        inject_adapter_in_model(adapter_config, self, adapter_name)

    def set_adapter(self, adapter_name: str | list[str]) -> None:
        """Use this adapter of PEFT's, or these."""
        for layer in self._adapted():
            layer.set_adapter(adapter_name)

    def enable_adapters(self) -> None:
        """Hear PEFT's adapters again."""
        for layer in self._adapted():
            layer.enable_adapters(enabled=True)

    def disable_adapters(self) -> None:
        """Work as without PEFT's adapters, for a while."""
        for layer in self._adapted():
            layer.enable_adapters(enabled=False)

    def active_adapters(self) -> list[str]:
        """The names of PEFT's adapters that are used."""
        return list(self._adapted()[0].active_adapters)

    def _adapted(self) -> list[Any]:
        layers = [
            layer for layer in self.modules() if hasattr(layer, "active_adapters") and hasattr(layer, "base_layer")
        ]
        if not layers:
            raise InvalidArgument("adapter", "one that add_adapter put in", "none")
        return layers
