"""What a tensor's bytes mean: shape and dtype, checked before any memory is taken, and the tensor itself."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calotype.core.errors import InvalidArgument

if TYPE_CHECKING:
    import torch

TENSOR = "tensor/binary"
SIZES = {"float16": 2, "bfloat16": 2, "float32": 4, "uint8": 1}  # bytes of one number
FLOATS = ("float16", "float32", "bfloat16")  # what may be sent to a VAE
RANKS = range(3, 6)  # packed latents or one picture, a batch of pictures, a batch of videos
MAX_ELEMENTS = 1 << 24  # numbers that a server takes in one tensor

Pairs = list[tuple[str, str]]


class TooLarge(InvalidArgument):
    """More than the limit: 413, where other refusals are 422."""

    code = "too_large"


@dataclass(frozen=True)
class Head:
    """What a tensor's bytes mean."""

    shape: tuple[int, ...]
    dtype: str
    limit: int = MAX_ELEMENTS

    def __post_init__(self) -> None:
        if self.dtype not in SIZES:
            raise InvalidArgument("dtype", f"one of {', '.join(SIZES)}", repr(self.dtype[:40]))
        if len(self.shape) not in RANKS:
            raise InvalidArgument("shape", f"{RANKS[0]} to {RANKS[-1]} dimensions", str(len(self.shape)))
        if min(self.shape) < 1:
            raise InvalidArgument("shape", "positive sides", str(list(self.shape))[:80])
        if self.elements > self.limit:
            raise TooLarge("shape", f"at most {self.limit} numbers", f"{str(list(self.shape))[:80]}")

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.elements * SIZES[self.dtype]

    @classmethod
    def of(cls, tensor: torch.Tensor, limit: int = MAX_ELEMENTS) -> Head:
        return cls(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), limit)

    def pairs(self) -> Pairs:
        """Shape, a side at a time, and dtype, as a query has them."""
        return [*(("shape", str(side)) for side in self.shape), ("dtype", self.dtype)]

    def headers(self) -> dict[str, str]:
        """The headers of an answer that is a tensor."""
        return {"Content-Type": TENSOR, "shape": json.dumps(list(self.shape)), "dtype": self.dtype}

    @classmethod
    def told_by(cls, headers: Mapping[str, str], limit: int = MAX_ELEMENTS) -> Head:
        """What an answer's headers, with their names in small letters, say of its bytes."""
        told = headers.get("shape", "")
        if not re.fullmatch(r"\s*\[\s*\d{1,12}(\s*,\s*\d{1,12}){0,15}\s*\]\s*", told, re.ASCII):
            raise InvalidArgument("header 'shape'", "a JSON list of sides", repr(told[:80]) if told else "none")
        if "dtype" not in headers:
            raise InvalidArgument("header 'dtype'", f"one of {', '.join(SIZES)}", "none")
        return cls(tuple(int(side) for side in re.findall(r"\d+", told)), headers["dtype"].strip(), limit)

    def measure(self, nbytes: int, where: str = "body") -> None:
        """Refuse bytes that are more or fewer than these numbers need."""
        if nbytes != self.nbytes:
            raise InvalidArgument(where, f"{self.nbytes} bytes, {list(self.shape)} of {self.dtype}", f"{nbytes} bytes")


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """A tensor's memory, copied only where it lies elsewhere or in another order."""
    import torch

    plain = tensor.detach().cpu().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().data


def tensor_of(head: Head, body: bytearray) -> torch.Tensor:
    """The tensor over these bytes, which it shares."""
    import torch

    head.measure(len(body))
    return torch.frombuffer(body, dtype=getattr(torch, head.dtype)).reshape(head.shape)
