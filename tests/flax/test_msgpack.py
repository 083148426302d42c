"""Flax's files are read as Flax reads them, written as Flax writes them, and nothing but arrays comes out of them."""

from __future__ import annotations

import flax.serialization
import jax.numpy as jnp
import msgpack
import numpy as np
import pytest
import torch
from flax.traverse_util import flatten_dict

from calotype.core.errors import CorruptFile
from calotype.flax import msgpack as files
from calotype.flax.model import as_tensor
from calotype.flax.names import grown

TREE = {
    "conv_in": {"kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "bias": np.zeros(0, np.float16)},
    "half": np.asarray(jnp.linspace(0, 1, 5, dtype=jnp.bfloat16)),
    "layers": {"0": {"scale": np.ones(300, np.float64)}, "1": {"steps": np.array(3, np.int32)}},
}
FLAT = flatten_dict(TREE, sep="/")


def opened(folder, data):
    path = folder / "weights.msgpack"
    path.write_bytes(data)
    return files.MsgpackFile(path)


def read(file):
    return file.tensors({key: stored.dtype for key, stored in file.stored().items()})


def array(shape, dtype, data):
    return msgpack.ExtType(1, msgpack.packb((shape, dtype, data)))


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert torch.equal(found[key], as_tensor(value)), key


def test_what_flax_writes_is_read(tmp_path):
    same(read(opened(tmp_path, flax.serialization.msgpack_serialize(TREE))), FLAT)


def test_what_is_written_flax_reads():
    tree = grown({key: as_tensor(value) for key, value in FLAT.items()})
    found = flax.serialization.msgpack_restore(b"".join(files.msgpack_bytes(tree)))
    same({key: as_tensor(value) for key, value in flatten_dict(found, sep="/").items()}, FLAT)


def test_large_arrays_come_in_pieces_both_ways(tmp_path, monkeypatch):
    monkeypatch.setattr(flax.serialization, "MAX_CHUNK_SIZE", 40)
    monkeypatch.setattr(files, "CHUNK", 40)
    large = {"a": {"kernel": np.arange(30, dtype=np.float32).reshape(5, 6)}}
    written = b"".join(files.msgpack_bytes({"a": {"kernel": torch.from_numpy(large["a"]["kernel"])}}))
    np.testing.assert_array_equal(flax.serialization.msgpack_restore(written)["a"]["kernel"], large["a"]["kernel"])
    theirs = flax.serialization.msgpack_serialize(large)
    for data in (written, theirs):
        same(read(opened(tmp_path, data)), {"a/kernel": large["a"]["kernel"]})


def test_a_file_that_is_cut_anywhere_is_refused(tmp_path):
    whole = flax.serialization.msgpack_serialize({"a": {"b": np.ones(3, np.float32)}, "c": np.zeros(2, np.int32)})
    for length in range(len(whole)):
        with pytest.raises(CorruptFile, match=r"weights\.msgpack, byte"):
            opened(tmp_path, whole[:length])


DEEP: dict = {}
for _ in range(100):
    DEEP = {"a": DEEP}

HOSTILE = {
    "not a map": [1, 2],
    "a text for an array": {"a": "os.system"},
    "nothing": {"a": None},
    "bytes": {"a": b"1234"},
    "a number": {"a": 7},
    "names that are numbers": {3: array((1,), "float32", bytes(4))},
    "a slash in a name": {"a/b": array((1,), "float32", bytes(4))},
    "another extension": {"a": msgpack.ExtType(2, msgpack.packb((1.0, 2.0)))},
    "a scalar of numpy's": {"a": msgpack.ExtType(3, msgpack.packb(("float32", bytes(4))))},
    "too few bytes": {"a": array((2,), "float32", bytes(4))},
    "too many bytes": {"a": array((1,), "float32", bytes(8))},
    "a size beyond all memory": {"a": array((2**62, 2**62), "float32", bytes(8))},
    "a negative size": {"a": array((-1, -4), "float32", bytes(16))},
    "objects": {"a": array((1,), "object", bytes(8))},
    "many axes": {"a": array((1,) * 60, "float32", bytes(4))},
    "something behind the array": {"a": msgpack.ExtType(1, msgpack.packb(((1,), "float32", bytes(4))) + b"\xc0")},
    "pieces that do not make the whole": {
        files.CHUNKED: True,
        "shape": {"0": 3},
        "chunks": {"0": array((2,), "float32", bytes(8))},
    },
    "many levels": DEEP,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_not_a_tree_of_arrays_is_refused(what, tmp_path):
    with pytest.raises(CorruptFile, match="byte"):
        opened(tmp_path, msgpack.packb(HOSTILE[what]))


@pytest.mark.parametrize(
    "data",
    [
        b"\xdf\xff\xff\xff\xff",  # a map of four billion
        b"\x81\xdb\xff\xff\xff\xff",  # a name of four billion letters
        b"\x82\xa1a\xd4\x01\x90\xa1a\xd4\x01\x90",  # extensions of one byte
        b"\x81\xa2\xff\xfe\xc0",  # a name that is no text
        flax.serialization.msgpack_serialize({"a": np.ones(1)}) + b"\x00",  # more after the end
        flax.serialization.msgpack_serialize({"a": np.ones(1)}).replace(b"\x81", b"\x82", 1) * 2,  # a name twice
    ],
    ids=range(6),
)
def test_bytes_that_lie_are_refused(data, tmp_path):
    with pytest.raises(CorruptFile):
        opened(tmp_path, data)
