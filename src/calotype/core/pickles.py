"""Pickled weights, for who asked for them: looked through without running anything, then read as tensors alone."""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from calotype.core.errors import CorruptFile, UnsafeFile
from calotype.core.paths import regular_file
from calotype.core.tensors import CHUNK, Stored

MAX_PROGRAM = 2**27  # bytes of pickle beside the tensors
COPY = "Use a .safetensors copy of these weights."

_STORAGES = ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool", "Untyped")
ALLOWED = frozenset(
    {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter", "torch.Size"}
    | {f"torch.{name}Storage" for name in _STORAGES}
    | {f"torch.{name}" for name in ("float32", "float16", "bfloat16", "float64", "int64", "int32", "uint8", "bool")}
)
# Ways to name something to call, other than the plain one that torch.save writes.
_INDIRECT = frozenset({"STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4", "NEWOBJ", "NEWOBJ_EX"})


class PickledFile:
    """The tensors of a file that ``torch.save`` wrote."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        check_pickle(self.path)
        with self.path.open("rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
        try:
            loaded: Any = torch.load(self.path, map_location="cpu", weights_only=True, mmap=zipped)
        except Exception as error:
            raise CorruptFile(
                str(path), "weights as torch.save writes them", str(error).splitlines()[0][:200]
            ) from None
        loaded = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else loaded
        if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
            raise CorruptFile(str(path), "tensors by name", type(loaded).__name__)
        self._tensors: dict[str, Tensor] = loaded
        for key, value in self._tensors.items():
            if not isinstance(value, Tensor):
                raise CorruptFile(f"{path}, key {key!r}", "a tensor", type(value).__name__)

    def stored(self) -> dict[str, Stored]:
        """Every tensor of the file by its key."""
        return {key: Stored(self, key, tuple(t.shape), t.dtype) for key, t in self._tensors.items()}

    def tensors(self, wanted: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
        """These tensors in these types."""
        return {key: self._tensors[key].detach().to(dtype) for key, dtype in wanted.items()}

    def pieces(self, keys: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values of these tensors, a small flat piece at a time."""
        for key in keys:
            for piece in self._tensors[key].detach().reshape(-1).split(CHUNK):
                yield key, piece


def check_pickle(path: Path) -> None:
    """Refuse a file whose pickle names anything but what tensors are made of; nothing of it is run."""
    regular_file(path)
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start == b"PK\x03\x04":
            file = io.BytesIO(_program(path))
            programs = 1
        elif start.startswith(b"\x80"):
            programs = 5  # the old format: magic number, version, platform, tensors, storage keys
        else:
            raise CorruptFile(str(path), "a file as torch.save writes it", f"one that starts with {start!r}", COPY)
        for _ in range(programs):
            _check_program(path, file)


def _program(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            programs = [member for member in members if member.filename.split("/")[-1] == "data.pkl"]
            if len(programs) != 1 or len(set(names)) != len(names):
                raise CorruptFile(
                    str(path), "one data.pkl and every member once", f"{len(programs)} of {len(names)} members"
                )
            if any(member.flag_bits & 0x1 or member.compress_type != zipfile.ZIP_STORED for member in members):
                raise UnsafeFile(str(path), "plainly stored members", "encrypted or compressed ones", COPY)
            if programs[0].file_size > MAX_PROGRAM:
                raise UnsafeFile(
                    str(path), f"at most {MAX_PROGRAM:,} bytes of pickle", f"{programs[0].file_size:,}", COPY
                )
            return archive.read(programs[0])
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise CorruptFile(str(path), "a whole zip archive", str(error), "Download the file again.") from None


def _check_program(path: Path, file: BinaryIO) -> None:
    words: list[str] = []  # the strings so far: a name that is put together on the stack ends with the last two
    try:
        for opcode, argument, position in pickletools.genops(file):
            if opcode.name == "GLOBAL":
                _check_name(path, str(argument).replace(" ", "."), position)
            elif opcode.name in _INDIRECT:
                name = str(argument).replace(" ", ".") if opcode.name == "INST" else ".".join(words[-2:])
                raise _unsafe(path, name or opcode.name, position)
            elif isinstance(argument, str):
                words.append(argument)
    except (ValueError, UnicodeDecodeError, OverflowError, EOFError) as error:
        raise CorruptFile(str(path), "a whole pickle", str(error)[:120], "Download the file again.") from None


def _check_name(path: Path, name: str, position: int | None) -> None:
    if name not in ALLOWED:
        raise _unsafe(path, name, position)


def _unsafe(path: Path, name: str, position: int | None) -> UnsafeFile:
    return UnsafeFile(f"{path} wants `{name[:100]}` at byte {position or 0:,}", fix=COPY)
