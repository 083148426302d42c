"""LoRA files: read, checked, and told from each other by what is in them."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from calotype.adapters.lora_configs import configs_of
from calotype.adapters.lora_keys import ending, stripped
from calotype.core.errors import CorruptFile, IncompatibleWeights, InvalidArgument, NotFinite
from calotype.core.model import open_weights
from calotype.core.one_file import FILE_NAMES, find_one
from calotype.core.schema import refuse_unknown
from calotype.core.weights import check_finite

STEM = "pytorch_lora_weights"
NAMES = (*FILE_NAMES, "token")
LARGEST_ALPHA = 1e4

log = logging.getLogger("calotype.adapters.lora")


@dataclass(frozen=True)
class LoraFile:
    """The tensors of a LoRA as the file spells them, without the alphas; these by the layer as it is spelled there."""

    where: str
    tensors: Mapping[str, Tensor]
    alphas: Mapping[str, float] = field(default_factory=dict[str, float])
    configs: Mapping[str, Any] = field(default_factory=dict[str, Any])  # PEFT's, by "<network>.<name>"


def read_lora(told: Any, options: Mapping[str, Any], who: str) -> LoraFile:
    """A LoRA from a file, a folder, a repository on the Hub, or a state dict."""
    refuse_unknown(options, NAMES, who)
    if isinstance(told, Mapping):
        return checked("LoRA state dict", dict(told), {})
    if not isinstance(told, (str, os.PathLike)):
        expected = "a file, a folder, a repository on the Hub, or a state dict"
        raise InvalidArgument("pretrained_model_name_or_path_or_dict", expected, type(told).__name__)
    path = find_one(told, {**options, "hf_token": options.get("hf_token", options.get("token"))}, STEM)
    file = open_weights(path)
    check_finite([file])
    tensors = file.tensors({key: stored.dtype for key, stored in file.stored().items()})
    return checked(f"LoRA {str(path)!r}", tensors, configs_of(file), finite=True)


def checked(where: str, tensors: dict[str, Any], configs: Mapping[str, Any], finite: bool = False) -> LoraFile:
    """The LoRA, if all of it is tensors of finite floats."""
    if not tensors:
        raise IncompatibleWeights(where, "tensors", "none")
    alphas: dict[str, float] = {}
    kept: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        named = f"{where}, key {str(key)[:200]!r}"
        if not isinstance(key, str):
            raise CorruptFile(named, "a name", type(key).__name__)
        if isinstance(tensor, Tensor) and (tensor.layout is not torch.strided or tensor.is_meta):
            raise IncompatibleWeights(named, "numbers in memory", f"a tensor of {tensor.layout} on {tensor.device}")
        _, role = ending(key) or ("", "")
        if role == "alpha":
            alphas[spelled(key)] = _alpha(tensor, named)
        else:
            kept[key] = _floats(tensor, named, finite)
    types = {str(tensor.dtype).removeprefix("torch.") for tensor in kept.values()}
    if len(types) > 1:
        log.info("%s: tensors of %s; all take the type of their layer", where, " and ".join(sorted(types)))
    zero = [layer for layer, alpha in alphas.items() if not alpha]
    if zero:
        log.warning("%s: %d alphas are 0, so these layers do nothing: %s", where, len(zero), ", ".join(zero[:3]))
    return LoraFile(where, kept, alphas, configs)


def _floats(value: Any, where: str, finite: bool) -> Tensor:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        found = str(value.dtype) if isinstance(value, Tensor) else type(value).__name__
        raise IncompatibleWeights(where, "a tensor of floats", found)
    bad = 0 if finite else int((~value.float().isfinite()).sum())  # as float32: types of eight bits cannot be asked
    if bad:
        raise NotFinite(where, "finite numbers", f"{bad} NaN or infinite values")
    return value


def spelled(key: str) -> str:
    """The layer that a key speaks of; an alpha may name its layer by another key of it."""
    found = ending(key)
    while found is not None:
        key = found[0]
        found = ending(key)
    return stripped(key)


def _alpha(value: Any, where: str) -> float:
    number = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise IncompatibleWeights(where, "one number", found)
    if not math.isfinite(number) or abs(number) > LARGEST_ALPHA:
        raise NotFinite(where, f"a finite number of at most {LARGEST_ALPHA:,.0f}", repr(number))
    return float(number)


# What betrays the network that a LoRA was made for: a part of a key, or how wide the text is that its layers read.
MARKS = {
    "Flux": r"double_blocks|single_blocks|single_transformer_blocks",
    "Stable Diffusion 3": r"joint_blocks|transformer[._]transformer_blocks",
    "Stable Cascade or Kandinsky's prior": r"lora_prior",
    "Wan or Helios": r"blocks[._]\d+[._](self_attn|cross_attn)[._][qkvo]\b",
    "Stable Diffusion XL": r"lora_te2|text_encoder_2|clip_g|input_blocks_4_1_transformer_blocks_1",
}
WIDTHS = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x", 2048: "Stable Diffusion XL"}


def looks_like(tensors: Mapping[str, Tensor]) -> str | None:
    """The family of networks that these tensors seem to be for."""
    for family, mark in MARKS.items():
        if any(re.search(mark, key) for key in tensors):
            return family
    return next((family for family in _widths(tensors) if family), None)


def _widths(tensors: Mapping[str, Tensor]) -> Iterator[str | None]:
    for key, tensor in tensors.items():
        found = ending(key)
        if found and found[1] == "down" and re.search(r"attn2\W?(processor\W)?[._]?to_[kv]", key) and tensor.ndim > 1:
            yield WIDTHS.get(tensor.shape[1])
