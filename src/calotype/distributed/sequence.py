"""A sequence of tokens over several processes: attention exchanges heads for tokens, all else needs no one."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d

from calotype.core.errors import InvalidArgument
from calotype.models.layers.spread import Attention
from calotype.ops.attention import attend

PIECES = 4096  # of a tensor, whose means tell it from another


class Shared:
    """The part of one process of a group.

    Where the heads can be dealt out evenly, each process attends with some heads over all tokens (arXiv:2309.14509);
    where not, with all heads for its own tokens, over the gathered keys and values of all.
    """

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self.group, self.rank, self.size = group, dist.get_rank(group), dist.get_world_size(group)

    def agree(self, *facts: Any) -> None:
        tensors = [fact for fact in facts if isinstance(fact, Tensor)]
        plain = [(fact.shape, fact.dtype) if isinstance(fact, Tensor) else fact for fact in facts]
        # these first: then all have as many tensors
        self._same([torch.tensor([*sha256(repr(plain).encode()).digest()])], tensors[0].device)
        self._same(tensors, tensors[0].device)

    def part(self, tokens: Tensor) -> Tensor:
        if tokens.shape[1] < self.size:
            expected = f"at most {tokens.shape[1]} processes, as there are tokens of one kind"
            raise InvalidArgument("group", expected, str(self.size), "Make a larger film, or use fewer.")
        return tokens.split(shares(tokens.shape[1], self.size), dim=1)[self.rank]

    def attention(self, kinds: Sequence[int]) -> Attention:
        dealt = [shares(kind, self.size) for kind in kinds]  # of each kind, to each process

        def over_all(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys = counts(dealt)
            asking = counts(dealt if query.shape[2] == key.shape[2] else dealt[1:])
            within = self._by_heads if query.shape[1] % self.size == 0 else self._by_queries
            return within(query, key, value, asking, keys)

        return over_all

    def whole(self, tokens: Tensor, total: int) -> Tensor:
        return torch.cat(self._gathered(tokens, shares(total, self.size), dim=1), dim=1)

    # ------------------------------------------------------------------ two ways to attend

    def _by_heads(self, query: Tensor, key: Tensor, value: Tensor, asking: list[int], keys: list[int]) -> Tensor:
        told = torch.cat([query, key, value], dim=2)
        parts = self._exchanged(told.chunk(self.size, dim=1), [q + 2 * k for q, k in zip(asking, keys, strict=True)])
        split = [part.split([q, k, k], dim=2) for part, q, k in zip(parts, asking, keys, strict=True)]
        some_heads = [torch.cat(each, dim=2) for each in zip(*split, strict=True)]
        seen = attend(some_heads[0], some_heads[1], some_heads[2])
        mine = [query.shape[2]] * self.size
        return torch.cat(self._exchanged(seen.split(asking, dim=2), mine), dim=1)

    def _by_queries(self, query: Tensor, key: Tensor, value: Tensor, asking: list[int], keys: list[int]) -> Tensor:
        key, value = torch.cat(self._gathered(torch.stack([key, value]), keys, dim=3), dim=3)
        return attend(query, key, value)

    # ------------------------------------------------------------------ what goes from process to process

    def _exchanged(self, parts: Sequence[Tensor], tokens: list[int]) -> list[Tensor]:
        """Each process gets its part (batch, heads, tokens, width) of each, of which it comes with so many tokens."""
        batch, heads, _, width = parts[0].shape
        sent = torch.cat([part.flatten() for part in parts])
        sizes = [batch * heads * count * width for count in tokens]
        got = sent.new_empty(sum(sizes))
        dist.all_to_all_single(got, sent, sizes, [part.numel() for part in parts], group=self.group)
        shapes = [(batch, heads, count, width) for count in tokens]
        return [piece.view(shape) for piece, shape in zip(got.split(sizes), shapes, strict=True)]

    def _gathered(self, mine: Tensor, tokens: list[int], dim: int) -> list[Tensor]:
        """The tensors of all processes, with so many tokens along ``dim``: filled up to the longest on the way."""
        missing = max(tokens) - mine.shape[dim]
        if missing:
            mine = torch.cat([mine, mine.narrow(dim, 0, 1).expand(*filling(mine, dim, missing))], dim)
        got = [torch.empty_like(mine, memory_format=torch.contiguous_format) for _ in tokens]
        dist.all_gather(got, mine.contiguous(), group=self.group)
        return [piece.narrow(dim, 0, count) for piece, count in zip(got, tokens, strict=True)]

    def _same(self, tensors: Sequence[Tensor], device: torch.device) -> None:
        """Refuse tensors that are others elsewhere, by more than devices of different kinds would make of them."""
        mine = [outline(tensor).to(device) for tensor in tensors]
        lengths = [len(each) for each in mine]
        all_of_them = torch.stack(self._gathered(torch.cat(mine), [sum(lengths)] * self.size, dim=0))
        for tensor, seen in zip(tensors, all_of_them.split(lengths, dim=1), strict=True):
            low, high = seen.aminmax(dim=0)
            if (high - low > half_the_digits(tensor.dtype) * seen.abs().mean()).any():  # so all of them see it
                fix = "Give all of them the same arguments, and generators with one seed."
                raise InvalidArgument("group", "the same call in every process", "calls that differ", fix)


def outline(tensor: Tensor) -> Tensor:
    """The means of the pieces of a tensor, in order."""
    numbers = tensor.double().reshape(1, -1)
    return adaptive_avg_pool1d(numbers, min(PIECES, numbers.shape[1]))[0]


def half_the_digits(dtype: torch.dtype) -> float:
    """How far numbers of this type may be apart, relative to their size, of which half the digits are the same."""
    return torch.finfo(dtype if dtype.is_floating_point else torch.float64).eps ** 0.5


def shares(total: int, size: int) -> list[int]:
    """So many things dealt out: the first get one more where they do not go round."""
    return [total // size + (rank < total % size) for rank in range(size)]


def counts(dealt: Sequence[Sequence[int]]) -> list[int]:
    """How many each has of all kinds."""
    return [sum(kinds) for kinds in zip(*dealt, strict=True)]


def filling(tensor: Tensor, dim: int, length: int) -> list[int]:
    """The shape of a tensor but for ``dim``, which is so long."""
    return [length if axis == dim else size for axis, size in enumerate(tensor.shape)]
