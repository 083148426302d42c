"""Networks that know their config, and come from and go to files."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from calotype.core.atomic import Saving, saving
from calotype.core.config import ConfigMixin
from calotype.core.errors import CalotypeError, CorruptFile, InvalidArgument, MissingFile
from calotype.core.files import HUB_NAMES, Source, locate
from calotype.core.group_offload import GroupOffload, group_offload
from calotype.core.offload import CPU
from calotype.core.pickles import PickledFile
from calotype.core.schema import refuse_unknown
from calotype.core.tensors import SafetensorsFile, WeightFile, safetensors_bytes
from calotype.core.trainable import Trainable
from calotype.core.weights import (
    HALVES,
    Rules,
    choose,
    index_of,
    is_kept,
    load,
    names_of,
    shard_names,
    shards,
    slots,
    split,
    stale_names,
    weight_stem,
)  # fmt: skip

LOADING_NAMES = (
    "torch_dtype", "dtype", "variant", "use_safetensors", "low_cpu_mem_usage", "device_map",
    "strict", "allow_nonfinite", "disable_mmap",
)  # fmt: skip


class Unfilled(TorchFunctionMode):
    """Within it, networks come into being without first values, and with at most so many tensors."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.left = limit

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.empty:
            self.left -= 1
            if self.left < 0:
                raise OverflowError("more tensors than the files could fill")
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def see_hooks() -> None:
    """Have what is compiled from now on serve no network with other hooks, such as those of adapters."""
    torch._dynamo.config.skip_nnmodule_hook_guards = False  # pyright: ignore


class ModelMixin(Trainable, ConfigMixin):
    """A network made from a config."""

    weights_name: ClassVar[str] = "diffusion_pytorch_model"
    keys_to_ignore_on_load: ClassVar[tuple[str, ...]] = ()
    aliases: ClassVar[Mapping[str, str]] = {}  # keys of tensors that stand in the network twice, by their other key
    _keep_in_fp32_modules: ClassVar[tuple[str, ...]] = ()  # parts of keys whose tensors are never halves
    _group_offload: GroupOffload | None = None
    incomplete: tuple[str, ...] = ()  # keys that a file did not have and that are zeros, when strict=False allowed it

    @property
    def dtype(self) -> torch.dtype:
        return next((p.dtype for p in self.parameters() if p.is_floating_point()), torch.get_default_dtype())

    @property
    def device(self) -> torch.device:
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """How many numbers the network holds."""
        embeddings = (
            {id(m.weight) for m in self.modules() if isinstance(m, nn.Embedding)} if exclude_embeddings else set[int]()
        )
        counted = (p for p in self.parameters() if id(p) not in embeddings and (p.requires_grad or not only_trainable))
        return sum(p.numel() for p in counted)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile ``forward``."""
        see_hooks()
        super().compile(*args, **kwargs)

    def enable_group_offload(
        self,
        onload_device: torch.device | str,
        offload_device: torch.device | str = CPU,
        offload_type: str = "block_level",
        num_blocks_per_group: int | None = None,
        non_blocking: bool = False,
        use_stream: bool = False,
        record_stream: bool = False,
        low_cpu_mem_usage: bool = False,
        offload_to_disk_path: str | None = None,
        block_modules: list[str] | None = None,
        exclude_kwargs: list[str] | None = None,  # nothing that a call is given is moved
    ) -> None:
        """Keep the weights in main memory; so many blocks of layers move to the accelerator for their turn."""
        planned = group_offload(
            [self],
            onload_device,
            offload_device,
            offload_type,
            num_blocks_per_group,
            non_blocking,
            use_stream,
            record_stream,
            low_cpu_mem_usage,
            offload_to_disk_path,
            block_modules,
        )
        if self._group_offload:
            self._group_offload.remove()
        self._group_offload = planned
        planned.begin()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """What ``to``, ``half`` and the like do with every tensor: those kept in float32 change their place alone."""
        parts = self._keep_in_fp32_modules
        kept = {key: slot for key, slot in slots(self).items() if is_kept(key, parts)} if parts else {}
        before = {key: store[name].detach() for key, (store, name) in kept.items()}
        super()._apply(fn, recurse)
        for key, (store, name) in kept.items():
            if store[name].dtype in HALVES and before[key].dtype not in HALVES:
                store[name].data = before[key].to(store[name].device)
        return self

    @classmethod
    def old_keys(cls, key: str) -> str:
        """The present name of a tensor that older files call otherwise."""
        return key

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """The network in a folder or a repository, in evaluation mode; the constructor's keywords change its config."""
        refuse_code(kwargs)
        known = (*HUB_NAMES, *LOADING_NAMES, *cls.init_names())
        refuse_unknown(kwargs, known, f"{cls.__name__}.from_pretrained")
        source, rest = locate(pretrained_model_name_or_path, kwargs)
        options = {key: rest.pop(key) for key in LOADING_NAMES if key in rest}
        return cls.from_source(source, rest, **options)

    @classmethod
    def from_source(
        cls,
        source: Source,
        changes: Mapping[str, Any] | None = None,
        *,
        torch_dtype: torch.dtype | str | None = None,
        dtype: torch.dtype | str | None = None,
        variant: str | None = None,
        use_safetensors: bool | None = None,
        low_cpu_mem_usage: bool = True,
        device_map: str | int | torch.device | Mapping[str, Any] | None = None,
        strict: bool = True,
        allow_nonfinite: bool = False,
        disable_mmap: bool = False,
    ) -> Any:
        """The network in a located folder."""
        wanted, device = _dtype(dtype or torch_dtype), _device(device_map)
        config = cls.read_config(source)
        files = weight_files(source, cls.weights_name, variant, use_safetensors, disable_mmap)
        network = cls._unfilled(config, changes or {}, 2 * sum(len(file.stored()) for file in files) + 1000, source)
        ignored, kept = cls.keys_to_ignore_on_load, cls._keep_in_fp32_modules
        rules = Rules(cls.old_keys, ignored, strict, allow_nonfinite, cls.aliases, kept)
        who = f"{cls.__name__} and {', '.join(str(file.path) for file in files[:2])}{' ...' if len(files) > 2 else ''}"
        network.incomplete = tuple(load(network, files, wanted, who, rules))
        network.register_to_config(_name_or_path=source.told)
        network.eval()
        return network.to(device) if device is not None else network

    @classmethod
    def _unfilled(cls, config: Mapping[str, Any], changes: Mapping[str, Any], limit: int, source: Source) -> Any:
        try:
            with torch.device("meta"), Unfilled(limit):
                return cls.from_config(config, **changes)
        except CalotypeError:
            raise
        except Exception as error:  # whatever a constructor says of values that do not go together
            where = source.where(cls.config_name)
            reason = f"{type(error).__name__}: {error}"
            raise InvalidArgument(where, f"a config that makes a {cls.__name__}", reason) from error

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        safe_serialization: bool = True,
        variant: str | None = None,
        max_shard_size: int | str = "10GB",
    ) -> None:
        """Write weights and config into a folder, all of them or none."""
        with saving(Path(save_directory)) as save:
            self.stage(save, ".", safe_serialization, variant, max_shard_size)

    def stage(
        self,
        save: Saving,
        folder: str,
        safe_serialization: bool = True,
        variant: str | None = None,
        max_shard_size: int | str = "10GB",
    ) -> None:
        """Write weights, and then config, into a folder of a larger save."""
        stem, suffix = weight_stem(self.weights_name, safe_serialization)
        single, index = names_of(stem, variant, suffix)
        tensors = {key: tensor for key, tensor in self.state_dict().items() if key not in self.aliases}
        parts = split(tensors, _bytes(max_shard_size))
        names = [single] if len(parts) == 1 else shard_names(single, len(parts))
        for name, part in zip(names, parts, strict=True):
            pieces = safetensors_bytes(part, {"format": "pt"}) if safe_serialization else _pickled(part)
            save.write(f"{folder}/{name}", pieces)
        if len(parts) > 1:
            save.write(f"{folder}/{index}", [index_of(names, parts).encode()])
            names.append(index)
        super().stage(save, folder)
        for name in stale_names(save.folder / folder, stem, variant, suffix, set(names)):
            save.remove(f"{folder}/{name}")


def refuse_code(kwargs: dict[str, Any]) -> None:
    """Refuse the keywords that ask for code of a repository to be run; takes the harmless ones out."""
    if kwargs.get("custom_pipeline") is not None:
        raise InvalidArgument(
            "custom_pipeline", "nothing: code from repositories is never run", fix="Import the class yourself."
        )
    if kwargs.pop("trust_remote_code", False):
        raise InvalidArgument("trust_remote_code", "False: code from repositories is never run", "True")
    kwargs.pop("custom_pipeline", None)


def weight_files(
    source: Source, stem: str, variant: str | None, use_safetensors: bool | None, disable_mmap: bool = False
) -> list[WeightFile]:
    """The files that hold a network's weights, with their headers read and checked against the index."""
    chosen = choose(source.list(), stem, variant, use_safetensors, source.where(""))
    if not chosen.endswith(".json"):
        return [open_weights(source.file(chosen), disable_mmap)]
    index = source.file(chosen)
    keys = shards(index)
    missing = sorted(name for name in keys if not source.has(name))
    if missing:
        raise MissingFile(
            str(index), f"the shard {missing[0]} beside it", f"{len(missing)} of {len(keys)} shards missing"
        )
    files = [open_weights(path, disable_mmap) for path in source.fetch(keys)]
    for file, (name, told) in zip(files, keys.items(), strict=True):
        odd = sorted(file.stored().keys() ^ set(told))
        if odd:
            fault = "in it, not in the index" if odd[0] in file.stored() else "in the index, not in it"
            raise CorruptFile(
                f"{index}: {name}", "the keys that the index says", f"{odd[0]!r} {fault} ({len(odd)} such keys)"
            )
    return files


def open_weights(path: Path, disable_mmap: bool = False) -> WeightFile:
    """A file of tensors, by the format that its name says."""
    return (
        SafetensorsFile(path, False if disable_mmap else None) if path.suffix == ".safetensors" else PickledFile(path)
    )


def _dtype(wanted: Any) -> torch.dtype | None:
    if wanted == "auto":
        return None
    dtype = getattr(torch, wanted, None) if isinstance(wanted, str) else wanted or torch.get_default_dtype()
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise InvalidArgument("torch_dtype", "a floating point torch.dtype or 'auto'", repr(wanted))
    return dtype


def _device(device_map: Any) -> torch.device | None:
    place: Any = device_map[""] if isinstance(device_map, Mapping) and [*device_map] == [""] else device_map
    if place is None:
        return None
    try:
        return torch.device(place)
    except (RuntimeError, TypeError):
        raise InvalidArgument("device_map", "one device, or {'': device}", repr(device_map)) from None


def _bytes(size: int | str) -> int:
    if isinstance(size, int):
        return size
    told = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?)(I?)B\s*", size, re.IGNORECASE)
    if told is None:
        raise InvalidArgument("max_shard_size", "bytes, or a text like '10GB'", repr(size))
    return int(float(told[1]) * (1024 if told[3] else 1000) ** " KMGT".index(told[2].upper() or " "))


def _pickled(tensors: dict[str, Tensor]) -> list[memoryview]:
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return [buffer.getbuffer()]
