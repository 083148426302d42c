"""What there is to know about model files without loading them: family, precision, size, gaps and dangers."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from calotype.cli.needed import component_names
from calotype.core.assembly import INDEX, read_index
from calotype.core.documents import read_json
from calotype.core.errors import CalotypeError, MissingFile, UnsafeFile
from calotype.core.files import Source
from calotype.core.model import weight_files
from calotype.core.names import component_class
from calotype.core.pickles import PickledFile
from calotype.core.pocket import shared_parts
from calotype.core.tensors import SafetensorsFile, Stored, WeightFile
from calotype.core.weights import Rules, gather, slots
from calotype.models.original_files import contents
from calotype.pipelines.auto import FAMILIES, HALVES

PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth")
WEIGHTS = (".safetensors", *PICKLES)
CONFIG = "config.json"


def inspected(path: Path) -> dict[str, Any]:
    """The facts about the folder of a pipeline, of a component or of several, or about a file of weights."""
    if not path.is_dir():
        return _file(path)
    source = Source(str(path), path)
    pickles = [found for found in sorted(path.rglob("*")) if found.suffix in PICKLES and found.is_file()]
    dangers = {found.relative_to(path).as_posix(): _danger(found) for found in pickles}
    if source.has(INDEX):
        return _pipeline(source) | {"pickles": dangers}
    if source.has(CONFIG):
        kind = _class_of(path / CONFIG)
        return {"family": _family(kind.__name__), **_component(source, kind), "pickles": dangers}
    networks = sorted([*shared_parts(path), *(found.parent.name for found in path.glob(f"*/{CONFIG}"))])
    if networks:
        return _networks(source, networks) | {"pickles": dangers}
    loose = [found for found in sorted(path.iterdir()) if found.suffix in WEIGHTS and found.is_file()]
    if loose:
        return _loose(loose) | {"pickles": dangers}
    raise MissingFile(str(path), f"{INDEX} of a pipeline or {CONFIG} of a network", "neither")


def _pipeline(source: Source) -> dict[str, Any]:
    name = read_index(source)["_class_name"]
    parts = {part: _part(source.sub(part), *words) for part, words in component_names(source).items()}
    return {"family": _family(name), "class": name, **_together(parts)}


def _networks(source: Source, names: list[str]) -> dict[str, Any]:
    """The facts about networks in folders beside each other, which no index ties together."""
    homes = {name: source.sub(name) for name in names}
    parts = {name: _part(home, "diffusers", _class_name(home.file(CONFIG))) for name, home in homes.items()}
    return {"family": None, "class": None, **_together(parts)}


def _part(source: Source, library: object, name: object) -> dict[str, Any]:
    """The facts about a component of a pipeline, also of a class that is not known here."""
    try:
        return _component(source, component_class(library, name, source.told))
    except CalotypeError as error:
        files = [
            source.folder / source.prefix / file for file in sorted(source.list()) if file.endswith(".safetensors")
        ]
        unknown = {"class": str(name), "missing": [], "unexpected": [], "faults": [str(error)]}
        return _weights([SafetensorsFile(file) for file in files]) | unknown


def _component(source: Source, kind: Any) -> dict[str, Any]:
    """The facts about a component; a fault of its files is one of them."""
    facts = _weights([]) | {"class": kind.__name__, "missing": [], "unexpected": [], "faults": []}
    if not issubclass(kind, nn.Module):
        return facts
    try:
        try:
            files = weight_files(source, kind.weights_name, None, None)  # pyright: ignore
        except UnsafeFile:  # no more than pickles: read for their names and shapes, as tensors alone
            files = weight_files(source, kind.weights_name, None, False)  # pyright: ignore
        return facts | _weights(files) | _fit(source, kind, files)
    except CalotypeError as error:
        return facts | {"faults": [str(error)]}


def _loose(files: list[Path]) -> dict[str, Any]:
    """The facts about files that no index and no config ties together."""
    parts = {file.name: _file_or_fault(file) for file in files}
    nobody_knows = dict.fromkeys(("family", "class", "missing", "unexpected"))
    faults = [fault for part in parts.values() for fault in part["faults"]]
    return {**nobody_knows, **_summed(parts), "faults": faults, "parts": parts}


def _file_or_fault(path: Path) -> dict[str, Any]:
    try:
        return _file(path)
    except CalotypeError as error:
        return {"family": None, "class": None, **_weights([]), "faults": [str(error)]}


def _together(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        **_summed(parts),
        "missing": [f"{name}: {key}" for name, part in parts.items() for key in part["missing"]],
        "unexpected": [f"{name}: {key}" for name, part in parts.items() for key in part["unexpected"]],
        "faults": [fault for part in parts.values() for fault in part["faults"]],
        "parts": parts,
    }


def _summed(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "precision": sorted({dtype for part in parts.values() for dtype in part["precision"]}),
        "parameters": sum(part["parameters"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
    }


def _file(path: Path) -> dict[str, Any]:
    dangers = {path.name: _danger(path)} if path.suffix in PICKLES else {}
    unsafe = {"family": None, "class": None, **_weights([]), "missing": None, "unexpected": None, "faults": []}
    if any(dangers.values()):
        return unsafe | {"pickles": dangers, "bytes": path.stat().st_size}
    file = PickledFile(path) if dangers else SafetensorsFile(path)
    facts = unsafe | {"family": contents(file).kind, **_weights([file]), "pickles": dangers}
    config = path.with_name(CONFIG)
    if not config.is_file() or "-of-" in path.name:
        return facts
    kind = _class_of(config)
    return facts | {"class": kind.__name__} | _fit(Source(str(path.parent), path.parent), kind, [file])


def _class_of(config: Path) -> type[Any]:
    """The class that a network's config names."""
    return component_class("diffusers", _class_name(config), str(config))


def _class_name(config: Path) -> object:
    told = read_json(config)
    architectures = told.get("architectures")
    return told.get("_class_name") or (architectures[0] if isinstance(architectures, list) and architectures else None)


def _family(name: str) -> str | None:
    whole = HALVES.get(name, name)
    return next((family for family, tasks in FAMILIES.items() if whole in tasks.values()), None)


def _weights(files: list[WeightFile]) -> dict[str, Any]:
    tensors: list[Stored] = [tensor for file in files for tensor in file.stored().values()]
    return {
        "precision": sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors}),
        "parameters": sum(math.prod(tensor.shape) for tensor in tensors),
        "bytes": sum(file.path.stat().st_size for file in files),
    }


def _fit(source: Source, kind: Any, files: list[WeightFile]) -> dict[str, Any]:
    """Which tensors of the network the files lack, and which of theirs fit nowhere: unknown, or of another shape."""
    found = gather(files, Rules(kind.old_keys, kind.keys_to_ignore_on_load, aliases=kind.aliases))
    network = kind._unfilled(kind.read_config(source), {}, 2 * len(found) + 1000, source)
    wanted: dict[str, torch.Tensor] = {key: store[name] for key, (store, name) in slots(network).items()}
    ignored = [key for key in wanted if any(re.search(pattern, key) for pattern in kind.keys_to_ignore_on_load)]
    return {
        "missing": [key for key in wanted if key not in found and key not in ignored],
        "unexpected": [
            key for key, tensor in found.items() if key not in wanted or tensor.shape != tuple(wanted[key].shape)
        ],
    }


def _danger(path: Path) -> str | None:
    """What a pickle wants beside tensors, or None where it is tensors alone; it is looked through and never run."""
    try:
        PickledFile(path)
    except CalotypeError as error:
        return str(error)
    return None
