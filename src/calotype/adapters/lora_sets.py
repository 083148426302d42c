"""The LoRAs of several networks under their names: taken in whole, found again, and chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from calotype.adapters.choices import Choice
from calotype.adapters.fusing import with_adapters
from calotype.adapters.injection import Injected, injected, number
from calotype.adapters.lora_blocks import weights_of
from calotype.adapters.lora_changes import changes_of
from calotype.adapters.lora_files import LoraFile
from calotype.core.errors import InvalidArgument

LONGEST_NAME = 256


class Loras:
    """The LoRAs of some networks, by name: what a pipeline's methods work on."""

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self.networks = dict(networks)
        self.parts: dict[str, Injected] = {name: injected(network) for name, network in networks.items()}

    @property
    def names(self) -> list[str]:
        """The adapters of any of the networks, in the order of loading."""
        return [*dict.fromkeys(name for part in self.parts.values() for name in part.adapters)]

    @property
    def fused(self) -> set[str]:
        return {name for part in self.parts.values() for name in part.weights.adapters}

    def known(self, argument: str, names: str | Sequence[str]) -> list[str]:
        """These adapters, if all of them are there, and each is named once."""
        asked = [names] if isinstance(names, str) else list(names)
        for name in asked:
            if name not in self.names:
                near = get_close_matches(str(name), self.names, 1)
                fix = f"Did you mean {near[0]!r}?" if near else ""
                raise InvalidArgument(
                    argument, f"adapters that were loaded ({', '.join(self.names) or 'none'})", repr(name), fix
                )
        if len(set(asked)) < len(asked):
            raise InvalidArgument(argument, "each adapter once", repr(asked))
        return asked

    def load(self, lora: LoraFile, name: str | None, hotswap: bool = False, weight: float = 1.0) -> dict[str, Choice]:
        """Take a LoRA in, all of it or nothing, to be used alone; with ``hotswap`` it takes the place of another."""
        name = self._free_name() if name is None else name
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or "." in name:
            raise InvalidArgument("adapter_name", f"up to {LONGEST_NAME} characters without a dot", repr(name)[:80])
        if (name in self.names) != hotswap:
            expected = "the name of the adapter to replace, as hotswap=True" if hotswap else "a free name"
            fix = "" if hotswap else "delete_adapters makes it free."
            raise InvalidArgument(
                "adapter_name", f"{expected} (taken: {', '.join(self.names) or 'none'})", repr(name), fix
            )
        self.refuse_fused("adapter_name", [name])
        changes = changes_of(lora, self.networks)
        before = {component: part.choice for component, part in self.parts.items()}
        self.forget([name])
        for component, own in changes.items():
            self.parts[component].add(name, own)
        fresh = self.choose([name], [weight])
        if not hotswap:
            return fresh
        worn = any(name in choice.weights for choice in before.values())
        kept = {component: before[component].without(name).chosen for component in fresh}
        return {c: Choice((*kept[c], *(choice.chosen if worn else ()))) for c, choice in fresh.items()}

    def forget(self, names: Sequence[str]) -> None:
        """Let go of these adapters."""
        for part in self.parts.values():
            for name in names:
                if name in part.adapters:
                    part.remove(name)

    def refuse_fused(self, argument: str, names: Sequence[str]) -> None:
        """Refuse adapters that are in the weights."""
        for name in names:
            if name in self.fused:
                raise InvalidArgument(argument, "adapters that are not fused", repr(name), "Call unfuse_lora() first.")

    def choose(self, names: Sequence[str], weights: Sequence[Any]) -> dict[str, Choice]:
        """What each network wears with these adapters at these weights."""
        for weight in weights:
            if isinstance(weight, Mapping):
                for component in weight:
                    if component not in self.parts:
                        expected = f"weights by network ({', '.join(self.parts)})"
                        raise InvalidArgument("adapter_weights", expected, repr(component))
        found: dict[str, Choice] = {}
        for component, part in self.parts.items():
            chosen: list[Any] = []
            for name, weight in zip(names, weights, strict=True):
                own = weight.get(component) if isinstance(weight, Mapping) else weight
                where = f"adapter_weights of {name!r}" + (f"[{component!r}]" if isinstance(weight, Mapping) else "")
                layers = part.adapters[name].changes if name in part.adapters else ()
                told = weights_of(where, own, self.networks[component], layers)
                if name in part.adapters:
                    chosen.append((part.adapters[name], told))
            found[component] = Choice(tuple(chosen))
        return found

    def among(self, argument: str, components: Sequence[str] | None) -> list[str]:
        """These networks, or all."""
        for name in components or ():
            if name not in self.parts:
                raise InvalidArgument(argument, f"among {', '.join(self.parts)}", repr(name))
        return list(self.parts if components is None else components)

    def fuse(self, components: Sequence[str], names: Sequence[str] | None, scale: float) -> None:
        """Put adapters into the weights of these networks, all or none of them: the named ones, or those in use."""
        number("lora_scale", scale)
        worn = {name for part in self.parts.values() for name in part.choice.weights}
        fused = {name for component in components for name in self.parts[component].weights.adapters}
        asked = [name for name in self.names if name in worn - fused] if names is None else list(names)
        again = ", ".join(name for name in asked if name in fused)
        if again or not asked:
            found = again or f"none (fused: {', '.join(sorted(fused)) or 'none'})"
            raise InvalidArgument("adapter_names", "adapters in use that are not fused", found)
        fresh = self.choose(asked, [1.0] * len(asked))
        weights: dict[str, Mapping[str, Tensor]] = {}
        for component in components:
            part = self.parts[component]
            chosen = tuple(
                (adapter, part.choice.weights.get(adapter.name, ones)) for adapter, ones in fresh[component].chosen
            )
            weights[component] = with_adapters(self.networks[component], Choice(chosen), scale)
        for component in components:
            self.parts[component].weights.put(self.networks[component], asked, weights[component])

    def unfuse(self, components: Iterable[str]) -> None:
        """Every weight of these networks as it was."""
        for component in components:
            self.parts[component].weights.take_out(self.networks[component])

    def _free_name(self) -> str:
        number = len(self.names)
        while f"default_{number}" in self.names:
            number += 1
        return f"default_{number}"
