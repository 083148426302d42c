"""Calls wear adapters: each keeps those that it began with, as strongly as it was told."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from calotype.adapters.choices import Choice
from calotype.adapters.lora_sets import Loras
from calotype.core.pipeline import DiffusionPipeline


class WearsAdapters(DiffusionPipeline):
    """A pipeline whose calls keep the adapters that they began with."""

    lora_components = ("unet", "text_encoder", "text_encoder_2")
    _worn: Mapping[str, Choice] | None = None  # of a call: what it began with

    def for_one_call(self) -> Any:
        call = super().for_one_call()
        call._worn = {component: part.choice for component, part in self._loras.parts.items()}
        return call

    @contextmanager
    def adapted(self, *components: str, scale: float | None = None) -> Generator[None, None, None]:
        """Let these networks wear the adapters of the call, all of them as much as ``scale`` says."""
        loras = self._loras
        with ExitStack() as worn:
            for component in components:
                if component in loras.parts:
                    choice = None if self._worn is None else self._worn.get(component)
                    worn.enter_context(loras.parts[component].wearing(choice, scale))
            yield

    @property
    def denoiser(self) -> Any:
        """The network that predicts, with the adapters of the call."""
        return partial(self._predict, super().denoiser)  # pyright: ignore[reportAttributeAccessIssue]

    def _predict(self, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self.adapted("unet"):
            return network(*args, **kwargs)

    @property
    def _loras(self) -> Loras:
        networks = self.networks
        return Loras({name: networks[name] for name in self.lora_components if name in networks})

    def _choices(self, loras: Loras) -> dict[str, Choice]:
        return {component: (self._worn or {}).get(component, part.choice) for component, part in loras.parts.items()}

    def _wear(self, choices: Mapping[str, Choice]) -> None:
        """Choose for all calls to come; a call chooses for itself alone."""
        if self._worn is not None:
            self._worn = {**self._worn, **choices}
            return
        for component, part in self._loras.parts.items():
            part.choice = choices.get(component, part.choice)
