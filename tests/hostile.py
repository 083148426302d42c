"""Pickles that want to do more than hold tensors: each with the words that its refusal must hold."""

from __future__ import annotations

import argparse
import io
import pickle
import struct
import tarfile
import zipfile
from typing import Any

import torch

from tests.malformed import Row


class Calls:
    """Pickles as a call of something."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def archive(program: bytes, data: bytes = bytes(24), **options: Any) -> bytes:
    """A file as torch.save lays it out, around a pickle of our own."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", options.pop("compression", zipfile.ZIP_STORED)) as zipped:
        zipped.writestr("archive/data.pkl", program)
        zipped.writestr("archive/version", "3\n")
        zipped.writestr("archive/byteorder", options.get("order", "little"))
        zipped.writestr("archive/data/0", data)
        if options.get("twice"):
            zipped.writestr("other/data.pkl", program)
    return made.getvalue()


def saved(value: Any) -> bytes:
    """What torch.save writes."""
    made = io.BytesIO()
    torch.save(value, made)
    return made.getvalue()


def legacy(program: bytes) -> bytes:
    """The layout before zip: five pickles in a row."""
    head = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    return b"".join([*head, program, pickle.dumps([], 2)])


def flagged(data: bytes) -> bytes:
    """An archive whose members claim to be encrypted."""
    return data.replace(b"PK\x03\x04\x14\0\0\0", b"PK\x03\x04\x14\0\1\0").replace(
        b"\x14\x03\x14\0\0\0", b"\x14\x03\x14\0\1\0"
    )


def tar() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tarred:
        tarred.addfile(tarfile.TarInfo("tensors"))
    return made.getvalue()


def tensor_of(storage: str = "FloatStorage", size: int = 6, shape: tuple[int, ...] = (2, 3)) -> bytes:
    """The program of one tensor ``a``, as torch.save writes it, with lies in it if wanted."""
    words = b"".join(b"X" + struct.pack("<I", len(word)) + word for word in (b"storage",))
    return (
        b"\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n(("
        + words
        + f"ctorch\n{storage}\n".encode()
        + b"X\x01\0\0\x000X\x03\0\0\0cpu"
        + b"J" + struct.pack("<i", size)
        + b"tQK\0("
        + b"".join(b"J" + struct.pack("<i", length) for length in shape)
        + b"t(K\x03K\x01t\x89ccollections\nOrderedDict\n)RtRs."
    )  # fmt: skip


HARMFUL = {
    "exec, new protocol": (archive(pickle.dumps(Calls(exec, "import antigravity"), 4)), "`builtins.exec`"),
    "exec, old protocol": (archive(pickle.dumps(Calls(exec, "import antigravity"), 2)), "`__builtin__.exec`"),
    "exec, text protocol": (archive(b"\x80\x02c__builtin__\nexec\n(Vimport antigravity\ntR."), "`__builtin__.exec`"),
    "a module that import would run": (archive(b"\x80\x02cantigravity\nfly\n."), "`antigravity.fly`"),
    "attribute of an allowed one": (archive(b"\x80\x02ccollections\nOrderedDict.fromkeys\n."), "OrderedDict.fromkeys`"),
    "instance opcode": (archive(b"\x80\x02(Vimport antigravity\nios\nsystem\n."), "`os.system`"),
    "object opcode": (archive(b"\x80\x02(cantigravity\nfly\no."), "`antigravity.fly`"),
    "extension registry": (archive(b"\x80\x02\x82\x01."), "`EXT1`"),
    "name put together from the memo": (
        archive(b"\x80\x04\x8c\x02os\x940\x8c\x06system\x940h\x00h\x01\x93\x8c\x04true\x85R."),
        "os.system",
    ),
    "getattr": (archive(pickle.dumps(Calls(getattr, "text", "format"), 2)), "`__builtin__.getattr`"),
    "copyreg": (archive(pickle.dumps(object.__reduce_ex__(object(), 2)[0], 2)), "`copy_reg.__newobj__`"),
    "namespace": (saved({"args": argparse.Namespace(a=1)}), "`argparse.Namespace`"),
    "nested torch.load": (archive(b"\x80\x02ctorch.serialization\nload\n(Vx\ntR."), "`torch.serialization.load`"),
    "numpy": (archive(b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n."), "`numpy.core.multiarray._reconstruct`"),
    "runpy": (archive(b"\x80\x02crunpy\nrun_path\n(Vx\ntR."), "`runpy.run_path`"),
    "legacy layout, exec": (legacy(pickle.dumps(Calls(exec, "import antigravity"), 2)), "`__builtin__.exec`"),
    "legacy layout, first pickle": (pickle.dumps(Calls(exec, "import antigravity"), 2), "`__builtin__.exec`"),
    "legacy layout, new protocol": (pickle.dumps(Calls(exec, "import antigravity"), 5), "`builtins.exec`"),
    "compressed": (archive(tensor_of(), compression=zipfile.ZIP_DEFLATED), "encrypted or compressed"),
    "encrypted": (flagged(archive(tensor_of())), "encrypted or compressed"),
}

BROKEN = {
    "empty": (b"", "empty file"),
    "HTML": (b"<!DOCTYPE html>", "starts with"),
    "tar": (tar(), "starts with"),
    "zip without a pickle": (archive(b"").replace(b"data.pkl", b"data.txt"), "found 0 in 4"),
    "numbers the other way round": (archive(tensor_of(), order="big"), "expected little, found 'big'"),
    "two pickles": (archive(tensor_of(), twice=True), "found 2 in 5"),
    "cut archive": (archive(tensor_of())[:-30], "zip"),
    "cut pickle": (archive(tensor_of()[:-1]), "pickle"),
    "a gigabyte of one number": (archive(b"\x80\x02\x8b\0\0\0\x40."), "pickle"),
    "unknown opcode": (archive(b"\x80\x02\xff."), "pickle"),
    "stack underflow": (archive(b"\x80\x02tR."), "torch.save"),
    "memo that was never filled": (archive(b"\x80\x02h\x07."), "torch.save"),
    "storage of another kind": (
        archive(tensor_of().replace(b"X\x07\0\0\0storage", b"X\x07\0\0\0pointer")),
        "torch.save",
    ),
    "storage larger than its bytes": (archive(tensor_of(size=1000)), "4,000 bytes, found 24"),
    "tensor larger than its storage": (archive(tensor_of(shape=(200, 3))), "one at 599"),
    "state set on a tensor": (archive(tensor_of()[:-2] + b"}Vx\nK\x01sbs."), "torch.save"),
    "a memo of billions": (archive(b"\x80\x02}r\xff\xff\xff\x7f."), "memo"),
    "state set on a function": (
        archive(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}Vx\nK\x01s\x86b."),
        "torch.save",
    ),
    "state set on a class": (archive(b"\x80\x02ccollections\nOrderedDict\nN}Vx\nK\x01s\x86b."), "torch.save"),
    "a dict that holds itself": (archive(b"\x80\x02}q\0Vx\nh\0s."), "a tensor, found dict"),
    "a negative offset": (archive(tensor_of().replace(b"QK\0(", b"QJ\xff\xff\xff\xff(")), "sizes"),
    "a shape of fractions": (archive(tensor_of().replace(b"J\x03\0\0\0t(K", b"G@\x08\0\0\0\0\0\0t(K")), "sizes"),
    "legacy layout, storage cut": (legacy(tensor_of()) + bytes(12), "bytes"),
    "a list": (saved([torch.ones(2)]), "list"),
    "a tensor": (saved(torch.ones(2)), "tensors by name"),
    "a string among tensors": (saved({"a": torch.ones(2), "b": "text"}), "'b'"),
    "keys that are numbers": (saved({1: torch.ones(2)}), "tensors by name"),
}

ROWS = {
    "harmful": [Row(name, data, (words,)) for name, (data, words) in HARMFUL.items()],
    "broken": [Row(name, data, (words,)) for name, (data, words) in BROKEN.items()],
}
