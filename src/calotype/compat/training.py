"""What training scripts take from ``diffusers.training_utils``: weights of losses, seeds, memory."""

from __future__ import annotations

import gc
import math
import random
from typing import Any

import numpy as np
import torch
from torch import nn


def compute_snr(noise_scheduler: Any, timesteps: torch.Tensor) -> torch.Tensor:
    """How much more signal than noise there is at timesteps of training: the ratio of their variances."""
    signal = noise_scheduler.alphas_cumprod.to(timesteps.device)[timesteps].float()
    return signal / (1 - signal)


def compute_density_for_timestep_sampling(
    weighting_scheme: str,
    batch_size: int,
    logit_mean: float = 0.0,
    logit_std: float = 1.0,
    mode_scale: float = 1.29,
    device: torch.device | str = "cpu",
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Where between picture and noise a flow is trained: around the middle, or anywhere (arXiv 2403.03206, 3.1)."""
    if weighting_scheme == "logit_normal":
        return torch.normal(logit_mean, logit_std, (batch_size,), generator=generator, device=device).sigmoid()
    drawn = torch.rand(batch_size, generator=generator, device=device)
    if weighting_scheme == "mode":
        return 1 - drawn - mode_scale * ((math.pi * drawn / 2).cos() ** 2 - 1 + drawn)
    return drawn


def compute_loss_weighting_for_sd3(weighting_scheme: str, sigmas: torch.Tensor) -> torch.Tensor:
    """How much the loss counts at these shares of noise (arXiv 2403.03206, 3.1)."""
    if weighting_scheme == "sigma_sqrt":
        return (sigmas**-2.0).float()
    if weighting_scheme == "cosmap":
        return 2 / (math.pi * (1 - 2 * sigmas + 2 * sigmas**2))
    return torch.ones_like(sigmas)


def cast_training_params(model: nn.Module | list[nn.Module], dtype: torch.dtype = torch.float32) -> None:
    """Keep what is trained in this type; the rest may be of another."""
    for network in model if isinstance(model, list) else [model]:
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.to(dtype)


def set_seed(seed: int) -> None:
    """Begin the random numbers of Python, NumPy and PyTorch anew."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def free_memory() -> None:
    """Give back what nobody holds any more, here and on the accelerator."""
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.memory.empty_cache()
