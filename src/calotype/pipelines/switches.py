"""Switches of a pipeline: each turns something on or off in all of its networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from calotype.core.errors import InvalidArgument


class Switches:
    """``enable_...`` and ``disable_...``, for pipelines."""

    networks: Any
    unet: Any

    def _tell(self, method: str, *args: Any) -> None:
        for network in self.networks.values():
            if hasattr(network, method):
                getattr(network, method)(*args)

    def enable_attention_slicing(self, slice_size: str | int | None = "auto") -> None:
        """Attend to some heads at a time: "auto" for half of them, "max" for one, or how many."""
        self._tell("set_attention_slice", slice_size)

    def disable_attention_slicing(self) -> None:
        self._tell("set_attention_slice", None)

    set_attention_slice = enable_attention_slicing

    def enable_xformers_memory_efficient_attention(self, attention_op: Callable[..., Any] | None = None) -> None:
        """Attend through xFormers, where it is installed."""
        self._tell("set_use_memory_efficient_attention_xformers", True, attention_op)

    def disable_xformers_memory_efficient_attention(self) -> None:
        self._tell("set_use_memory_efficient_attention_xformers", False, None)

    def enable_vae_slicing(self) -> None:
        """Decode a batch one picture at a time."""
        self._vae().enable_slicing()

    def disable_vae_slicing(self) -> None:
        self._vae().disable_slicing()

    def enable_vae_tiling(self, **options: Any) -> None:
        """Encode and decode large pictures in tiles; ``seams=True`` for least memory, and seams."""
        self._vae().enable_tiling(**options)

    def disable_vae_tiling(self) -> None:
        self._vae().disable_tiling()

    def _vae(self) -> Any:
        for name in ("vae", "movq"):
            if hasattr(getattr(self, name, None), "enable_tiling"):  # a network, or what stands for one
                return getattr(self, name)
        raise InvalidArgument("vae", "a network that decodes", f"only {', '.join(self.networks)}")

    def enable_freeu(self, s1: float, s2: float, b1: float, b2: float) -> None:
        """Weigh skip features (s) and backbone features (b) of the UNet's first two up blocks (arXiv:2309.11497)."""
        self.unet.enable_freeu(s1=s1, s2=s2, b1=b1, b2=b2)

    def disable_freeu(self) -> None:
        self.unet.disable_freeu()

    def fuse_qkv_projections(self, unet: bool = True, vae: bool = True) -> None:
        """One matrix product where attention makes query, key and value."""
        for network in self._chosen(unet, vae):
            network.fuse_qkv_projections()

    def unfuse_qkv_projections(self, unet: bool = True, vae: bool = True) -> None:
        for network in self._chosen(unet, vae):
            network.unfuse_qkv_projections()

    def _chosen(self, unet: bool, vae: bool) -> list[Any]:
        return [self.unet] * unet + [self._vae()] * vae

    def compile(self, **options: Any) -> None:
        """Compile the denoiser, its ControlNets and the decoder in place; options are those of ``torch.compile``."""
        for name, network in self.networks.items():
            if name == "unet" or name.startswith("controlnet"):
                network.compile(**options)
        vae = self._vae()
        vae.decode = torch.compile(vae.decode, **options)  # decoders are not entered by forward
