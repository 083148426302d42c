"""A VAE that lives at an endpoint and looks, to pipelines, like one that lives here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import torch

from calotype.core.config import FrozenDict
from calotype.core.errors import InvalidArgument
from calotype.core.model import ModelMixin
from calotype.core.outputs import BaseOutput
from calotype.models.autoencoder_kl import DecoderOutput
from calotype.ops.gaussian import DiagonalGaussianDistribution
from calotype.remote.address import address
from calotype.remote.client import remote_decode, remote_encode
from calotype.remote.faults import RemoteUnavailable
from calotype.remote.heads import FLOATS
from calotype.remote.session import RemoteSession

log = logging.getLogger("calotype.remote.vae")

# What pipelines ask a VAE's config: that of Stable Diffusion, where nothing else is told.
CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": (128, 256, 512, 512),
    "latent_channels": 4,
    "sample_size": 512,
    "scaling_factor": 0.18215,
    "shift_factor": None,
    "latents_mean": None,
    "latents_std": None,
}


@dataclass
class RemoteEncoding(BaseOutput):
    """Latents that came back, as a VAE's distribution that has no spread, and as they are."""

    latent_dist: DiagonalGaussianDistribution
    latents: torch.Tensor


class RemoteVAE:
    """Encodes and decodes at an endpoint, or here while that is out of reach, if it is given a VAE for it."""

    dtype = torch.float32  # what pipelines hand over and get; ``transfer`` is what travels
    device = torch.device("cpu")

    def __init__(
        self,
        endpoint: str,
        encode_endpoint: str | None = None,
        config: Mapping[str, Any] | None = None,
        fallback: ModelMixin | Callable[[], Any] | None = None,
        transfer: str = "float32",
        session: RemoteSession | None = None,
        **changes: Any,
    ) -> None:
        for address_of in (endpoint, encode_endpoint or endpoint):
            address(address_of)
        if transfer not in FLOATS:
            raise InvalidArgument("transfer", f"one of {', '.join(FLOATS)}", repr(transfer))
        known = fallback.config if isinstance(fallback, ModelMixin) else None
        given = {**(config or known or {}), **changes}
        usual = {} if "z_dim" in given else CONFIG  # the config of a video's VAE tells everything
        told = {**usual, **given, "force_upcast": False}  # precision is the endpoint's
        self.config = FrozenDict({name: value for name, value in told.items() if not name.startswith("_")})
        self.endpoint, self.encode_endpoint = endpoint, encode_endpoint or endpoint
        self.session = session or RemoteSession()
        self.transfer: torch.dtype = getattr(torch, transfer)
        self._fallback = fallback

    def __repr__(self) -> str:
        return f"RemoteVAE({address(self.endpoint).netloc})"

    @property
    def spatial_compression_ratio(self) -> int:
        """How many pixels of a video's frame one latent spans in height and in width."""
        return 2 ** len(self.config.temperal_downsample)

    @property
    def temporal_compression_ratio(self) -> int:
        """How many frames of a video one latent spans, but for the first."""
        return 2 ** sum(self.config.temperal_downsample)

    def enable_tiling(self, *_: Any, **__: Any) -> None:
        """Nothing to turn on or off: the endpoint knows its memory, and tiles and slices by itself."""
        log.info("%s: the endpoint tiles and slices by itself", self)

    disable_tiling = enable_slicing = disable_slicing = enable_tiling

    def decode(
        self, z: torch.Tensor, force_not_quantize: bool = True, return_dict: bool = True, generator: Any = None
    ) -> DecoderOutput | tuple[torch.Tensor]:
        """The pictures, or videos, of latents, one request for each of a batch."""
        pixels = torch.cat([self._decoded(each) for each in z.split(1)]).to(z.device, z.dtype)
        return DecoderOutput(pixels) if return_dict else (pixels,)

    def encode(self, x: torch.Tensor, return_dict: bool = True) -> RemoteEncoding | tuple[DiagonalGaussianDistribution]:
        """The latents of pictures or videos in [-1, 1], one request for each of a batch."""
        latents = torch.cat([self._encoded(each) for each in x.split(1)]).to(x.device, x.dtype)
        # a spread of nothing, and yet sampling draws: what is drawn after it stays what it is with a local VAE
        told = DiagonalGaussianDistribution(torch.cat([latents, torch.zeros_like(latents)], 1), deterministic=True)
        return RemoteEncoding(told, latents) if return_dict else (told,)

    def stage(self, *_: Any, **__: Any) -> NoReturn:
        """A saved pipeline names no endpoint: loading a file never sends pictures anywhere."""
        raise InvalidArgument("vae", "a VAE with weights to save", repr(self), "Give the pipeline a local one first.")

    save_pretrained = stage

    def _decoded(self, z: torch.Tensor) -> torch.Tensor:
        try:
            return remote_decode(
                self.endpoint,
                z.to(self.transfer),
                do_scaling=False,  # pipelines have taken the factors away
                output_type="pt",
                return_type="pt",
                session=self.session,
            )  # pyright: ignore[reportReturnType]
        except RemoteUnavailable as fault:
            local = self._local(fault)
            return local.decode(z.to(local.device, local.dtype), return_dict=False)[0].cpu()

    def _encoded(self, x: torch.Tensor) -> torch.Tensor:
        try:
            return remote_encode(self.encode_endpoint, x.to(self.transfer), session=self.session)
        except RemoteUnavailable as fault:
            local = self._local(fault)
            found = local.encode(x.to(local.device, local.dtype))
            return (found.latents if "latents" in found else found.latent_dist.mode()).cpu()

    def _local(self, fault: RemoteUnavailable) -> Any:
        """The VAE to use while the endpoint is out of reach; made when it is first needed, if a function was given."""
        if self._fallback is None:
            raise fault
        if not isinstance(self._fallback, ModelMixin):
            self._fallback = self._fallback()
        log.warning("%s: working with the local VAE", fault)
        return self._fallback
