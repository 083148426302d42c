"""IP-Adapter files: what they make of a picture, and what the layers of a UNet make of that."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from calotype.core.errors import CorruptFile, IncompatibleWeights, InvalidArgument, NotFinite
from calotype.core.one_file import FILE_NAMES, SAFE, find_one
from calotype.core.pickles import read_pickle
from calotype.core.schema import refuse_unknown
from calotype.core.tensors import SafetensorsFile

STEM = "ip-adapter"
HALVES = ("image_proj", "ip_adapter")
NAMES = (*FILE_NAMES, "token", "low_cpu_mem_usage")

Told = str | os.PathLike[str] | Mapping[str, Any]


@dataclass(frozen=True)
class ImageAdapterFile:
    """The two halves of an adapter, as the file spells them: what reads the picture, and what reads its words."""

    where: str
    image_proj: Mapping[str, Tensor]
    ip_adapter: Mapping[str, Tensor]
    loras: Mapping[str, Tensor]  # which stand in the second half


def read_adapters(
    told: Told | Sequence[Told], subfolder: Any, weight_name: Any, options: Mapping[str, Any]
) -> list[ImageAdapterFile]:
    """Every adapter of files, folders, repositories or state dicts, with a subfolder and a name each or for all."""
    refuse_unknown(options, NAMES, "load_ip_adapter")
    several: list[Any] = list(told) if isinstance(told, (list, tuple)) else [told]
    names = per_file("weight_name", weight_name, None)
    if len(several) == 1 and len(names) > 1:  # several files of one place
        several *= len(names)
    names = per_file("weight_name", weight_name, len(several))
    folders = per_file("subfolder", subfolder, len(several))
    if not several:
        raise InvalidArgument("pretrained_model_name_or_path_or_dict", "at least one IP-Adapter", "an empty list")
    hub = {**options, "hf_token": options.get("hf_token", options.get("token"))}
    return [
        _read(one, {**hub, "weight_name": name, "subfolder": folder})
        for one, name, folder in zip(several, names, folders, strict=True)
    ]


def per_file(argument: str, value: Any, count: int | None) -> list[Any]:
    """One value for each file: the same for all, or one of a list."""
    if not isinstance(value, (list, tuple)):
        return [value] * (count or 1)
    if count is not None and len(value) not in (1, count):
        raise InvalidArgument(argument, f"one, or a list of {count}, one for each IP-Adapter", f"{len(value)}")
    return list(value) * (count if count and len(value) == 1 else 1)


def _read(told: Any, options: Mapping[str, Any]) -> ImageAdapterFile:
    if isinstance(told, Mapping):
        return halved("IP-Adapter state dict", told)
    if not isinstance(told, (str, os.PathLike)):
        expected = "a file, a folder, a repository on the Hub, a state dict, or a list of these"
        raise InvalidArgument("pretrained_model_name_or_path_or_dict", expected, type(told).__name__)
    path = find_one(told, options, STEM)
    if path.suffix != SAFE:
        return halved(f"IP-Adapter {str(path)!r}", read_pickle(path))
    file = SafetensorsFile(path)
    tensors = file.tensors({key: stored.dtype for key, stored in file.stored().items()})
    return halved(f"IP-Adapter {str(path)!r}", tensors)


def halved(where: str, document: Any) -> ImageAdapterFile:
    """The two halves of a document, nested or with their names before each key; all of it finite floats."""
    if not isinstance(document, Mapping):
        raise CorruptFile(where, "tensors by name", type(document).__name__)
    halves: dict[str, dict[str, Tensor]] = {half: {} for half in HALVES}
    for key, value in document.items():
        half, _, rest = str(key).partition(".")
        if half not in halves or (not rest and not isinstance(value, Mapping)):
            expected = f"keys of {HALVES[0]} and {HALVES[1]}"
            raise IncompatibleWeights(where, expected, f"{str(key)[:200]!r}", "Is it an IP-Adapter?")
        for name, tensor in value.items() if isinstance(value, Mapping) else [(rest, value)]:
            halves[half][str(name)] = _floats(tensor, f"{where}, key {f'{half}.{name}'[:200]!r}")
    missing = [half for half in HALVES if not halves[half]]
    if missing:
        raise IncompatibleWeights(where, f"keys of {HALVES[0]} and {HALVES[1]}", f"none of {' or '.join(missing)}")
    loras = {key: tensor for key, tensor in halves["ip_adapter"].items() if "_lora." in key}
    layers = {key: tensor for key, tensor in halves["ip_adapter"].items() if key not in loras}
    return ImageAdapterFile(where, halves["image_proj"], layers, loras)


def _floats(value: Any, where: str) -> Tensor:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        found = str(value.dtype) if isinstance(value, Tensor) else type(value).__name__
        raise IncompatibleWeights(where, "a tensor of floats", found)
    if not torch.isfinite(value).all():
        raise NotFinite(where, "finite numbers", f"{int((~value.isfinite()).sum())} NaN or infinite values")
    return value.detach()
