"""What an adapter adds to a layer's weight, in every form that files have it, each with its own way to be cheap."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype.models.helios_patches import Patches

Layer = nn.Linear | nn.Conv2d | Patches
LAYERS = (nn.Linear, nn.Conv2d, Patches)
Tensors = Mapping[str, Tensor]


class Change(ABC):
    """A change of one layer's weight; its tensors follow the layer to its device and type."""

    def __init__(self, tensors: Tensors, scale: float) -> None:
        self.tensors = {role: tensor.detach() for role, tensor in tensors.items()}
        self.scale = scale
        self._here: tuple[torch.device, torch.dtype, Tensors] | None = None

    def at(self, device: torch.device, dtype: torch.dtype) -> Tensors:
        """The tensors where and as the layer computes; kept, as the next step will want them too."""
        here = self._here
        if here is None or here[0] != device or here[1] != dtype:
            with torch.inference_mode(False):  # kept for calls that want gradients too
                tensors = {role: tensor.to(device, dtype) for role, tensor in self.tensors.items()}
            here = self._here = device, dtype, tensors
        return here[2]

    def rest(self, device: torch.device) -> None:
        """Lie on this device until a layer computes with it again."""
        self.tensors = {role: tensor.to(device) for role, tensor in self.tensors.items()}
        self._here = None

    @abstractmethod
    def difference(self, tensors: Tensors, shape: torch.Size) -> Tensor:
        """What is added to a weight of this shape, before any scale."""

    def added(self, base: Tensor, strength: float) -> Tensor:
        """What is added to this weight of the layer."""
        return self.difference(self.at(base.device, base.dtype), base.shape) * (self.scale * strength)

    def beside(self, layer: Layer, x: Tensor, output: Tensor, strength: float) -> Tensor:
        """The layer's output with this change in it; ``x`` is what the layer was given."""
        base = layer.weight.detach().to(x.device)  # it may be at home already, where layers visit one by one
        return output + applied(layer, x, self.added(base, strength))

    def shift(self, base: Tensor, strength: float) -> Tensor | None:
        """What is added to this bias of the layer, if anything is."""
        return None


class LowRank(Change):
    """``up @ down``; of a convolution, ``down`` has the kernel, or ``mid`` between two of one pixel has it (Tucker)."""

    def difference(self, tensors: Tensors, shape: torch.Size) -> Tensor:
        up, down, mid = tensors["up"].flatten(1), tensors["down"], tensors.get("mid")
        if mid is not None:
            return torch.einsum("or,rs...,si->oi...", up, mid, down.flatten(1))
        return (up @ down.flatten(1)).reshape(shape)

    def beside(self, layer: Layer, x: Tensor, output: Tensor, strength: float) -> Tensor:
        tensors = self.at(x.device, layer.weight.dtype)
        down, mid, up = tensors["down"], tensors.get("mid"), tensors["up"]
        if mid is None:
            narrow = applied(layer, x, down.reshape(len(down), *layer.weight.shape[1:]))
        elif isinstance(layer, nn.Conv2d):
            narrow = applied(layer, F.conv2d(x, down), mid)
        else:
            return super().beside(layer, x, output, strength)
        wide = isinstance(layer, nn.Conv2d)
        added = F.conv2d(narrow, up.reshape(*up.shape[:2], 1, 1)) if wide else F.linear(narrow, up.flatten(1))
        return torch.add(output, added, alpha=self.scale * strength)


class Hadamard(Change):
    """``(w1_a @ w1_b) * (w2_a @ w2_b)``, each with a core of its own for kernels (LoHa)."""

    def difference(self, tensors: Tensors, shape: torch.Size) -> Tensor:
        first, second = (_product(tensors, f"hada_w{side}_a", f"hada_w{side}_b", f"hada_t{side}") for side in (1, 2))
        return (first * second).reshape(shape)


class Kronecker(Change):
    """The Kronecker product of two small matrices, each whole or itself of low rank (LoKr)."""

    def difference(self, tensors: Tensors, shape: torch.Size) -> Tensor:
        first, second = (
            tensors[f"lokr_{side}"]
            if f"lokr_{side}" in tensors
            else _product(tensors, f"lokr_{side}_a", f"lokr_{side}_b", f"lokr_t{side[1]}")
            for side in ("w1", "w2")
        )
        return torch.kron(first, second.flatten(1).contiguous()).reshape(shape)


class Whole(Change):
    """The difference itself."""

    def difference(self, tensors: Tensors, shape: torch.Size) -> Tensor:
        return tensors["whole"].reshape(shape)


class Decomposed(Change):
    """A change of the weight's direction, with lengths of its own for rows or columns (DoRA, arXiv 2402.09353)."""

    def __init__(self, inner: Change, magnitude: Tensor) -> None:
        self.inner = inner
        super().__init__({**inner.tensors, "magnitude": magnitude}, inner.scale)

    def difference(self, tensors: Tensors, shape: torch.Size) -> Tensor:
        return self.inner.difference(tensors, shape)

    def added(self, base: Tensor, strength: float) -> Tensor:
        tensors = self.at(base.device, base.dtype)
        turned = base + self.difference(tensors, base.shape) * (self.scale * strength)
        magnitude = tensors["magnitude"]  # (outputs, 1, ...) or (1, inputs, ...)
        others = [dim for dim in range(base.ndim) if magnitude.shape[dim] == 1]
        return turned * (magnitude / torch.linalg.vector_norm(turned, dim=others, keepdim=True)) - base


class Unchanged(Change):
    """A weight that stays as it is."""

    def difference(self, tensors: Tensors, shape: torch.Size) -> Tensor:
        return torch.zeros(shape)

    def added(self, base: Tensor, strength: float) -> Tensor:
        return torch.zeros_like(base)

    def beside(self, layer: Layer, x: Tensor, output: Tensor, strength: float) -> Tensor:
        return output


class Shifted(Change):
    """A change that comes with one of the bias, of which ``share`` counts."""

    def __init__(self, inner: Change, bias: Tensor, share: float) -> None:
        self.inner = inner
        super().__init__({"bias": bias.flatten()}, share)

    def rest(self, device: torch.device) -> None:
        super().rest(device)
        self.inner.rest(device)

    def difference(self, tensors: Tensors, shape: torch.Size) -> Tensor:
        return self.inner.difference(tensors, shape)

    def added(self, base: Tensor, strength: float) -> Tensor:
        return self.inner.added(base, strength)

    def beside(self, layer: Layer, x: Tensor, output: Tensor, strength: float) -> Tensor:
        bias = self.at(x.device, layer.weight.dtype)["bias"] * (self.scale * strength)
        ones = [1] * (2 if isinstance(layer, nn.Conv2d) else 0)
        return self.inner.beside(layer, x, output, strength) + bias.reshape(-1, *ones)

    def shift(self, base: Tensor, strength: float) -> Tensor | None:
        own = self.at(base.device, base.dtype)["bias"] * (self.scale * strength)
        further = self.inner.shift(base, strength)
        return own if further is None else own + further


def applied(layer: Layer, x: Tensor, weight: Tensor) -> Tensor:
    """What the layer would make of ``x`` with this weight and no bias."""
    if isinstance(layer, nn.Linear):
        return F.linear(x, weight)
    if isinstance(layer, Patches):
        return F.linear(layer.cut(x), weight.flatten(1))
    return F.conv2d(x, weight, None, layer.stride, layer.padding, layer.dilation)


def _product(tensors: Tensors, a: str, b: str, core: str) -> Tensor:
    """``a @ b``, or, around a core (rank, rank, height, width), ``a`` and ``b`` at its two ends."""
    if core in tensors:
        return torch.einsum("ijkl,jr,ip->prkl", tensors[core], tensors[b], tensors[a])
    return tensors[a] @ tensors[b].flatten(1)
