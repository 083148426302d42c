"""How weights follow their gradients: matrices in orthogonal steps, everything else by AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from training.muon import Muon

SIDE = 16  # a matrix with a shorter side has too few directions to be worth it: first and last layers


class Descent:
    """AdamW, and Muon for the matrices in the middle of networks: more is learnt from each picture.

    A convolution's weight counts as the matrix from all that it reads to its channels.
    """

    def __init__(
        self,
        networks: nn.ModuleDict,
        factors: Mapping[str, float],
        learning_rate: float,
        betas: tuple[float, float],
        weight_decay: float,
        orthogonal: bool,
    ) -> None:
        self._rate = learning_rate
        self._views = list[tuple[nn.Parameter, nn.Parameter]]()  # a weight, and the same memory as a matrix
        matrices, others = list[dict[str, Any]](), list[dict[str, Any]]()
        for name, network in networks.items():
            tables = {module.weight for module in network.modules() if isinstance(module, nn.Embedding)}
            weights = [weight for weight in network.parameters() if weight.requires_grad]
            turned = [weight for weight in weights if orthogonal and weight not in tables and _is_matrix(weight)]
            views = [(weight, nn.Parameter(weight.detach().view(len(weight), -1))) for weight in turned]
            factor = {"factor": factors.get(name, 1.0)}
            self._views += views
            matrices += [{"params": [matrix for _, matrix in views], **factor}] if views else []
            others.append(
                {"params": [weight for weight in weights if all(weight is not one for one in turned)], **factor}
            )
        self._optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(others, learning_rate, betas, weight_decay=weight_decay)
        ]
        if matrices:
            self._optimizers.append(Muon(matrices, learning_rate, weight_decay))

    def step(self, rate: float) -> None:
        """Follow the gradients at this part of the learning rate, and forget them."""
        for weight, matrix in self._views:
            matrix.grad = None if weight.grad is None else weight.grad.view_as(matrix)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["factor"] * self._rate * rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        for weight, _ in self._views:
            weight.grad = None

    def state_dict(self) -> list[Any]:
        return [optimizer.state_dict() for optimizer in self._optimizers]

    def load_state_dict(self, state: list[Any]) -> None:
        for optimizer, part in zip(self._optimizers, state, strict=True):
            optimizer.load_state_dict(part)


def _is_matrix(weight: nn.Parameter) -> bool:
    return weight.ndim >= 2 and min(len(weight), weight[0].numel()) >= SIDE
