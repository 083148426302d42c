"""Networks out of single files, whose keys are those of the original checkpoints, and into them."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from calotype.core.atomic import write_atomic
from calotype.core.errors import IncompatibleWeights, InvalidArgument
from calotype.core.files import HUB_NAMES, Source, locate
from calotype.core.links import check_permission, linked_file
from calotype.core.model import LOADING_NAMES, ModelMixin, _device, _dtype, open_weights, refuse_code
from calotype.core.schema import refuse_unknown
from calotype.core.tensors import WeightFile, safetensors_bytes
from calotype.core.weights import Rules, check_finite, load
from calotype.models.original_configs import NETWORKS
from calotype.models.original_files import AVERAGED, SD, Contents, GivenTensors, Part, PartFile, contents, spelt
from calotype.models.original_yaml import config_of, read_original

logger = logging.getLogger("calotype.models.single_file")

SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
SINGLE_NAMES = (
    *HUB_NAMES,
    *(name for name in LOADING_NAMES if name != "variant"),
    "config",
    "original_config",
    "extract_ema",
)


def opened(link_or_path: Any, options: Mapping[str, Any]) -> WeightFile:
    """The file that a path or a link names, or tensors by name, found to be finite numbers."""
    if isinstance(link_or_path, Mapping):
        odd = next((key for key, value in link_or_path.items() if not isinstance(value, Tensor)), None)
        if odd is not None:
            raise InvalidArgument(f"the state dict, key {odd!r}", "a tensor", type(link_or_path[odd]).__name__)
        return GivenTensors(link_or_path)
    path = linked_file(link_or_path, options, SUFFIXES)
    check_permission(path, options.get("use_safetensors"))
    file = open_weights(path, bool(options.get("disable_mmap")))
    if not options.get("allow_nonfinite"):
        check_finite([file])
    return file


def recognised(file: WeightFile) -> Contents:
    """What a file is; one that no network is in is refused."""
    found = contents(file)
    if not found.parts:
        keys = [*file.stored()]
        shown = ", ".join(map(repr, keys[:5])) + (" ..." if len(keys) > 5 else "")
        what = f"{found.kind} with the keys {shown}" if found.kind else f"{len(keys)} keys: {shown}"
        fix = {"LoRA": "load_lora_weights reads it.", "textual inversion": "load_textual_inversion reads it."}
        known = "an original checkpoint of Stable Diffusion (XL), a ControlNet or an autoencoder"
        raise IncompatibleWeights(str(file.path), known, what, fix.get(found.kind or "", ""))
    return found


def part_of(found: Contents, name: str, averaged: bool, where: str) -> Part:
    """Where the network of this component is in a file."""
    chosen = AVERAGED if name == "unet" and (averaged or name not in found.parts) else name
    if chosen in found.parts:
        if chosen == AVERAGED and not averaged:
            logger.warning("%s has the averaged weights of the UNet only (EMA): they are loaded", where)
        return found.parts[chosen]
    if chosen == AVERAGED and name in found.parts:
        raise InvalidArgument("extract_ema", f"False: {where} has no averaged weights", "True")
    there = ", ".join(key for key in found.parts)
    raise IncompatibleWeights(where, f"the weights of {name}", f"those of {there} only", f"Pass {name}=...")


def network_of(
    kind: type[ModelMixin],
    file: WeightFile,
    part: Part,
    config: Mapping[str, Any],
    changes: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Any:
    """The network of a file, in evaluation mode."""
    told = str(file.path)
    network = kind._unfilled(config, changes, 2 * len(file.stored()) + 1000, Source(told, file.path.parent))
    tensors = PartFile(file, part, network)
    wanted = _dtype(options.get("dtype") or options.get("torch_dtype"))
    rules = Rules(kind.old_keys, kind.keys_to_ignore_on_load, options.get("strict", True), allow_nonfinite=True)
    who = f"{kind.__name__} and {told}"
    network.incomplete = tuple(load(network, [tensors], wanted, who, rules))
    network.register_to_config(_name_or_path=told)
    network.eval()
    device = _device(options.get("device_map"))
    return network.to(device) if device is not None else network


def shipped_config(found: Contents, name: str) -> dict[str, Any]:
    """The config of a component of this family; a UNet takes as many channels as the file's."""
    family = found.family or SD
    if name not in NETWORKS.get(family, {}):
        known = "a network whose config ships with calotype"
        raise InvalidArgument("config", f"one, as this is not {known}", "None", f"It looks like {family}.")
    config = dict(NETWORKS[family][name])
    return config | ({"in_channels": found.channels} if name == "unet" and found.channels else {})


class SingleFile(ModelMixin):
    """A network that single files hold too."""

    component: ClassVar[str]  # what pipelines call it

    @classmethod
    def from_single_file(cls, pretrained_model_link_or_path_or_dict: Any = None, **kwargs: Any) -> Any:
        """The network in an original checkpoint, or in a file of its own; keywords change its config."""
        refuse_code(kwargs)
        known = (*SINGLE_NAMES, *cls.init_names())
        refuse_unknown(kwargs, known, f"{cls.__name__}.from_single_file")
        file = opened(pretrained_model_link_or_path_or_dict, kwargs)
        found = recognised(file)
        part = part_of(found, cls.component, bool(kwargs.get("extract_ema")), str(file.path))
        config = cls._config_for(found, kwargs)
        changes = {name: kwargs[name] for name in cls.init_names() if name in kwargs}
        return network_of(cls, file, part, config, changes, kwargs)

    @classmethod
    def _config_for(cls, found: Contents, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        config, original = kwargs.get("config"), kwargs.get("original_config")
        if original is not None:
            return config_of(cls.component, read_original(original), "original_config")
        if config is None:
            return shipped_config(found, cls.component)
        if isinstance(config, Mapping):
            return config
        hub = {key: kwargs[key] for key in HUB_NAMES if key in kwargs and key != "revision"}  # that is the file's
        source, _ = locate(config, hub)
        inner = source.sub(cls.component)
        return cls.read_config(inner if inner.has(cls.config_name) else source)

    def save_single_file(self, path: str | os.PathLike[str]) -> None:
        """Write the network under the names of the original checkpoints, whole or not at all."""
        write_single_file(path, spelt(self, Part("", self.component)), {})


def write_single_file(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a single file."""
    target = Path(path)
    if target.suffix != ".safetensors":
        raise InvalidArgument("path", "a name that ends in .safetensors", repr(str(path)))
    write_atomic(target, safetensors_bytes(tensors, {"format": "pt", **metadata}))
