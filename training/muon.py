"""Muon (arXiv 2502.16982): a matrix goes as far in each direction that its gradient has as in any other.

PyTorch's own works in bfloat16, which most CPUs only imitate, and then takes most of the time of a step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
ROUNDS, QUINTIC = 5, (3.4445, -4.775, 2.0315)  # each round brings singular values between 0 and 1 nearer to 1
AS_FAR = 0.2  # of a step, by element: what steps of AdamW come to, so that a learning rate means the same to both


class Muon(torch.optim.Optimizer):
    """For matrices; weights decay apart from their gradients."""

    def __init__(self, params: Iterable[Any], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    way = evened(self._ahead(matrix, matrix.grad))
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.sub_(way, alpha=group["lr"] * AS_FAR * max(matrix.shape) ** 0.5)

    def _ahead(self, matrix: Tensor, gradient: Tensor) -> Tensor:
        """Where the mean of the gradients is going, as Nesterov has it."""
        state = self.state[matrix]
        if "mean" not in state:
            state["mean"] = torch.zeros_like(gradient)
        return gradient.lerp(state["mean"].lerp_(gradient, 1 - MOMENTUM), MOMENTUM)


def evened(matrix: Tensor) -> Tensor:
    """Nearly the matrix with the same singular vectors whose singular values are all 1."""
    linear, cubic, quintic = QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.mT if tall else matrix
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(ROUNDS):
        gram = wide @ wide.mT
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic), wide, beta=linear)
    return wide.mT if tall else wide
