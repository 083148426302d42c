"""Networks made smaller by rounding their weights, and what that does to their predictions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from calotype.core.errors import InvalidArgument
from calotype.models.layers.float8 import as_float8

logger = logging.getLogger("calotype.models.quantizing")

KINDS = {"fp8": as_float8}


def quantized(kind: str, blocks: Sequence[nn.Module], keep: int, prediction: Callable[[], Tensor]) -> float:
    """Round the blocks between the first and the last ``keep``; how far a prediction moves, relative to its size."""
    if kind not in KINDS:
        raise InvalidArgument("quantize", f"one of {', '.join(map(repr, KINDS))}", repr(kind))
    most = (len(blocks) - 1) // 2
    if isinstance(keep, bool) or not isinstance(keep, int) or not 0 <= keep <= most:
        expected = f"a whole number from 0 to {most}, as there are {len(blocks)} blocks and some must be left"
        raise InvalidArgument("keep", expected, repr(keep))
    inner = blocks[keep : len(blocks) - keep]
    if not any(type(layer) is nn.Linear for block in inner for layer in block.modules()):
        raise InvalidArgument("quantize", "blocks with linear layers", "a network that is quantized already")
    with torch.no_grad():
        before = prediction().float()
        KINDS[kind](inner)
        error = ((prediction().float() - before).norm() / before.norm()).item()
    logger.info("%d of %d blocks in %s: a prediction moves by %.2g of its size", len(inner), len(blocks), kind, error)
    return error
