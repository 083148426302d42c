"""The switches of networks with attention layers: processors, slices, fused projections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import nn

from calotype.core.errors import InvalidArgument, UnknownArgument
from calotype.models.layers.attention import Attention
from calotype.models.layers.processors import AttnProcessor2_0, arguments_of


class WithAttention(nn.Module):
    """A network whose attention layers can be reached and switched all at once."""

    def attention_layers(self) -> dict[str, Attention]:
        """Every attention layer by its name."""
        return {name: layer for name, layer in self.named_modules() if isinstance(layer, Attention)}

    @property
    def attn_processors(self) -> dict[str, Any]:
        """What runs each attention layer, by the layer's name and ``.processor``."""
        return {f"{name}.processor": layer.processor for name, layer in self.attention_layers().items()}

    def set_attn_processor(self, processor: Any) -> None:
        """Run every layer with this processor, or each with its own of a dict like ``attn_processors``."""
        layers = self.attention_layers()
        if isinstance(processor, Mapping):
            names = {f"{name}.processor" for name in layers}
            if set(processor) != names:
                missing, extra = sorted(names - set(processor)), sorted(set(processor) - names)
                found = f"{len(missing)} missing {missing[:3]}, {len(extra)} unknown {extra[:3]}"
                raise InvalidArgument("processor", f"one for each of the {len(names)} attention layers", found)
        for name, layer in layers.items():
            layer.set_processor(processor[f"{name}.processor"] if isinstance(processor, Mapping) else processor)

    def set_default_attn_processor(self) -> None:
        """Run every layer with the fastest kernel again."""
        for layer in self.attention_layers().values():
            layer.weigh_with(AttnProcessor2_0())

    def set_attention_slice(self, slice_size: Literal["auto", "max"] | int | list[int | None] | None = "auto") -> None:
        """Weigh a few heads at a time: half of them ("auto"), one ("max"), a number, a list of numbers; None: all."""
        layers = list(self.attention_layers().values())
        sizes = slice_size if isinstance(slice_size, list) else [_slice(slice_size, layer.heads) for layer in layers]
        if len(sizes) != len(layers):
            raise InvalidArgument("slice_size", f"one for each of the {len(layers)} attention layers", str(len(sizes)))
        for size, layer in zip(sizes, layers, strict=True):  # before any layer is switched
            layer.check_slice(size)
        for size, layer in zip(sizes, layers, strict=True):
            layer.set_attention_slice(size)

    def set_use_memory_efficient_attention_xformers(self, valid: bool, attention_op: Any = None) -> None:
        """Weigh with xformers, or no longer."""
        for layer in self.attention_layers().values():
            layer.set_use_memory_efficient_attention_xformers(valid, attention_op)

    def enable_xformers_memory_efficient_attention(self, attention_op: Any = None) -> None:
        self.set_use_memory_efficient_attention_xformers(True, attention_op)

    def disable_xformers_memory_efficient_attention(self) -> None:
        self.set_use_memory_efficient_attention_xformers(False)

    def fuse_qkv_projections(self) -> None:
        """One matrix product where queries, keys and values read the same states."""
        for layer in self.attention_layers().values():
            layer.fuse_projections()

    def unfuse_qkv_projections(self) -> None:
        """The network as it was before ``fuse_qkv_projections``."""
        for layer in self.attention_layers().values():
            layer.fuse_projections(fuse=False)

    def known_to_processors(self, cross_attention_kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
        """What in ``cross_attention_kwargs`` is for processors, not adapters; a name that none takes is refused."""
        told = {name: value for name, value in (cross_attention_kwargs or {}).items() if name != "scale"}
        if not told:
            return told
        taken = {arguments_of(layer.processor) for layer in self.attention_layers().values()}
        known = frozenset[str]().union(*(names for names in taken if names is not None))
        for name in told:
            if name not in known and None not in taken:
                choices = ", ".join(sorted({"scale", *known}))
                raise UnknownArgument(f"cross_attention_kwargs[{name!r}]", f"what the processors take: {choices}")
        return told


def _slice(size: Literal["auto", "max"] | int | None, heads: int) -> int | None:
    if isinstance(size, str) and size not in ("auto", "max"):
        raise InvalidArgument("slice_size", "'auto', 'max', a number, a list of numbers or None", repr(size))
    if heads == 1:  # nothing to slice: a number speaks of the layers that have several
        return None
    return {"auto": heads // 2, "max": 1}[size] if isinstance(size, str) else size
