"""Weights from files into a network that was built without any: matched by name and shape first, then assigned."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from calotype.core.documents import read_json, to_json
from calotype.core.errors import CorruptFile, IncompatibleWeights, MissingFile, NotFinite, UnsafeFile
from calotype.core.paths import safe_name
from calotype.core.remembered import is_remembered, remember
from calotype.core.tensors import Stored, WeightFile

log = logging.getLogger("calotype.core.weights")

HALVES = (torch.float16, torch.bfloat16)
USUAL = (torch.float32, *HALVES)


def names_of(stem: str, variant: str | None, suffix: str) -> tuple[str, str]:
    """What a network's weights are called: the one file, or the index of several."""
    mark = f".{variant}" if variant else ""
    return f"{stem}{mark}{suffix}", f"{stem}{suffix}.index{mark}.json"


def weight_stem(stem: str, safe: bool) -> tuple[str, str]:
    """The stem and suffix of weight files, as safetensors or pickled."""
    return (stem, ".safetensors") if safe else ({"model": "pytorch_model"}.get(stem, stem), ".bin")


def choose(
    names: Iterable[str], stem: str, variant: str | None = None, use_safetensors: bool | None = None, where: str = ""
) -> str:
    """The weight file among the names in a folder, or the index of its shards; a pickle only when asked for."""
    names = set(names)
    safe, pickled = (
        [name for name in reversed(names_of(s, variant, suffix)) if name in names]
        for s, suffix in (weight_stem(stem, True), weight_stem(stem, False))
    )
    if use_safetensors is False and pickled:
        return pickled[0]
    if safe:
        return safe[0]
    expected = names_of(stem, variant, ".safetensors")[0]
    if pickled and use_safetensors is None:
        raise UnsafeFile(
            where,
            expected,
            f"only the pickle {pickled[0]}",
            "A pickle can run code when it is read. use_safetensors=False reads its tensors and nothing else.",
        )
    where = where.rstrip("/")
    others = sorted(name for name in names if re.fullmatch(rf"{re.escape(stem)}\..*(safetensors|bin|json)", name))
    raise MissingFile(
        where, expected, ", ".join(others[:5]) or "no weights", "Choose the variant that is there." if others else ""
    )


def shards(index: Path) -> dict[str, list[str]]:
    """The shards that an index names, with the keys that each must hold; all are safetensors, or none is."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CorruptFile(str(index), "a weight_map from keys to files", type(weight_map).__name__)
    found: dict[str, list[str]] = {}
    for key, name in weight_map.items():
        found.setdefault(safe_name(name, f"{index}, key {key!r}"), []).append(key)
    expected = ".bin" if index.name.split(".index")[0].endswith(".bin") else ".safetensors"
    for name in found:
        if not name.endswith(expected):
            raise UnsafeFile(f"{index}: {name}", f"a {expected} file", "another kind", "Formats are not mixed.")
    return found


def split(tensors: Mapping[str, Tensor], limit: int) -> list[dict[str, Tensor]]:
    """The tensors in parts of at most so many bytes, in their order; one that is larger gets a part of its own."""
    parts: list[dict[str, Tensor]] = []
    part: dict[str, Tensor] = {}
    size = 0
    for key, tensor in tensors.items():
        if tensor.nbytes > limit:
            parts.append({key: tensor})
            continue
        if size + tensor.nbytes > limit:
            parts.append(part)
            part, size = {}, 0
        part[key] = tensor
        size += tensor.nbytes
    return [*parts, part] if part or not parts else parts


def shard_names(single: str, count: int) -> list[str]:
    """What the shards of a weight file are called."""
    stem, suffix = single.rsplit(".", 1)
    return [f"{stem}-{number:05d}-of-{count:05d}.{suffix}" for number in range(1, count + 1)]


def index_of(names: Sequence[str], parts: Sequence[Mapping[str, Tensor]]) -> str:
    """The index that says which shard holds which tensor."""
    total = sum(tensor.nbytes for part in parts for tensor in part.values())
    weight_map = {key: name for name, part in zip(names, parts, strict=True) for key in part}
    return to_json({"metadata": {"total_size": total}, "weight_map": weight_map})


def stale_names(folder: Path, stem: str, variant: str | None, suffix: str, fresh: set[str]) -> list[str]:
    """Weight files of the same kind that an earlier save left and that a new one makes wrong."""
    single, index = names_of(stem, variant, suffix)
    shard = re.compile(rf"{re.escape(single[: -len(suffix)])}-\d{{5}}-of-\d{{5}}{re.escape(suffix)}")
    present = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return [name for name in present if name not in fresh and (name in (single, index) or shard.fullmatch(name))]


@dataclass(frozen=True)
class Rules:
    """How the keys of files become the keys of a network, and what may be left out."""

    rename: Callable[[str], str] = str
    ignore: tuple[str, ...] = ()
    strict: bool = True
    allow_nonfinite: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])  # second names, read where the first is missing
    keep_in_float32: tuple[str, ...] = ()  # parts of keys, whole words between dots


def gather(files: Iterable[WeightFile], rules: Rules) -> dict[str, Stored]:
    """Every tensor of the files under its present name."""
    found: dict[str, Stored] = {}
    for file in files:
        for key, tensor in file.stored().items():
            name = rules.rename(key)
            if any(re.search(pattern, name) for pattern in rules.ignore):
                continue
            if name in found:
                raise IncompatibleWeights(
                    f"{file.path}, key {key!r}", f"{name!r} once", f"it in {found[name].file.path} too"
                )
            found[name] = tensor
    for second, first in rules.aliases.items():
        if second in found:
            found.setdefault(first, found[second])
            del found[second]
    return found


def match(wanted: Mapping[str, Tensor], found: Mapping[str, Stored], who: str, rules: Rules) -> list[str]:
    """Refuse tensors that do not fit the network, before any is read; returns keys that are missing by permission."""
    missing = [key for key in wanted if key not in found and not any(re.search(p, key) for p in rules.ignore)]
    extra = [key for key in found if key not in wanted]
    both = [(key, wanted[key], found[key]) for key in wanted if key in found]
    shapes = [
        f"{key!r}: expected shape {tuple(here.shape)}, found {there.shape}"
        for key, here, there in both
        if there.shape != tuple(here.shape)
    ]
    kinds = [
        f"{key!r}: expected {'floats' if here.is_floating_point() else 'whole numbers'}, found {there.dtype}"
        for key, here, there in both
        if there.dtype.is_floating_point != here.is_floating_point()
    ]
    faults = [
        _listed(f"{len(missing)} of {len(wanted)} tensors are missing", missing, found),
        _listed(f"{len(extra)} of {len(found)} fit no layer", extra, wanted),
        *shapes[:5],
        f"{len(shapes)} shapes differ" if len(shapes) > 5 else "",
        *kinds[:5],
    ]
    if extra or shapes or kinds or (missing and rules.strict):
        raise IncompatibleWeights(f"{who}: {'; '.join(fault for fault in faults if fault)}", fix="Nothing was loaded.")
    if missing:
        log.warning("%s: %s; they are zeros", who, faults[0])
    return missing


def _listed(fault: str, keys: Sequence[str], others: Iterable[str]) -> str:
    if not keys:
        return ""
    near = get_close_matches(keys[0], list(others), 1, 0.8)
    nearest = f", the nearest name there is {near[0]!r}" if near else ""
    return f"{fault}: {', '.join(map(repr, keys[:5]))}{' ...' if len(keys) > 5 else ''}{nearest}"


def check_finite(files: Iterable[WeightFile]) -> None:
    """Refuse files with a NaN or an infinity in them; a file is read through for this once, and remembered."""
    for file in files:
        if is_remembered("finite", file.path):
            continue
        bad: Counter[str] = Counter()
        for key, piece in file.pieces(key for key, tensor in file.stored().items() if tensor.dtype.is_floating_point):
            values = piece if piece.dtype in USUAL else piece.float()
            # A sum costs less than a look at each value; it is not finite if any value is not, or if it overflows.
            if not values.sum(dtype=torch.float32).isfinite():
                bad[key] += int((~values.isfinite()).sum())
        if sum(bad.values()):
            key, count = bad.most_common(1)[0]
            raise NotFinite(
                f"{file.path}, key {key!r}",
                "finite numbers",
                f"{count:,} NaN or infinite values, {sum(bad.values()):,} in the file",
                "The file is damaged or its training went wrong; allow_nonfinite=True loads it all the same.",
            )
        remember("finite", file.path)


def is_kept(key: str, parts: Iterable[str]) -> bool:
    """Is one of these parts a whole word of the key?"""
    return not set(parts).isdisjoint(key.split("."))


def wide_enough(key: str, dtype: torch.dtype, keep: Iterable[str]) -> torch.dtype:
    """The type for a tensor that was to have this one."""
    return torch.float32 if dtype in HALVES and is_kept(key, keep) else dtype


def read(
    found: Mapping[str, Stored], wanted: Mapping[str, Tensor], dtype: torch.dtype | None, keep: Iterable[str] = ()
) -> dict[str, Tensor]:
    """The tensors that a network wants: floats in ``dtype`` or as stored, the others as the network has them."""
    types = {key: _dtype(tensor, wanted[key], dtype) for key, tensor in found.items()}
    types = {key: wide_enough(key, to, keep) for key, to in types.items()}
    odd = sorted({str(found[key].dtype) for key, to in types.items() if to != found[key].dtype not in USUAL})
    if odd:
        log.warning("%s: weights stored as %s were cast", next(iter(found.values())).file.path, ", ".join(odd))
    made: dict[str, Tensor] = {}
    for file in {id(tensor.file): tensor.file for tensor in found.values()}.values():
        names = {tensor.key: key for key, tensor in found.items() if tensor.file is file}
        tensors = file.tensors({name: types[key] for name, key in names.items()})
        made |= {names[name]: tensor for name, tensor in tensors.items()}
    return made


def _dtype(stored: Stored, wanted: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    if not wanted.is_floating_point():
        return wanted.dtype
    return dtype or (stored.dtype if stored.dtype in USUAL else torch.float32)


def slots(network: nn.Module) -> dict[str, tuple[dict[str, Any], str]]:
    """Where the tensors of a network lie, by their keys: each a dict of parameters or buffers, and the name there.

    Filling these takes a quarter of the time of ``state_dict`` and ``load_state_dict``.
    """
    found: dict[str, tuple[dict[str, Any], str]] = {}
    for path, module in network.named_modules():
        for store, passing in ((module._parameters, ()), (module._buffers, module._non_persistent_buffers_set)):
            for name, tensor in store.items():
                if tensor is not None and name not in passing:
                    found[f"{path}.{name}" if path else name] = store, name
    return found


def load(
    network: nn.Module, files: Sequence[WeightFile], dtype: torch.dtype | None, who: str, rules: Rules
) -> list[str]:
    """Fill a network that was built on ``meta``; returns the keys that were missing and are zeros."""
    places = slots(network)
    wanted = {key: store[name] for key, (store, name) in places.items()}
    found = gather(files, rules)
    missing = match(wanted, found, who, rules)
    if not rules.allow_nonfinite:
        check_finite(files)
    tensors = read(found, wanted, dtype, rules.keep_in_float32)
    absent = {key: tensor for key, tensor in wanted.items() if key not in tensors}
    types = {key: wide_enough(key, _zeros(tensor, dtype), rules.keep_in_float32) for key, tensor in absent.items()}
    tensors |= {key: torch.zeros(tensor.shape, dtype=types[key]) for key, tensor in absent.items()}
    for key, (store, name) in places.items():
        empty, tensor = wanted[key], tensors[key]
        store[name] = nn.Parameter(tensor, empty.requires_grad) if isinstance(empty, nn.Parameter) else tensor
    return missing


def _zeros(wanted: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    return dtype if dtype and wanted.is_floating_point() else wanted.dtype
