"""A network's parameters, averaged while it is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from calotype.core.errors import InvalidArgument, Unready

Parameters = Iterable[nn.Parameter]
# what of an average is kept beside its weights, and what each may be
KEPT: dict[str, tuple[type, ...]] = {
    "decay": (float, int),
    "min_decay": (float, int),
    "optimization_step": (int,),
    "update_after_step": (int,),
    "use_ema_warmup": (bool,),
    "inv_gamma": (float, int),
    "power": (float, int),
}


class EMAModel:
    """A moving average of a network's parameters: what was seen last counts most."""

    shadow_params: list[torch.Tensor]

    def __init__(
        self,
        parameters: Parameters,
        decay: float = 0.9999,
        min_decay: float = 0.0,
        update_after_step: int = 0,
        use_ema_warmup: bool = False,
        inv_gamma: float = 1.0,
        power: float = 2 / 3,
        foreach: bool = False,  # made no faster by it
        model_cls: Any = None,
        model_config: Mapping[str, Any] | None = None,
    ) -> None:
        self.shadow_params = [parameter.detach().clone() for parameter in parameters]
        self.temp_stored_params: list[torch.Tensor] | None = None
        self.decay, self.min_decay = decay, min_decay
        self.update_after_step, self.optimization_step = update_after_step, 0
        self.use_ema_warmup, self.inv_gamma, self.power = use_ema_warmup, inv_gamma, power
        self.cur_decay_value: float | None = None
        self.foreach = foreach
        self.model_cls, self.model_config = model_cls, model_config

    def get_decay(self, optimization_step: int) -> float:
        """How much of the average stays at this step: little at first, then ever more, up to ``decay``."""
        step = max(0, optimization_step - self.update_after_step - 1)
        if not step:
            return 0.0
        grown = 1 - (1 + step / self.inv_gamma) ** -self.power if self.use_ema_warmup else (1 + step) / (10 + step)
        return max(self.min_decay, min(self.decay, grown))

    @torch.no_grad()
    def step(self, parameters: Parameters) -> None:
        """Take the parameters in; what is not trained is taken as it is."""
        self.optimization_step += 1
        self.cur_decay_value = decay = self.get_decay(self.optimization_step)
        for average, parameter in zip(self.shadow_params, parameters, strict=True):
            if parameter.requires_grad:
                average.lerp_(parameter.to(average), 1 - decay)
            else:
                average.copy_(parameter)

    @torch.no_grad()
    def copy_to(self, parameters: Parameters) -> None:
        """Write the average into the parameters."""
        for average, parameter in zip(self.shadow_params, parameters, strict=True):
            parameter.copy_(average)

    def store(self, parameters: Parameters) -> None:
        """Keep the parameters aside, until ``restore`` puts them back."""
        self.temp_stored_params = [parameter.detach().cpu().clone() for parameter in parameters]

    @torch.no_grad()
    def restore(self, parameters: Parameters) -> None:
        """Put back what ``store`` kept."""
        if self.temp_stored_params is None:
            raise Unready("restore", "parameters that store kept", "none")
        for kept, parameter in zip(self.temp_stored_params, parameters, strict=True):
            parameter.copy_(kept)
        self.temp_stored_params = None

    def to(self, device: Any = None, dtype: torch.dtype | None = None, non_blocking: bool = False) -> None:
        """Move the average; only floats change their type."""
        self.shadow_params = [
            average.to(device, dtype if average.is_floating_point() else None, non_blocking=non_blocking)
            for average in self.shadow_params
        ]

    def pin_memory(self) -> None:
        """Keep the average where an accelerator reads it fastest."""
        self.shadow_params = [average.pin_memory() for average in self.shadow_params]

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in KEPT} | {"shadow_params": self.shadow_params}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from another average's state; what it does not tell stays."""
        told = {name: state_dict[name] for name in KEPT if name in state_dict}
        for name, value in told.items():
            if not isinstance(value, KEPT[name]) or ("decay" in name and not 0 <= value <= 1):
                wanted = "a number from 0 to 1" if "decay" in name else " or ".join(k.__name__ for k in KEPT[name])
                raise InvalidArgument(name, wanted, repr(value))
        averages = state_dict.get("shadow_params")
        if averages is not None and not (
            isinstance(averages, list) and all(isinstance(each, torch.Tensor) for each in averages)  # pyright: ignore
        ):
            raise InvalidArgument("shadow_params", "a list of tensors", type(averages).__name__)
        vars(self).update(told)
        if averages is not None:
            self.shadow_params = [average.clone() for average in averages]

    def save_pretrained(self, path: Any) -> None:
        """Write the average as a network of its own, which remembers in its config how it was made."""
        for name in ("model_cls", "model_config"):
            if getattr(self, name) is None:
                raise InvalidArgument(name, "what it was at the beginning: the network's own", "None")
        network = self.model_cls.from_config(self.model_config)
        network.register_to_config(**{name: getattr(self, name) for name in KEPT})
        self.copy_to(network.parameters())
        network.save_pretrained(path)

    @classmethod
    def from_pretrained(cls, path: Any, model_cls: Any, foreach: bool = False) -> EMAModel:
        """The average that was written there."""
        config, network = model_cls.load_config(path), model_cls.from_pretrained(path)
        made = cls(network.parameters(), foreach=foreach, model_cls=model_cls, model_config=network.config)
        made.load_state_dict({name: value for name, value in config.items() if name in KEPT})
        return made
