"""A VAE of pictures at work, on latents and pictures that were checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch

from calotype.generation.checks import check_finite
from calotype.generation.decoding import in_full
from calotype.models.autoencoder_kl import AutoencoderKL
from calotype.models.vq_model import VQModel
from calotype.server.asked import Decoding, Encoding
from calotype.server.fit import Facts
from calotype.server.leash import while_wanted
from calotype.server.limits import Limits


class PictureVae:
    """Pictures of latents, latents of pictures; those of one shape in one pass."""

    asks: ClassVar[dict[str, type[Any]]] = {"decode": Decoding, "encode": Encoding}

    def __init__(self, name: str, network: AutoencoderKL | VQModel, limits: Limits) -> None:
        self.name, self.network, self._most = name, network, limits.pass_pixels
        config: Any = network.config
        factor = 2 ** (len(config.block_out_channels) - 1)
        quantised = isinstance(network, VQModel)
        channels = (config.vq_embed_dim if quantised else None) or config.latent_channels
        self.facts = Facts(name, channels, config.in_channels, config.out_channels, factor)
        network.tile_latent_min_size = limits.tile_side // factor
        network.tile_sample_min_size = network.tile_latent_min_size * factor
        network.enable_tiling()

    def work(self, tasks: Sequence[Any], wanted: Callable[[], bool]) -> list[torch.Tensor]:
        """The results of tasks of one key, in one pass where they are not too large for it."""
        latents = joined([task.entering(self.network) for task in tasks])
        pixels = max(task.pixels // task.count for task in tasks)
        parts = latents.split(max(1, self._most // pixels))
        run = self._decoded if isinstance(tasks[0], Decoding) else self._encoded
        made = joined([self._finite(run, part, wanted) for part in parts]).split([task.count for task in tasks])
        return [task.leaving(each).cpu() for task, each in zip(tasks, made, strict=True)]

    def _finite(self, run: Any, part: torch.Tensor, wanted: Callable[[], bool]) -> torch.Tensor:
        """One pass; what overflows in half precision is done again in full."""
        with while_wanted(self.network, wanted):
            made = run(self.network, part)
        if self.network.dtype != torch.float32 and not torch.isfinite(made).all():
            full = in_full(self.network, self.network.device)
            with while_wanted(full, wanted):
                made = run(full, part)
        check_finite("body", made)
        return made

    def _decoded(self, network: Any, latents: torch.Tensor) -> torch.Tensor:
        more: dict[str, Any] = {"force_not_quantize": True} if isinstance(network, VQModel) else {}
        return network.decode(latents.to(network.dtype), return_dict=False, **more)[0]

    def _encoded(self, network: Any, pixels: torch.Tensor) -> torch.Tensor:
        found = network.encode(pixels.to(network.dtype))
        return found.latents if isinstance(network, VQModel) else found.latent_dist.mode()


def joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """All in one tensor; one alone is not copied for it."""
    return parts[0] if len(parts) == 1 else torch.cat([*parts])
