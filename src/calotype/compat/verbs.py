"""Small things that scripts take from inside the peer: each is a few words for what calotype does elsewhere."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from calotype.core.errors import InvalidArgument
from calotype.core.group_offload import group_offload
from calotype.generation.guidance import rescaled
from calotype.models.layers.embeddings import sinusoids
from calotype.schedulers.curve import SCHEDULES, without_signal_at_the_end

PIL_INTERPOLATION = {
    "linear": Image.Resampling.BILINEAR,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}
PipelineImageInput = Image.Image | np.ndarray | torch.Tensor | list[Image.Image] | list[np.ndarray] | list[torch.Tensor]
ALPHA_BARS = {"cosine": "squaredcos_cap_v2", "exp": "exp", "laplace": "laplace"}


# ------------------------------------------------------------------ walking


def retrieve_timesteps(
    scheduler: Any,
    num_inference_steps: int | None = None,
    device: torch.device | str | None = None,
    timesteps: Sequence[int] | None = None,
    sigmas: Sequence[float] | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, int]:
    """The timesteps of a walk, as many as asked for or those that are told, and how many they are."""
    if timesteps is not None and sigmas is not None:
        raise InvalidArgument("timesteps, sigmas", "one of them", "both")
    if timesteps is not None or sigmas is not None:
        name, told = ("timesteps", timesteps) if timesteps is not None else ("sigmas", sigmas)
        if name not in inspect.signature(scheduler.set_timesteps).parameters:
            raise InvalidArgument(name, f"None: {type(scheduler).__name__} takes none", repr(told))
        scheduler.set_timesteps(**{name: told}, device=device, **kwargs)
        return scheduler.timesteps, len(scheduler.timesteps)
    scheduler.set_timesteps(num_inference_steps, device=device, **kwargs)
    return scheduler.timesteps, num_inference_steps or len(scheduler.timesteps)


def retrieve_latents(encoder_output: Any, generator: Any = None, sample_mode: str = "sample") -> torch.Tensor:
    """The latents that an encoder gave: drawn, or the likeliest ones with "argmax"."""
    if not hasattr(encoder_output, "latent_dist"):
        return encoder_output.latents
    told = encoder_output.latent_dist
    return told.mode() if sample_mode == "argmax" else told.sample(generator)


def rescale_noise_cfg(
    noise_cfg: torch.Tensor, noise_pred_text: torch.Tensor, guidance_rescale: float = 0.0
) -> torch.Tensor:
    """A guided prediction with this share of it in the spread of the conditional one."""
    return rescaled(noise_cfg, noise_pred_text, guidance_rescale)


def betas_for_alpha_bar(
    num_diffusion_timesteps: int, max_beta: float = 0.999, alpha_transform_type: str = "cosine"
) -> torch.Tensor:
    """Betas of which no one takes more than ``max_beta``, along a named curve."""
    if alpha_transform_type not in ALPHA_BARS:
        raise InvalidArgument("alpha_transform_type", f"one of {', '.join(ALPHA_BARS)}", repr(alpha_transform_type))
    betas = SCHEDULES[ALPHA_BARS[alpha_transform_type]](num_diffusion_timesteps, 0.0, 0.0)
    return torch.tensor(np.minimum(betas, max_beta), dtype=torch.float32)


def rescale_zero_terminal_snr(betas: torch.Tensor) -> torch.Tensor:
    """Betas rescaled so that the last training step is pure noise."""
    return torch.from_numpy(without_signal_at_the_end(betas.float().numpy())).to(betas)


# ------------------------------------------------------------------ tensors


def is_tensor(value: object) -> bool:
    return isinstance(value, (torch.Tensor, np.ndarray))


def is_valid_image(image: object) -> bool:
    """Whether this is one picture."""
    return isinstance(image, Image.Image) or (isinstance(image, (np.ndarray, torch.Tensor)) and image.ndim in (2, 3))


def is_valid_image_imagelist(images: object) -> bool:
    """Whether these are pictures: one, several in a list, or several in one array."""
    if isinstance(images, list):
        return all(is_valid_image(image) for image in images)
    return is_valid_image(images) or (isinstance(images, (np.ndarray, torch.Tensor)) and images.ndim == 4)


def get_timestep_embedding(
    timesteps: torch.Tensor,
    embedding_dim: int,
    flip_sin_to_cos: bool = False,
    downscale_freq_shift: float = 1,
    scale: float = 1,
    max_period: int = 10000,
) -> torch.Tensor:
    """Sines and cosines of each timestep."""
    return sinusoids(timesteps * scale, embedding_dim, flip_sin_to_cos, downscale_freq_shift, max_period)


def fourier_filter(x_in: torch.Tensor, threshold: int, scale: float) -> torch.Tensor:
    """Pictures with their frequencies from ``-threshold`` up to ``threshold`` scaled, along both sides."""
    height, width = x_in.shape[-2:]
    low = [
        (-threshold <= index) & (index < threshold)
        for index in (torch.fft.fftfreq(size, 1 / size, device=x_in.device).round() for size in (height, width))
    ]
    factor = torch.where(low[0][:, None] & low[1], scale, 1.0)
    return torch.fft.ifft2(torch.fft.fft2(x_in.float()) * factor).real.to(x_in.dtype)


# ------------------------------------------------------------------ modules, and code about code


def is_compiled_module(module: object) -> bool:
    """Whether this is what ``torch.compile`` made of a module."""
    return hasattr(module, "_orig_mod")


def apply_group_offloading(
    module: nn.Module, *told: Any, exclude_kwargs: list[str] | None = None, **options: Any
) -> None:
    """Keep a module's weights on one device; so many blocks of layers move to the other for their turn.

    Devices and options are those of ``enable_group_offload``. Nothing that a call is given is moved.
    """
    group_offload([module], *told, **options).begin()


def deprecate(*args: Any, take_from: Any = None, standard_warn: bool = True, stacklevel: int = 2) -> Any:
    """Warn of (name, version, message); of keywords in ``take_from`` only of those that are there, which are taken."""
    told = [args] if args and not isinstance(args[0], tuple) else args
    taken: list[Any] = []
    for name, version, message in told:
        if isinstance(take_from, dict):
            if name not in take_from:
                continue
            taken.append(take_from.pop(name))  # pyright: ignore[reportUnknownArgumentType]
        elif take_from is not None and hasattr(take_from, name):
            taken.append(getattr(take_from, name))
        begin = f"`{name}` is deprecated and will be removed in version {version}. " if standard_warn else ""
        warnings.warn(f"{begin}{message}", FutureWarning, stacklevel=stacklevel)
    return taken[0] if len(taken) == 1 else tuple(taken) or None


def replace_example_docstring(example_docstring: str) -> Callable[[Any], Any]:
    """A decorator that puts an example where a docstring says ``Examples:``."""

    def told(function: Any) -> Any:
        lines = (function.__doc__ or "").split("\n")
        function.__doc__ = "\n".join(example_docstring if line.strip() == "Examples:" else line for line in lines)
        return function

    return told
