"""A safetensors file as tensors: its own pages where nothing changes, a cast on the way where something does."""

from __future__ import annotations

import json
import math
import mmap
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from calotype.core.errors import CorruptFile, IncompatibleWeights
from calotype.core.safetensors_header import BITS, read_header

CHUNK = 2**26  # bytes: small enough to be no part of the peak, large enough that threads seldom wait for each other
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
        return {key: Stored(self, key, entry.shape, self._dtype(key)) for key, entry in entries}

    def tensors(self, wanted: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
        """These tensors in these types: the file's own pages where they can be, fresh memory otherwise."""
        shapes = {key: self.header.entries[key].shape for key in wanted}
        made = {key: self._flat(key) for key in wanted if self.alias and wanted[key] == self._dtype(key)}
        rest = {key: torch.empty(math.prod(shapes[key]), dtype=wanted[key]) for key in wanted if key not in made}
        done = dict.fromkeys(rest, 0)
        for key, piece in self.pieces(rest):
            rest[key][done[key] : done[key] + len(piece)].copy_(piece)
            done[key] += len(piece)
        return {key: flat.view(shapes[key]) for key, flat in (made | rest).items()}

    def pieces(self, keys: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values of these tensors, a flat piece at a time, each valid until the next one is asked for."""
        for key in keys:
            flat, begin = self._flat(key), self.header.entries[key].begin
            for piece in flat.split(CHUNK // flat.itemsize):
                yield key, piece
                self._let_go(begin, piece.nbytes)
                begin += piece.nbytes

    def _let_go(self, begin: int, length: int) -> None:
        """Give pages back that were read and are not needed again, so that reading a file does not fill the memory."""
        if length and hasattr(mmap, "MADV_DONTNEED"):
            start = begin - begin % mmap.PAGESIZE
            self._pages.madvise(mmap.MADV_DONTNEED, start, begin + length - start)

    def _flat(self, key: str) -> Tensor:
        """The values of a tensor where they lie in the file, or a copy if processors cannot read them there."""
        entry, dtype = self.header.entries[key], self._dtype(key)
        count = (entry.end - entry.begin) // dtype.itemsize
        if not count:
            return torch.empty(0, dtype=dtype)
        if entry.begin % dtype.itemsize:
            return torch.frombuffer(bytearray(self._pages[entry.begin : entry.end]), dtype=dtype)
        return torch.frombuffer(self._pages, dtype=dtype, count=count, offset=entry.begin)

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

    def _dtype(self, key: str) -> torch.dtype:
        name = self.header.entries[key].dtype
        if name not in DTYPES:
            raise IncompatibleWeights(f"{self.path}, key {key!r}", f"one of the types {', '.join(DTYPES)}", name)
        return DTYPES[name]


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
    """A safetensors file in pieces, laid out as usual: by type, wide ones first so that all align, then by name."""
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
