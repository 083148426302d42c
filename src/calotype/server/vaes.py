"""VAEs by their names: where they are, what requests are held against, and the work itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch

from calotype.core.documents import read_json
from calotype.core.errors import InvalidArgument
from calotype.core.files import HubOptions, Source, open_source
from calotype.core.model import ModelMixin
from calotype.core.names import component_class
from calotype.generation.checks import check_finite
from calotype.generation.decoding import in_full, scale
from calotype.models.autoencoder_kl import AutoencoderKL
from calotype.models.vq_model import VQModel
from calotype.server.asked import Decoding, Encoding
from calotype.server.fit import Facts
from calotype.server.limits import Limits

CONFIG = "config.json"
PARTS = ("", "vae", "movq")  # where in a model's folder a VAE may be


@dataclass(frozen=True)
class Named:
    """A VAE that is to be served: its name in addresses, and where it is."""

    name: str
    model: str
    subfolder: str | None = None

    @classmethod
    def read(cls, told: str) -> Named:
        """What ``NAME=FOLDER_OR_HUB_ID[:subfolder]`` means."""
        match = re.fullmatch(r"([A-Za-z0-9][\w.-]{0,63})=(.+?)(?::([A-Za-z0-9][\w.-]*))?", told)
        if not match:
            raise InvalidArgument("--vae", "NAME=FOLDER_OR_HUB_ID[:subfolder]", repr(told))
        return cls(match[1], match[2], match[3])

    def source(self) -> Source:
        """The folder of the VAE itself, of a pipeline's that may have been named."""
        whole = open_source(self.model, HubOptions())
        if self.subfolder:
            return whole.sub(self.subfolder)
        return next((part for part in map(whole.sub, PARTS) if part.has(CONFIG)), whole)


class Vae:
    """A VAE at work, on latents and pictures that were checked."""

    def __init__(self, name: str, network: ModelMixin, limits: Limits) -> None:
        self.name, self.network, self._most = name, network, limits.pass_pixels
        config: Any = network.config
        factor = 2 ** (len(config.block_out_channels) - 1)
        quantised = isinstance(network, VQModel)
        channels = (config.vq_embed_dim if quantised else None) or config.latent_channels
        self.facts = Facts(name, channels, config.in_channels, config.out_channels, factor)
        if isinstance(network, AutoencoderKL):
            network.tile_latent_min_size = limits.tile_side // factor
            network.tile_sample_min_size = network.tile_latent_min_size * factor
            network.enable_tiling()

    @classmethod
    def load(cls, named: Named, device: torch.device, dtype: torch.dtype, limits: Limits) -> Vae:
        source = named.source()
        where = source.where(CONFIG)
        kind = component_class("diffusers", read_json(source.file(CONFIG), where).get("_class_name"), where)
        if kind not in (AutoencoderKL, VQModel):
            raise InvalidArgument(f"{where}: _class_name", "AutoencoderKL or VQModel", kind.__name__)
        return cls(named.name, kind.from_source(source, torch_dtype=dtype).to(device), limits)

    def work(self, tasks: Sequence[Decoding | Encoding]) -> list[torch.Tensor]:
        """The results of tasks of one key, in one pass where they are not too large for it."""
        latents = joined([task.entering(self) for task in tasks])
        pixels = max(task.pixels // task.count for task in tasks)
        parts = latents.split(max(1, self._most // pixels))
        run = self._decoded if isinstance(tasks[0], Decoding) else self._encoded
        made = joined([self._finite(run, part) for part in parts]).split([task.count for task in tasks])
        return [task.leaving(each).cpu() for task, each in zip(tasks, made, strict=True)]

    @property
    def device(self) -> torch.device:
        return self.network.device

    def own_factors(self) -> tuple[Any, Any]:
        """The mean and the factor that this VAE was trained with."""
        config: Any = self.network.config
        if config.get("latents_mean") and config.get("latents_std"):
            return scale(self.network, self.device)
        return config.get("shift_factor") or 0.0, config.scaling_factor

    def _finite(self, run: Any, part: torch.Tensor) -> torch.Tensor:
        """One pass; what overflows in half precision is done again in full."""
        made = run(self.network, part)
        if self.network.dtype != torch.float32 and not torch.isfinite(made).all():
            made = run(in_full(self.network, self.device), part)
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


@dataclass
class Shelf:
    """All VAEs that are served, once they are loaded; they work on one device, in turn."""

    named: Sequence[Named]
    device: torch.device
    dtype: torch.dtype
    limits: Limits

    def __post_init__(self) -> None:
        names = sorted(each.name for each in self.named)
        double = [name for name, same in groupby(names) if len([*same]) > 1]
        if double:
            raise InvalidArgument("--vae", "each name once", f"{double[0]} more than once")
        self.vaes: dict[str, Vae] = {}

    def load(self) -> None:
        self.vaes = {each.name: Vae.load(each, self.device, self.dtype, self.limits) for each in self.named}

    @torch.inference_mode()
    def work(self, tasks: Sequence[Decoding | Encoding]) -> list[torch.Tensor]:
        return self.vaes[tasks[0].facts.name].work(tasks)
