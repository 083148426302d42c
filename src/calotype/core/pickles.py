"""Pickled weights, for who asked for them: looked through first, then read by a reader that can make tensors alone."""

from __future__ import annotations

import io
import mmap
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from calotype.core.errors import CalotypeError, CorruptFile, UnsafeFile
from calotype.core.paths import regular_file
from calotype.core.safetensors_header import AGAIN, MAX_RANK
from calotype.core.tensors import CHUNK, Stored

MAX_PROGRAM = 2**27  # bytes of pickle beside the tensors
MAX_MEMO = 2**20
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
COPY = "Use a .safetensors copy of these weights."

# Ways to name something to call, other than the plain one that torch.save writes.
_INDIRECT = frozenset({"STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4", "NEWOBJ", "NEWOBJ_EX"})


class _Storage(NamedTuple):
    """Numbers of one type somewhere in the file."""

    dtype: torch.dtype
    key: str
    length: int


class _View(NamedTuple):
    """A tensor as its pickle tells it."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


# What stands in for functions of torch has no attributes: a pickle may try to set some.
class _RebuildTensor:
    __slots__ = ()

    def __call__(self, storage: _Storage, offset: int, shape: Any, stride: Any, *_: Any) -> _View:
        return _View(storage, offset, tuple(shape), tuple(stride))


class _RebuildParameter:
    __slots__ = ()

    def __call__(self, tensor: _View, *_: Any) -> _View:
        return tensor


_STORAGES = {
    "Float": torch.float32, "Half": torch.float16, "BFloat16": torch.bfloat16, "Double": torch.float64,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool,
}  # fmt: skip
# All that a pickle can name, and what it gets.
_ALLOWED: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "torch.Size": tuple,
    "torch._utils._rebuild_tensor_v2": _RebuildTensor(),
    "torch._utils._rebuild_parameter": _RebuildParameter(),
    **{f"torch.{name}Storage": dtype for name, dtype in _STORAGES.items()},
}


class _Reader(pickle.Unpickler):
    """An unpickler for which nothing exists but what is allowed."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        return _ALLOWED[f"{module_name}.{global_name}"]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count = pid[:5]
        if kind != "storage" or not isinstance(dtype, torch.dtype) or any(pid[5:]):
            raise ValueError(f"a reference to {str(kind)[:40]!r}, not to a storage")
        return _Storage(dtype, str(key), int(count))


def read_pickle(path: str | Path) -> Any:
    """What ``torch.save`` wrote: texts, numbers, lists and dicts of them; tensors are views of the file's own pages."""
    path = Path(path)
    regular_file(path)
    try:
        with path.open("rb") as file:
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            file.seek(0)
            told, places = _read(path, file)
        return _Pages(path, pages, places).filled(told, str(path))
    except CalotypeError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way that Python knows
        reason = f"{type(error).__name__}: {error}"[:200]
        raise CorruptFile(str(path), "a file as torch.save writes it", reason, AGAIN) from None


class _Pages:
    """The pages of a file, and where in them each storage lies."""

    def __init__(self, path: Path, pages: mmap.mmap, places: Mapping[str, tuple[int, int]]) -> None:
        self.path, self._pages, self._places = path, pages, places
        self._filled: dict[int, Any] = {}  # what stands in several places is made once, however often it is nested

    def filled(self, told: Any, where: str) -> Any:
        """The value with tensors where it speaks of them."""
        if id(told) not in self._filled:
            if isinstance(told, dict):
                self._filled[id(told)] = made = {}
                made.update({key: self.filled(value, f"{self.path}, key {key!r}"[:200]) for key, value in told.items()})
            elif isinstance(told, (list, tuple)) and not isinstance(told, (_View, _Storage)):
                self._filled[id(told)] = made = []
                made.extend(self.filled(value, where) for value in told)
            else:
                self._filled[id(told)] = self._tensor(where, told) if isinstance(told, _View) else told
        return self._filled[id(told)]

    def _tensor(self, where: str, view: _View) -> Tensor:
        (dtype, name, count), offset, shape, stride = view
        begin, length = self._places.get(name, (0, -1))
        if count * dtype.itemsize != length:
            raise CorruptFile(where, f"a storage of {count * dtype.itemsize:,} bytes", f"{max(length, 0):,}", AGAIN)
        sizes = (offset, *shape, *stride)
        if (
            len(shape) > MAX_RANK
            or len(shape) != len(stride)
            or any(type(size) is not int or size < 0 for size in sizes)
        ):
            raise CorruptFile(where, f"a shape and strides of at most {MAX_RANK} sizes", str((shape, stride))[:80])
        last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        if 0 in shape:
            return torch.empty(shape, dtype=dtype)
        if last >= count:
            raise CorruptFile(where, f"values among the {count:,} of its storage", f"one at {last:,}", AGAIN)
        off_grid = begin % dtype.itemsize
        data = bytearray(self._pages[begin : begin + length]) if off_grid else self._pages
        flat = torch.frombuffer(data, dtype=dtype, count=count, offset=0 if off_grid else begin)
        return flat.as_strided(shape, stride, offset)


class PickledFile:
    """The tensors of a file that ``torch.save`` wrote, each a view of the file's own pages."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        told = read_pickle(self.path)
        told = told.get("state_dict", told) if isinstance(told, dict) else told
        if not isinstance(told, dict) or not all(isinstance(key, str) for key in told):
            raise CorruptFile(str(path), "tensors by name", type(told).__name__.strip("_"))
        for key, value in told.items():
            if not isinstance(value, Tensor):
                raise CorruptFile(f"{path}, key {key!r}", "a tensor", type(value).__name__)
        self._tensors: dict[str, Tensor] = told

    def stored(self) -> dict[str, Stored]:
        """Every tensor of the file by its key."""
        return {key: Stored(self, key, tuple(t.shape), t.dtype) for key, t in self._tensors.items()}

    def tensors(self, wanted: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
        """These tensors in these types."""
        return {key: self._tensors[key].to(dtype) for key, dtype in wanted.items()}

    def pieces(self, keys: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values of these tensors, a small flat piece at a time."""
        for key in keys:
            for piece in self._tensors[key].reshape(-1).split(CHUNK):
                yield key, piece


def _read(path: Path, file: BinaryIO) -> tuple[Any, dict[str, tuple[int, int]]]:
    """What a file holds, and where (from which byte, how many bytes) each storage lies."""
    start = file.read(4)
    file.seek(0)
    if start == b"PK\x03\x04":
        return _read_zip(path, file)
    if not start.startswith(b"\x80"):
        raise CorruptFile(str(path), "a file as torch.save writes it", f"one that starts with {start!r}", COPY)
    return _read_legacy(path, file)


def _read_zip(path: Path, file: BinaryIO) -> tuple[Any, dict[str, tuple[int, int]]]:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        programs = [member for member in members if member.filename.split("/")[-1] == "data.pkl"]
        if len(programs) != 1 or len({member.filename for member in members}) != len(members):
            found = f"{len(programs)} in {len(members)} members"
            raise CorruptFile(str(path), "one data.pkl, and each member once", found)
        if any(member.flag_bits & 1 or member.compress_type != zipfile.ZIP_STORED for member in members):
            raise UnsafeFile(str(path), "plainly stored members", "encrypted or compressed ones", COPY)
        if programs[0].file_size > MAX_PROGRAM:
            raise UnsafeFile(str(path), f"at most {MAX_PROGRAM:,} bytes of pickle", f"{programs[0].file_size:,}", COPY)
        root = programs[0].filename.removesuffix("data.pkl")
        order = next((member for member in members if member.filename == f"{root}byteorder"), None)
        if order is not None and order.file_size < 10 and (written := archive.read(order)) != b"little":
            raise CorruptFile(f"{path}, {order.filename}", "little", repr(written.decode(errors="replace")), COPY)
        told = _load(path, io.BytesIO(archive.read(programs[0])))
    folder = f"{root}data/"
    inner = [member for member in members if member.filename.startswith(folder)]
    return told, {m.filename.removeprefix(folder): (_begin(file, m), m.file_size) for m in inner}


def _begin(file: BinaryIO, member: zipfile.ZipInfo) -> int:
    """Where the bytes of an archive's member begin: after a header of its own."""
    file.seek(member.header_offset)
    head = file.read(30)
    names, extra = struct.unpack("<HH", head[26:30])
    begin = member.header_offset + 30 + names + extra
    if not head.startswith(b"PK\x03\x04") or begin + member.file_size > file.seek(0, io.SEEK_END):
        raise ValueError(f"the member {member.filename[:80]!r} is not where the archive says")
    return begin


def _read_legacy(path: Path, file: BinaryIO) -> tuple[Any, dict[str, tuple[int, int]]]:
    """The layout before archives: magic number, version, platform, tensors, storage keys, then the storages."""
    magic, _, platform, told, keys = (_load(path, file) for _ in range(5))
    if magic != LEGACY_MAGIC or not platform["little_endian"]:
        raise ValueError("another layout")
    dtypes = {view.storage.key: view.storage.dtype for view in _views(told)}
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        length = count * dtypes[key].itemsize
        places[key] = file.tell(), length
        if count < 0 or file.tell() + length > regular_file(path).st_size:
            raise ValueError(f"storage {key!r} says {count:,} numbers, the file ends before")
        file.seek(length, io.SEEK_CUR)
    return told, places


def _views(told: Any) -> list[_View]:
    values: list[Any] = list(told.values()) if isinstance(told, dict) else []
    return [view for value in values for view in ([value] if isinstance(value, _View) else _views(value))]


def _load(path: Path, file: BinaryIO) -> Any:
    """What the next pickle of a file holds, once each name in it was found to be harmless."""
    begin = file.tell()
    _check(path, file)
    end = file.tell()
    file.seek(begin)
    told = _Reader(io.BytesIO(file.read(end - begin))).load()
    file.seek(end)
    return told


def _check(path: Path, file: BinaryIO) -> None:
    words: list[str] = []  # a name that is put together from strings is most likely made of the last two
    for opcode, argument, position in pickletools.genops(file):
        name = str(argument).replace(" ", ".")
        if opcode.name in _INDIRECT:
            name = name if opcode.name == "INST" else ".".join(words[-2:]) or opcode.name
        elif opcode.name != "GLOBAL" or name in _ALLOWED:
            if isinstance(argument, str):
                words.append(argument)
            if opcode.name.endswith("PUT") and int(argument or 0) > MAX_MEMO:
                raise ValueError(f"a memo of {argument:,} places")
            continue
        raise UnsafeFile(f"{path} wants `{name[:100]}` at byte {position or 0:,}", fix=COPY)
