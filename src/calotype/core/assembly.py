"""Pipelines from files and into files: an index that names components, and a folder for each."""

from __future__ import annotations

import inspect
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from calotype.core.atomic import Saving, saving
from calotype.core.collector import resting_collector
from calotype.core.config import ECOSYSTEM_VERSION
from calotype.core.documents import read_json, to_json
from calotype.core.errors import CorruptFile, InvalidArgument, MissingFile
from calotype.core.files import HUB_NAMES, Source, locate
from calotype.core.model import LOADING_NAMES, refuse_code
from calotype.core.names import component_class
from calotype.core.own_classes import own_class
from calotype.core.schema import refuse_unknown

if TYPE_CHECKING:
    from calotype.core.pipeline import DiffusionPipeline

logger = logging.getLogger("calotype.core.assembly")

INDEX = "model_index.json"
USUAL = "_usual_arguments"  # in an index: what calls of this model mean where an argument is left out

# from the class that an index names, and where it does, to the class to make
Choice = Callable[[str, str], "type[DiffusionPipeline]"]


def read_index(source: Source) -> dict[str, Any]:
    """The index of a pipeline's components, checked."""
    where = source.where(INDEX)
    index = read_json(source.file(INDEX), where)
    if not isinstance(index.get("_class_name"), str):
        raise CorruptFile(f"{where}: _class_name", "the name of a pipeline class", repr(index.get("_class_name")))
    return index


def load(choose: Choice, name_or_path: str | os.PathLike[str], kwargs: dict[str, Any]) -> Any:
    """The pipeline that the index describes, of the class that is chosen for the one it names."""
    refuse_code(kwargs)
    source, given = locate(name_or_path, kwargs)
    index = read_index(source)
    target = choose(index["_class_name"], source.where(INDEX))
    options = {name: given.pop(name) for name in LOADING_NAMES if name in given}
    takes = target.init_defaults()
    refuse_unknown(given, [*takes, *LOADING_NAMES, *HUB_NAMES], target.__name__)
    strange = [name for name in index if name not in takes and not name.startswith("_")]
    if strange:
        logger.warning("%s has no use for %s of %s", target.__name__, ", ".join(strange), source.where(INDEX))
    missing = [name for name in takes if name not in given and name not in index]
    given |= target.connected_parts(source, missing, kwargs)
    wanted = [name for name in takes if name not in given]
    check_variant(source, wanted, options.get("variant"))
    # the Hub sends the files of several components at once; on this machine one reader is fastest
    with resting_collector(), ThreadPoolExecutor(max(1, len(wanted)) if source.repository else 1) as readers:
        loaded = readers.map(lambda name: _part(source, index, name, target, options), wanted)
        pipe = target(**given, **dict(zip(wanted, loaded, strict=True)))
    pipe.register_to_config(_name_or_path=source.told, **usual_arguments(index, target, source.where(INDEX)))
    return pipe


def usual_arguments(index: Mapping[str, Any], target: type[DiffusionPipeline], where: str) -> dict[str, Any]:
    """What an index says of calls that leave an argument out, checked to be arguments."""
    usual = index.get(USUAL)
    if usual is None:
        return {}
    takes = {*inspect.signature(target.__call__).parameters, *target.usual_beside}
    strange = usual if not isinstance(usual, dict) else next((name for name in usual if name not in takes), None)
    if strange is not None:
        raise CorruptFile(f"{where}: {USUAL}", f"arguments of {target.__name__} and their values", repr(strange)[:80])
    return {USUAL: usual}


def _part(
    source: Source, index: Mapping[str, Any], name: str, target: type[DiffusionPipeline], options: dict[str, Any]
) -> Any:
    """One argument of the pipeline's constructor: a component from its folder, or a plain value from the index."""
    where, default = f"{source.where(INDEX)}: {name}", target.init_defaults()[name]
    if name not in index:
        if default is inspect.Parameter.empty and name not in target._optional_components:
            raise CorruptFile(
                where, "a component, as [library, class]", "nothing", f"Or pass {name}=... to from_pretrained."
            )
        return None if default is inspect.Parameter.empty else default
    entry = index[name]
    if not isinstance(entry, list):
        if default is inspect.Parameter.empty or (default is not None and not isinstance(entry, type(default))):
            raise CorruptFile(where, "a component, as [library, class]", repr(entry)[:80])
        return entry
    words = component_words(entry, where)
    if words is None:
        return None
    found: Any = own_class(target, name, *words) or component_class(*words, source.where(INDEX))
    part = source.sub(name)
    if hasattr(found, "from_source"):
        return found.from_source(part, **(_for_component(options, name, part) if issubclass(found, nn.Module) else {}))
    part.fetch(part.list())  # a user's own class reads its folder by itself
    return found.from_pretrained(str(part.folder / part.prefix))


def component_words(entry: list[Any], where: str) -> tuple[str | None, str] | None:
    """The library and the class that an entry of the index names, or None where there is no component."""
    if len(entry) != 2 or not all(isinstance(word, (str, type(None))) for word in entry):
        raise CorruptFile(where, "two names, as [library, class]", repr(entry)[:80])
    return (entry[0], entry[1]) if entry[1] is not None else None


def carries(part: Source, variant: str) -> bool:
    """Whether a component's folder has weights of this variant."""
    return any(f".{variant}." in name for name in part.list())


def check_variant(source: Source, parts: Iterable[str], variant: str | None) -> None:
    """A variant that is asked for is one that some component has."""
    if variant and not any(carries(source.sub(part), variant) for part in parts):
        raise MissingFile(
            source.where(""), f"weights of variant {variant!r}", "none", "Leave variant out for the plain ones."
        )


def _for_component(options: Mapping[str, Any], name: str, part: Source) -> dict[str, Any]:
    """The loading options of this component: its dtype, where dtypes were given by name, and the variant it has."""
    chosen = dict(options)
    variant = chosen.get("variant")
    if variant and not carries(part, variant):
        logger.warning("%s has no variant %r: the plain weights are loaded", part.where(""), variant)
        chosen["variant"] = None
    for key in ("torch_dtype", "dtype"):
        if isinstance(chosen.get(key), Mapping):
            chosen[key] = chosen[key].get(name, chosen[key].get("default", torch.float32))
    return chosen


def save(
    pipe: DiffusionPipeline, folder: str | os.PathLike[str], safe: bool, variant: str | None, shard: int | str | None
) -> None:
    """Write the components, then the index; under each name there is the old file or the new one."""
    with saving(Path(folder)) as save:
        for name, part in pipe.components.items():
            part = getattr(part, "_orig_mod", part)  # what torch.compile wraps
            if hasattr(part, "stage"):
                part.stage(save, name, *((safe, variant, shard or "10GB") if isinstance(part, nn.Module) else ()))
            elif part is not None:
                _stage_foreign(save, name, part)
        index = {"_class_name": type(pipe).__name__, "_diffusers_version": ECOSYSTEM_VERSION}
        told = {key: value for key, value in pipe.config.items() if not key.startswith("_") or key == USUAL}
        index |= {key: value for key, value in told.items() if value is not None}
        save.write(INDEX, [to_json(index).encode()])


def _stage_foreign(save: Saving, name: str, part: Any) -> None:
    """A component of another library writes itself; its files then take their places with ours."""
    with tempfile.TemporaryDirectory() as aside:
        part.save_pretrained(aside)
        for path in sorted(Path(aside).rglob("*")):
            if path.is_file():
                save.write(f"{name}/{path.relative_to(aside).as_posix()}", [path.read_bytes()])


def rebuild(cls: type[DiffusionPipeline], pipe: DiffusionPipeline, kwargs: dict[str, Any]) -> Any:
    """A pipeline of this class from the components of another one and those given by name."""
    dtype = kwargs.pop("torch_dtype", None) or kwargs.pop("dtype", None)
    takes = cls.init_defaults()
    known = {**pipe.config, **pipe.components}
    refuse_unknown(kwargs, takes, cls.__name__)
    parts = {name: kwargs.get(name, known.get(name, default)) for name, default in takes.items()}
    parts = {
        name: None if value is inspect.Parameter.empty and name in cls._optional_components else value
        for name, value in parts.items()
    }
    missing = [name for name, value in parts.items() if value is inspect.Parameter.empty]
    if missing:
        raise InvalidArgument(", ".join(missing), f"components for {cls.__name__}", f"none in {type(pipe).__name__}")
    made = cls(**parts)
    made.register_to_config(**{key: value for key, value in pipe.config.items() if key == USUAL})
    return made.to(dtype) if dtype is not None else made
