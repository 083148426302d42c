"""A safetensors file as tensors: its own pages where nothing changes, a cast on the way where something does."""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from calotype.core.errors import CorruptFile, IncompatibleWeights
from calotype.core.safetensors_header import BITS, Entry, read_header

CHUNK = 2**23  # bytes: measured, 2 MB and 16 MB are slower, and so is a second thread beside those of torch
NETWORK_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "lustre", "ceph"}

DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64,
    "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64, "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz, "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}  # fmt: skip
_SPELLED = {dtype: name for name, dtype in DTYPES.items()}
_RANKS = {name: rank for rank, name in enumerate(BITS)}


@dataclass(frozen=True)
class Stored:
    """A tensor that still lies in a file."""

    file: WeightFile
    key: str
    shape: tuple[int, ...]
    dtype: torch.dtype


class WeightFile(Protocol):
    """A file of named tensors, whatever its format."""

    path: Path

    def stored(self) -> dict[str, Stored]:
        """Every tensor by its key."""
        ...

    def tensors(self, wanted: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
        """These tensors in these types."""
        ...

    def pieces(self, keys: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values of these tensors, a small flat piece at a time, each valid until the next one is asked for."""
        ...


class SafetensorsFile:
    """Tensors of a safetensors file: mapped where the wanted type is the file's own, cast while being read if not."""

    def __init__(self, path: str | os.PathLike[str], alias: bool | None = None) -> None:
        self.header = read_header(path)
        self.path = self.header.path
        self.alias = may_alias(self.path) if alias is None else alias

    def stored(self) -> dict[str, Stored]:
        """Every tensor of the file by its key."""
        entries = self.header.entries.items()
        return {key: Stored(self, key, entry.shape, self._dtype(key, entry)) for key, entry in entries}

    def tensors(self, wanted: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
        """These tensors in these types: the file's own pages where they can be, fresh memory otherwise."""
        made = {key: self._mapped(key) for key in wanted if self._can_map(key, wanted[key])}
        rest = [key for key in wanted if key not in made]
        made |= {key: torch.empty(self.header.entries[key].shape, dtype=wanted[key]) for key in rest}
        done = dict.fromkeys(rest, 0)
        for key, piece in self.pieces(rest):
            made[key].view(-1)[done[key] : done[key] + len(piece)].copy_(piece)
            done[key] += len(piece)
        return made

    def pieces(self, keys: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values of these tensors, a small piece at a time, each valid until the next one is asked for."""
        buffer = bytearray(CHUNK)
        with self.path.open("rb", buffering=0) as file:
            for key in keys:
                entry = self.header.entries[key]
                dtype = self._dtype(key, entry)
                file.seek(entry.begin)
                for begin in range(entry.begin, entry.end, CHUNK):
                    length = min(CHUNK, entry.end - begin)
                    self._fill(file, memoryview(buffer)[:length])
                    yield key, torch.frombuffer(buffer, dtype=dtype, count=length // dtype.itemsize)

    def _fill(self, file: FileIO, view: memoryview) -> None:
        while view:
            count = file.readinto(view)
            if not count:
                raise CorruptFile(
                    str(self.path), f"{self.header.size:,} bytes", f"{file.tell():,}", "It changed while being read."
                )
            view = view[count:]

    def _can_map(self, key: str, dtype: torch.dtype) -> bool:
        entry = self.header.entries[key]
        own = self._dtype(key, entry)
        return self.alias and dtype == own and entry.end > entry.begin and entry.begin % own.itemsize == 0

    def _mapped(self, key: str) -> Tensor:
        entry = self.header.entries[key]
        dtype = self._dtype(key, entry)
        count = (entry.end - entry.begin) // dtype.itemsize
        return torch.frombuffer(self._pages, dtype=dtype, count=count, offset=entry.begin).view(entry.shape)

    @cached_property
    def _pages(self) -> mmap.mmap:
        # ACCESS_COPY: a private mapping. Writing to a weight makes a copy of its page and never reaches the file.
        with self.path.open("rb") as file:
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        if len(pages) != self.header.size:
            raise CorruptFile(
                str(self.path), f"{self.header.size:,} bytes", f"{len(pages):,}", "It changed while being read."
            )
        return pages

    def _dtype(self, key: str, entry: Entry) -> torch.dtype:
        dtype = DTYPES.get(entry.dtype)
        if dtype is None:
            raise IncompatibleWeights(f"{self.path}, key {key!r}", f"one of the types {', '.join(DTYPES)}", entry.dtype)
        return dtype


def may_alias(path: Path) -> bool:
    """Can the file's pages be the weights? Not where someone else, or another machine, may cut it while in use."""
    facts = path.stat()
    if hasattr(os, "geteuid") and facts.st_uid not in (0, os.geteuid()):
        return False
    device = f"{os.major(facts.st_dev)}:{os.minor(facts.st_dev)}" if hasattr(os, "major") else ""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return True
    kinds = {line.split()[2]: line.partition(" - ")[2].split()[0] for line in mounts}
    return kinds.get(device) not in NETWORK_FILESYSTEMS


def safetensors_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> Iterator[memoryview]:
    """A safetensors file in pieces, laid out as everywhere: by type, wide ones first so that all align, then by name."""
    odd = next((key for key, tensor in tensors.items() if tensor.dtype not in _SPELLED), None)
    if odd is not None:
        raise IncompatibleWeights(f"key {odd!r}", f"one of the types {', '.join(DTYPES)}", str(tensors[odd].dtype))
    order = sorted(tensors, key=lambda key: (-_RANKS[_SPELLED[tensors[key].dtype]], key))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for key in order:
        tensor = tensors[key]
        end = offset + tensor.numel() * tensor.dtype.itemsize
        header[key] = {"dtype": _SPELLED[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield memoryview(struct.pack("<Q", len(text)) + text)
    for key in order:
        flat = tensors[key].detach().cpu().contiguous().view(-1).view(torch.uint8)
        yield flat.numpy().data
