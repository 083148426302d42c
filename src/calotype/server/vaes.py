"""VAEs by their names: where they are, and which of them works."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch

from calotype.core.documents import read_json
from calotype.core.errors import InvalidArgument
from calotype.core.files import HubOptions, Source, open_source
from calotype.core.names import component_class
from calotype.models.autoencoder_kl import AutoencoderKL
from calotype.models.vq_model import VQModel
from calotype.models.wan_vae import AutoencoderKLWan
from calotype.server.film_vae import FilmVae
from calotype.server.jobs import Broken
from calotype.server.limits import Limits
from calotype.server.picture_vae import PictureVae

CONFIG = "config.json"
Vae = PictureVae | FilmVae
KINDS: dict[type, type[Any]] = {AutoencoderKL: PictureVae, VQModel: PictureVae, AutoencoderKLWan: FilmVae}
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


def loaded(named: Named, device: torch.device, dtype: torch.dtype, limits: Limits) -> Vae:
    """The VAE, on its device."""
    source = named.source()
    where = source.where(CONFIG)
    kind = component_class("diffusers", read_json(source.file(CONFIG), where).get("_class_name"), where)
    if kind not in KINDS:
        known = [each.__name__ for each in KINDS]
        raise InvalidArgument(f"{where}: _class_name", f"{', '.join(known[:-1])} or {known[-1]}", kind.__name__)
    return KINDS[kind](named.name, kind.from_source(source, torch_dtype=dtype).to(device), limits)


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
        self.vaes = {each.name: loaded(each, self.device, self.dtype, self.limits) for each in self.named}

    @torch.inference_mode()
    def work(self, tasks: Sequence[Any], wanted: Callable[[], bool] = lambda: True) -> Sequence[Any]:
        try:
            return self.vaes[tasks[0].facts.name].work(tasks, wanted)
        except torch.OutOfMemoryError as full:  # of the device
            raise MemoryError from full
        except RuntimeError as fault:
            if _is_sticky(fault):
                raise Broken from fault
            raise


def _is_sticky(fault: RuntimeError) -> bool:
    """Does every later call on this device fail too? Then what is on it has to be made anew."""
    kind = getattr(torch, "AcceleratorError", ())  # since torch 2.8
    return isinstance(fault, kind) or "CUDA error" in str(fault)
