"""Values of a call as tensors and plain data, in one safetensors file, and back: nothing in the file is code."""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from calotype.core.atomic import write_atomic
from calotype.core.documents import parse_json
from calotype.core.errors import CorruptFile, InvalidArgument
from calotype.core.tensors import DTYPES, SafetensorsFile, safetensors_bytes
from calotype.ops.pictures import upright

KEY, DIGEST = "calotype", "sha256"  # of the plain data and of the whole, in the file's metadata
Tensors = dict[str, Tensor]


def pack(value: Any, name: str, tensors: Tensors) -> Any:
    """The value in JSON's types; what is large goes to ``tensors`` under its name."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else {"float": repr(value)}
    if isinstance(value, Tensor):
        tensors[name] = value
        # the layout decides which kernels run, and so the last bits of what they make
        laid = value.ndim == 4 and not value.is_contiguous() and value.is_contiguous(memory_format=torch.channels_last)
        told = {"channels_last" if laid else "tensor": name}
        return told if value.device.type == "cpu" else {"placed": [str(value.device), told]}
    kind = next((kind for kind in PACKERS if isinstance(value, kind)), None)
    if kind is None:
        raise InvalidArgument(name, "something that a file can hold", type(value).__name__)
    return PACKERS[kind](value, name, tensors)


def unpack(packed: Any, tensors: Mapping[str, Tensor], where: str) -> Any:
    """The value that was packed."""
    if isinstance(packed, list):
        return [unpack(item, tensors, where) for item in cast("list[Any]", packed)]
    if not isinstance(packed, dict):
        return packed
    told = cast("dict[str, Any]", packed)
    kind = next(iter(told), "")
    if len(told) != 1 or kind not in UNPACKERS:
        raise CorruptFile(where, f"one of {', '.join(UNPACKERS)}", repr(kind)[:40])
    try:
        return UNPACKERS[kind](told[kind], tensors, where)
    except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as fault:
        raise CorruptFile(where, f"a packed {kind}", f"{type(fault).__name__} while reading it") from fault


def write_packed(path: str | os.PathLike[str], document: Mapping[str, Any], tensors: Tensors) -> None:
    """Write plain data and tensors as one file, whole or not at all."""
    metadata = {KEY: json.dumps(document)}
    write_atomic(path, safetensors_bytes(tensors, {**metadata, DIGEST: _digest(tensors, metadata)}))


def read_packed(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Tensors]:
    """The plain data and the tensors of a file."""
    file = SafetensorsFile(path, alias=False)
    if KEY not in file.header.metadata:
        raise CorruptFile(str(path), f"a file of calotype's, with {KEY!r} in its metadata", "another safetensors file")
    tensors = file.tensors({key: stored.dtype for key, stored in file.stored().items()})
    metadata = dict(file.header.metadata)
    digest = metadata.pop(DIGEST, None)
    if digest not in (None, _digest(tensors, metadata)):
        raise CorruptFile(str(path), "the digest that it was written with", "another: it was damaged or changed")
    return parse_json(metadata[KEY].encode(), str(path)), tensors


def _digest(tensors: Tensors, metadata: Mapping[str, str]) -> str:
    """Of the file as it would be without a digest."""
    digest = hashlib.sha256()
    for piece in safetensors_bytes(tensors, metadata):
        digest.update(piece)
    return digest.hexdigest()


def _pack_items(value: Any, name: str, tensors: Tensors) -> list[Any]:
    return [pack(item, f"{name}.{i}", tensors) for i, item in enumerate(value)]


def _pack_mapping(value: Mapping[str, Any], name: str, tensors: Tensors) -> dict[str, Any]:
    return {"dict": {str(key): pack(item, f"{name}.{key}", tensors) for key, item in value.items()}}


def _pack_image(value: Image.Image, name: str, tensors: Tensors) -> dict[str, Any]:
    image = upright(value)
    tensors[name] = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    palette = image.getpalette() if image.mode == "P" else None
    hidden = pack(_as_list(image.info.get("transparency")), name, tensors)
    return {"image": [name, image.mode, *image.size, palette, hidden]}


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, bytes) else value


def _unpack_image(told: list[Any], tensors: Mapping[str, Tensor], where: str) -> Image.Image:
    name, mode, width, height, palette, hidden = told
    image = Image.frombytes(mode, (width, height), tensors[name].numpy().tobytes())
    if palette is not None:
        image.putpalette(palette)
    hidden = unpack(hidden, tensors, where)
    if hidden is not None:
        image.info["transparency"] = bytes(hidden) if isinstance(hidden, list) else hidden
    return image


def _pack_generator(value: torch.Generator, name: str, tensors: Tensors) -> dict[str, Any]:
    tensors[name] = value.get_state()
    return {"generator": [name, str(value.device)]}


def _unpack_generator(told: list[str], tensors: Mapping[str, Tensor], _: str) -> torch.Generator:
    generator = torch.Generator(told[1])
    generator.set_state(tensors[told[0]])
    return generator


def _unpack_placed(told: list[Any], tensors: Mapping[str, Tensor], where: str) -> Tensor:
    try:
        return unpack(told[1], tensors, where).to(torch.device(told[0]))
    except (AssertionError, RuntimeError):
        raise CorruptFile(where, f"the device {str(told[0])[:40]!r}", "none of that name on this machine") from None


PACKERS: dict[type[Any], Callable[[Any, str, Tensors], Any]] = {
    tuple: lambda value, name, tensors: {"tuple": _pack_items(value, name, tensors)},
    deque: lambda value, name, tensors: {"deque": [value.maxlen, _pack_items(value, name, tensors)]},
    list: _pack_items,
    Mapping: _pack_mapping,
    np.ndarray: lambda value, name, tensors: {"array": pack(torch.from_numpy(value.copy()), name, tensors)},
    np.generic: lambda value, name, tensors: pack(value.item(), name, tensors),
    Image.Image: _pack_image,
    torch.Generator: _pack_generator,
    torch.dtype: lambda value, name, tensors: {"dtype": str(value).removeprefix("torch.")},
}

TYPES = {str(dtype).removeprefix("torch."): dtype for dtype in DTYPES.values()}

UNPACKERS: dict[str, Callable[[Any, Mapping[str, Tensor], str], Any]] = {
    "float": lambda told, tensors, where: float(told),
    "tensor": lambda told, tensors, where: tensors[told],
    "channels_last": lambda told, tensors, where: tensors[told].contiguous(memory_format=torch.channels_last),
    "placed": _unpack_placed,
    "tuple": lambda told, tensors, where: tuple(unpack(told, tensors, where)),
    "deque": lambda told, tensors, where: deque(unpack(told[1], tensors, where), maxlen=told[0]),
    "dict": lambda told, tensors, where: {key: unpack(item, tensors, where) for key, item in told.items()},
    "array": lambda told, tensors, where: unpack(told, tensors, where).numpy(),
    "image": _unpack_image,
    "generator": _unpack_generator,
    "dtype": lambda told, tensors, where: TYPES[told],
}
