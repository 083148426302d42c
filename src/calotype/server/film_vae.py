"""A VAE of films at work: group by group of frames, each of which is sent while the next is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar

import torch

from calotype.generation.checks import check_finite
from calotype.generation.decoding import in_full
from calotype.models.wan_vae import AutoencoderKLWan
from calotype.server.asked_films import FilmDecoding, FilmEncoding
from calotype.server.fit import Facts
from calotype.server.leash import while_wanted
from calotype.server.limits import Limits

Wanted = Callable[[], bool]


class FilmVae:
    """Films of latents, latents of films; each request by itself, in as many frames at once as a pass may have."""

    asks: ClassVar[dict[str, type[Any]]] = {"decode": FilmDecoding, "encode": FilmEncoding}

    def __init__(self, name: str, network: AutoencoderKLWan, limits: Limits) -> None:
        self.name, self.network, self._most = name, network, limits.pass_pixels
        config: Any = network.config
        step, frames = network.spatial_compression_ratio, network.temporal_compression_ratio
        self.facts = Facts(name, config.z_dim, config.in_channels, config.out_channels, step, frames)
        quarter = max(limits.tile_side // (4 * step), 1) * step  # tiles overlap by it
        tile, stride = 4 * quarter, 3 * quarter
        network.enable_tiling(tile, tile, stride, stride)
        network.enable_slicing()

    def work(self, tasks: Sequence[Any], wanted: Wanted) -> list[torch.Tensor | Iterator[torch.Tensor]]:
        """The results; frames that can be sent one behind the other come as they are made."""
        return [self._made(task, wanted) for task in tasks]

    def _made(self, task: Any, wanted: Wanted) -> torch.Tensor | Iterator[torch.Tensor]:
        if isinstance(task, FilmEncoding):
            return self._encoded(task, wanted)
        return self._flowing(task, wanted) if task.flows else self._whole(task, wanted)

    @torch.inference_mode()
    def _flowing(self, task: FilmDecoding, wanted: Wanted) -> Iterator[torch.Tensor]:
        for frames in self._groups(task, wanted):
            yield task.leaving(frames).cpu()

    def _whole(self, task: FilmDecoding, wanted: Wanted) -> torch.Tensor:
        """All frames where they are sent from."""
        whole, start = torch.empty(task.shape, dtype=self.network.dtype), 0
        for frames in self._groups(task, wanted):
            whole[:, :, start : start + frames.shape[2]] = frames
            start += frames.shape[2]
        return whole

    def _groups(self, task: FilmDecoding, wanted: Wanted) -> Iterator[torch.Tensor]:
        """Groups of frames; from the first that overflows in half precision on, they are made in full."""
        latents, made = task.entering(self.network), 0
        for frames in self._decoded(self.network, latents, wanted):
            if self.network.dtype != torch.float32 and not torch.isfinite(frames).all():
                break
            check_finite("body", frames)
            made += 1
            yield frames
        else:
            return
        full = in_full(self.network, self.network.device)
        for frames in islice(self._decoded(full, latents, wanted), made, None):
            check_finite("body", frames)
            yield frames.to(self.network.dtype)

    def _decoded(self, network: AutoencoderKLWan, latents: torch.Tensor, wanted: Wanted) -> Iterator[torch.Tensor]:
        area = latents.shape[-2] * latents.shape[-1] * self.facts.factor**2 * (self.facts.frames or 1)
        with while_wanted(network, wanted):
            yield from network.decode_frames(latents.to(network.dtype), max(1, self._most // area))

    def _encoded(self, task: FilmEncoding, wanted: Wanted) -> torch.Tensor:
        film = task.entering(self.network)
        with while_wanted(self.network, wanted):
            latents = _likeliest(self.network, film)
        if self.network.dtype != torch.float32 and not torch.isfinite(latents).all():
            full = in_full(self.network, self.network.device)
            with while_wanted(full, wanted):
                latents = _likeliest(full, film)
        check_finite("body", latents)
        return task.leaving(latents).cpu()


def _likeliest(network: Any, film: torch.Tensor) -> torch.Tensor:
    return network.encode(film.to(network.dtype)).latent_dist.mode()
