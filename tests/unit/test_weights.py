from __future__ import annotations

import gc
import json
import logging
import os
import random
import re
import shutil
import struct
import threading
import time
from pathlib import Path

import huggingface_hub
import pytest
import safetensors.torch
import torch

from calotype.core import weights
from calotype.core.errors import (
    CalotypeError,
    CorruptFile,
    IncompatibleWeights,
    InvalidArgument,
    MissingFile,
    NotFinite,
    UnknownArgument,
    UnsafeFile,
)
from calotype.core.safetensors_header import read_header
from calotype.core.tensors import SafetensorsFile, safetensors_bytes
from calotype.core.weights import choose
from tests.malformed import SAFETENSORS, Row, safetensors_file
from tests.toy import Toy, same

SINGLE = "diffusion_pytorch_model.safetensors"
INDEX = f"{SINGLE}.index.json"


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    torch.manual_seed(0)
    Toy().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(original, tmp_path) -> Path:
    """A copy of the saved network, to spoil."""
    return Path(shutil.copytree(original, tmp_path / "spoilt"))


@pytest.fixture
def sharded(original, tmp_path) -> Path:
    Toy.from_pretrained(original).save_pretrained(tmp_path / "sharded", max_shard_size=500)
    return tmp_path / "sharded"


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / SINGLE)


def change(folder: Path, **changes: torch.Tensor | None) -> None:
    """Write the weights again with tensors changed, added, or (None) left out."""
    tensors = tensors_of(folder) | {key.replace("__", "."): value for key, value in changes.items()}
    kept = {key: value for key, value in tensors.items() if value is not None}
    safetensors.torch.save_file(kept, folder / SINGLE)


# ------------------------------------------------------------------ headers


@pytest.mark.parametrize("row", SAFETENSORS, ids=lambda row: row.name)
def test_a_lying_header_is_refused_in_words(row: Row, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(row.data)
    with pytest.raises(CorruptFile) as caught:
        read_header(path)
    for word in (str(path), *row.words):
        assert word in str(caught.value)
    if not row.stricter:  # the format's own library agrees
        with pytest.raises(safetensors.SafetensorError):
            safetensors.torch.load(row.data)


def test_random_damage_gets_the_verdict_of_the_formats_own_library(tmp_path):
    draw = random.Random(0)
    whole = safetensors.torch.save({"a": torch.ones(2, 3), "bc": torch.zeros(4, dtype=torch.int64)}, {"format": "pt"})
    path, seen = tmp_path / "model.safetensors", set()
    for _ in range(1500):
        damaged = bytearray(whole)
        place = draw.randrange(len(whole) - 56)  # in the header: the data may be anything
        damaged[place] = draw.choice([damaged[place] ^ 1 << draw.randrange(8), *b'0123456789,[]{}" '])
        path.write_bytes(damaged)
        try:
            ours = {key: entry.shape for key, entry in read_header(path).entries.items()}
        except CorruptFile:
            ours = None
        try:
            theirs = {key: tuple(told["shape"]) for key, told in safetensors.deserialize(bytes(damaged))}
        except safetensors.SafetensorError:
            theirs = None
        assert ours == theirs, bytes(damaged)
        seen.add(ours is None)
    assert seen == {True, False}


@pytest.mark.parametrize("length", [2, 640, 8827])
def test_a_header_whose_length_looks_like_other_magic_is_read(tmp_path, length):
    (tmp_path / "x").write_bytes(safetensors_file(b"{}" + b" " * (length - 2), b""))
    assert read_header(tmp_path / "x").entries == {}


def test_folders_and_pipes_under_the_name_of_weights_are_refused(folder):
    (folder / SINGLE).unlink()
    os.mkfifo(folder / SINGLE)
    with pytest.raises(CorruptFile, match="a pipe"):
        read_header(folder / SINGLE)
    with pytest.raises(CorruptFile, match="a folder"):
        read_header(folder)


# ------------------------------------------------------------------ reading and writing tensors


def test_files_are_byte_for_byte_what_the_formats_own_library_writes():
    tensors = {
        "b": torch.randn(3, 5),
        "é": torch.randn(2).bfloat16(),
        "a.long": torch.arange(4),
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(3.5, dtype=torch.float64),
        "strided": torch.randn(4, 6).half().t(),
        "flags": torch.tensor([True, False]),
    }
    made = b"".join(safetensors_bytes(tensors, {"format": "pt"}))
    known = {key: tensor.contiguous() for key, tensor in tensors.items()}
    assert made == safetensors.torch.save(known, {"format": "pt"})


def test_every_tensor_is_read_as_it_is_or_cast(tmp_path):
    tensors = {"a": torch.randn(70, 33), "b": torch.randn(5).half(), "c": torch.empty(0), "d": torch.tensor(2.0)}
    safetensors.torch.save_file(tensors, tmp_path / "x")
    file = SafetensorsFile(tmp_path / "x")
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        read = file.tensors(dict.fromkeys(tensors, dtype))
        assert all(torch.equal(read[key], tensors[key].to(dtype)) for key in tensors)
        assert {tensor.dtype for tensor in read.values()} == {dtype}


def test_a_tensor_larger_than_the_buffer_is_cast_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("calotype.core.tensors.CHUNK", 64)
    tensors = {"a": torch.randn(7, 11), "b": torch.randn(3)}
    safetensors.torch.save_file(tensors, tmp_path / "x")
    read = SafetensorsFile(tmp_path / "x").tensors(dict.fromkeys(tensors, torch.bfloat16))
    assert all(torch.equal(read[key], tensors[key].bfloat16()) for key in tensors)


def test_tensors_that_lie_off_their_grid_are_copied(tmp_path):
    values = torch.tensor([1.5, 2.5])
    header = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    text = json.dumps(header).encode() + b" "
    text += b" " * (1 - (len(text) + 8) % 4 if (len(text) + 8) % 4 == 0 else 0)
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(text)) + text + values.numpy().tobytes())
    assert read_header(tmp_path / "x").entries["a"].begin % 4
    assert torch.equal(SafetensorsFile(tmp_path / "x").tensors({"a": torch.float32})["a"], values)


def test_writing_to_a_weight_reaches_neither_the_file_nor_another_network(folder):
    before = (folder / SINGLE).read_bytes()
    one, other = Toy.from_pretrained(folder), Toy.from_pretrained(folder)
    with torch.no_grad():
        one.first.weight.add_(1)
    assert (folder / SINGLE).read_bytes() == before
    assert not torch.equal(one.first.weight, other.first.weight)


def test_each_tensor_stands_alone(original):
    network = Toy.from_pretrained(original)
    assert network.first.weight.untyped_storage().nbytes() == network.first.weight.nbytes


def test_a_loaded_network_outlives_its_file_and_a_save_over_it(folder):
    network = Toy.from_pretrained(folder)
    known = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    Toy().save_pretrained(folder)
    shutil.rmtree(folder)
    gc.collect()
    assert all(torch.equal(tensor, known[key]) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize("mode", ["read", "map"])
def test_a_file_cut_after_its_header_was_read_is_refused(folder, mode):
    file = SafetensorsFile(folder / SINGLE, alias=mode == "map")
    os.truncate(folder / SINGLE, file.header.size - 100)
    with pytest.raises(CorruptFile, match="changed while being read"):
        file.tensors(dict.fromkeys(file.header.entries, torch.float32))


# ------------------------------------------------------------------ networks from files


def test_saved_and_loaded_is_the_same_network(original):
    torch.manual_seed(0)
    made = Toy()
    loaded = Toy.from_pretrained(original)
    assert same(made, loaded)
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize("word", ["torch_dtype", "dtype"])
def test_floats_come_in_the_wanted_type_and_whole_numbers_stay(original, word):
    loaded = Toy.from_pretrained(original, **{word: torch.bfloat16})
    assert (loaded.dtype, loaded.ids.dtype) == (torch.bfloat16, torch.int64)
    assert same(loaded, Toy.from_pretrained(original).to(torch.bfloat16))


def test_without_a_wish_the_type_is_the_default_and_auto_is_the_files_own(original, tmp_path):
    Toy.from_pretrained(original).half().save_pretrained(tmp_path)
    assert Toy.from_pretrained(tmp_path).dtype == torch.float32
    assert Toy.from_pretrained(tmp_path, torch_dtype="auto").dtype == torch.float16
    assert Toy.from_pretrained(tmp_path, torch_dtype="bfloat16").dtype == torch.bfloat16


def test_loading_draws_no_random_number_and_sets_no_first_value(original):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    Toy.from_pretrained(original)
    assert torch.equal(torch.get_rng_state(), before)


def test_two_threads_load_while_a_third_makes_ordinary_networks(original):
    faults = []

    def load():
        faults.extend(not same(Toy.from_pretrained(original), known) for _ in range(10))

    def make():
        faults.extend(
            torch.nn.Linear(3, 3).weight.is_meta or not torch.nn.Linear(3, 3).weight.any() for _ in range(200)
        )

    known = Toy.from_pretrained(original)
    threads = [threading.Thread(target=work) for work in (load, load, make)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(faults) == 220 and not any(faults)


def test_a_device_map_of_one_device_places_the_network(original):
    for place in ("cpu", {"": "cpu"}, torch.device("cpu")):
        assert Toy.from_pretrained(original, device_map=place).device.type == "cpu"
    for place in ("auto", "balanced", {"first": "cpu"}):
        with pytest.raises(InvalidArgument, match="device_map"):
            Toy.from_pretrained(original, device_map=place)


def test_without_any_one_of_its_tensors_the_network_is_refused(original, folder):
    for key in tensors_of(original):
        shutil.copy(original / SINGLE, folder / SINGLE)
        change(folder, **{key: None})
        with pytest.raises(IncompatibleWeights, match=rf"1 of 10 tensors are missing: {re.escape(repr(key))}"):
            Toy.from_pretrained(folder)


def test_missing_tensors_are_zeros_and_marked_when_that_was_asked_for(folder, caplog):
    change(folder, first__weight=None)
    loaded = Toy.from_pretrained(folder, strict=False, torch_dtype=torch.float16)
    assert loaded.incomplete == ("first.weight",)
    assert not loaded.first.weight.any() and loaded.first.weight.dtype == torch.float16
    assert "'first.weight'" in caplog.text


FAULTS = {
    "one tensor too many": ({"other__weight": torch.ones(2)}, ("1 of 11 fit no layer", "'other.weight'")),
    "another name": (
        {"norm__weight": None, "norm__weigth": torch.ones(4)},
        ("1 of 10 tensors are missing", "1 of 10 fit no layer", "nearest name there is 'norm.weigth'"),
    ),
    "another shape": ({"words__weight": torch.ones(3, 9)}, ("'words.weight': expected shape (3, 8), found (3, 9)",)),
    "whole numbers for floats": (
        {"norm__bias": torch.ones(4, dtype=torch.int8)},
        ("'norm.bias': expected floats, found torch.int8",),
    ),
    "flags for floats": ({"norm__bias": torch.ones(4, dtype=torch.bool)}, ("expected floats, found torch.bool",)),
    "floats for whole numbers": ({"ids": torch.ones(3)}, ("'ids': expected whole numbers, found torch.float32",)),
    "an old and a new name at once": ({"start__weight": torch.ones(4, 8)}, ("'first.weight' once",)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_tensors_that_do_not_fit_are_refused_with_their_names(folder, name):
    changes, words = FAULTS[name]
    change(folder, **changes)
    with pytest.raises(IncompatibleWeights) as caught:
        Toy.from_pretrained(folder)
    assert all(word in str(caught.value) for word in (SINGLE, *words)), caught.value


def test_a_long_list_of_faults_is_cut(folder):
    change(folder, **{f"extra{i}": torch.ones(1) for i in range(50)})
    with pytest.raises(IncompatibleWeights, match=r"50 of 60 fit no layer: ('extra\d+', ){4}'extra\d+' \.\.\."):
        Toy.from_pretrained(folder)


def test_weights_of_another_network_are_refused_at_once(folder):
    safetensors.torch.save_file({f"blocks.{i}.weight": torch.ones(1) for i in range(2000)}, folder / SINGLE)
    begin = time.monotonic()
    with pytest.raises(IncompatibleWeights, match="10 of 10 tensors are missing"):
        Toy.from_pretrained(folder)
    assert time.monotonic() - begin < 2


def test_old_spellings_and_unused_tensors_are_no_fault(folder):
    known = Toy.from_pretrained(folder)
    tensors = tensors_of(folder)
    change(folder, first__weight=None, start__weight=tensors["first.weight"], unused__x=torch.ones(1))
    assert same(Toy.from_pretrained(folder), known)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float8_e4m3fn])
def test_unusual_floats_are_cast_with_one_notice(folder, dtype, caplog):
    change(folder, **{key: value.to(dtype) for key, value in tensors_of(folder).items() if key != "ids"})
    with caplog.at_level(logging.WARNING):
        assert Toy.from_pretrained(folder, torch_dtype="auto").dtype == torch.float32
    assert len(caplog.records) == 1 and str(dtype) in caplog.text


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.float8_e5m2])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_found_wherever_it_is(folder, dtype, value):
    bias = torch.ones(6, dtype=torch.float32)
    bias[4] = value
    change(folder, layers__1__bias=bias.to(dtype))
    with pytest.raises(NotFinite, match=r"'layers\.1\.bias'.* found 1 NaN"):
        Toy.from_pretrained(folder)
    assert not Toy.from_pretrained(folder, allow_nonfinite=True).layers[1].bias.isfinite().all()


def test_values_whose_sum_is_too_large_are_still_numbers(folder):
    change(folder, first__bias=torch.full((4,), 3e38))
    assert Toy.from_pretrained(folder).first.bias.isfinite().all()


def test_a_file_is_read_through_once_and_again_when_it_changed(folder, monkeypatch):
    reads = []
    pieces = SafetensorsFile.pieces
    monkeypatch.setattr(SafetensorsFile, "pieces", lambda self, keys: reads.append(1) or pieces(self, keys))
    network = Toy.from_pretrained(folder)
    first = len(reads)
    Toy.from_pretrained(folder)
    assert len(reads) - first == first - 1  # the same reading, without the look for NaN
    with torch.no_grad():
        network.first.weight[0, 0] = float("nan")
    network.save_pretrained(folder)
    with pytest.raises(NotFinite):
        Toy.from_pretrained(folder)


def test_a_cache_that_cannot_be_written_only_costs_time(folder, monkeypatch):
    monkeypatch.setenv("CALOTYPE_CACHE", "/dev/null/nowhere")
    assert same(Toy.from_pretrained(folder), Toy.from_pretrained(folder))


def test_a_config_that_makes_more_than_the_files_hold_is_refused_early(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"sizes": [4] * 100_000}))
    begin = time.monotonic()
    with pytest.raises(InvalidArgument, match="more tensors than the files could fill"):
        Toy.from_pretrained(folder)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("sizes", [[0, 6], [-4, 6], [], [2**62, 6], [5, 6]])
def test_a_config_that_makes_no_network_is_named(folder, sizes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"sizes": sizes}))
    with pytest.raises(CalotypeError) as caught:
        Toy.from_pretrained(folder)
    assert str(folder) in str(caught.value)


# ------------------------------------------------------------------ shards, variants, formats


def test_shards_are_laid_out_as_the_ecosystem_does(sharded, original):
    index = json.loads((sharded / INDEX).read_text())
    shards = sorted(path.name for path in sharded.glob("*.safetensors"))
    assert shards == [
        f"diffusion_pytorch_model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)
    ]
    assert set(index["weight_map"].values()) == set(shards)
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in tensors_of(original).values())
    assert same(Toy.from_pretrained(sharded), Toy.from_pretrained(original))


@pytest.mark.parametrize("limit", [1, 40, 100, 500, 3000, 10**6])
def test_tensors_are_split_as_the_ecosystem_splits_them(limit):
    tensors = dict(Toy().named_parameters())
    theirs = huggingface_hub.split_torch_state_dict_into_shards(tensors, max_shard_size=limit).filename_to_tensors
    assert [list(part) for part in weights.split(tensors, limit)] == list(theirs.values())


def test_saving_over_shards_leaves_none_of_the_old_ones(sharded, original):
    one = Toy.from_pretrained(original)
    one.save_pretrained(sharded)
    assert sorted(os.listdir(sharded)) == ["config.json", SINGLE]
    one.save_pretrained(sharded, max_shard_size="1KB")
    assert SINGLE not in os.listdir(sharded)
    assert same(Toy.from_pretrained(sharded), one)


def test_a_save_leaves_other_variants_and_formats_alone(folder):
    one = Toy.from_pretrained(folder)
    one.save_pretrained(folder, variant="fp16", max_shard_size=500)
    one.save_pretrained(folder, safe_serialization=False)
    one.save_pretrained(folder, max_shard_size=500)
    names = os.listdir(folder)
    assert {"diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors.index.fp16.json", INDEX} <= set(names)
    assert same(Toy.from_pretrained(folder, variant="fp16"), one)


@pytest.mark.parametrize("size, parsed", [(7, 7), ("10GB", 10**10), ("1.5 MB", 1_500_000), ("2KiB", 2048), ("9b", 9)])
def test_shard_sizes_are_read_as_numbers_or_words(size, parsed, monkeypatch, tmp_path):
    limits = []
    split = weights.split
    monkeypatch.setattr(
        "calotype.core.model.split", lambda tensors, limit: limits.append(limit) or split(tensors, limit)
    )
    Toy().save_pretrained(tmp_path, max_shard_size=size)
    assert limits == [parsed]


def test_a_shard_size_that_is_none_is_named(tmp_path):
    with pytest.raises(InvalidArgument, match="max_shard_size"):
        Toy().save_pretrained(tmp_path, max_shard_size="big")
    assert os.listdir(tmp_path) == []


def spoil_index(folder: Path, change) -> None:
    path = folder / INDEX
    index = json.loads(path.read_text())
    change(index["weight_map"])
    path.write_text(json.dumps(index))


def first_shard(folder: Path) -> Path:
    return min(folder.glob("*-00001-of-*"))


def link_out(folder: Path) -> None:
    shard = first_shard(folder)
    outside = folder.parent / "outside.safetensors"
    shard.rename(outside)
    shard.symlink_to(outside)


SPOILT = {
    "a missing shard": (lambda f: first_shard(f).unlink(), MissingFile, "1 of"),
    "a key in the wrong shard": (
        lambda f: spoil_index(
            f, lambda m: m.update({"first.weight": next(v for v in m.values() if v != m["first.weight"])})
        ),
        CorruptFile,
        "'first.weight'",
    ),
    "a key that no shard has": (
        lambda f: spoil_index(f, lambda m: m.update({"ghost": m["words.weight"]})),
        CorruptFile,
        "'ghost' in the index, not in it",
    ),
    "a key that the index lacks": (
        lambda f: spoil_index(f, lambda m: m.pop("norm.bias")),
        CorruptFile,
        "'norm.bias' in it",
    ),
    "a name with dots": (
        lambda f: spoil_index(f, lambda m: m.update(ids="../x.safetensors")),
        UnsafeFile,
        "'../x.safe",
    ),
    "an absolute name": (lambda f: spoil_index(f, lambda m: m.update(ids="/x.safetensors")), UnsafeFile, "'/x.safe"),
    "a drive": (lambda f: spoil_index(f, lambda m: m.update(ids="C:x.safetensors")), UnsafeFile, "'C:x.safe"),
    "a share": (lambda f: spoil_index(f, lambda m: m.update(ids=r"\\host\x.safetensors")), UnsafeFile, "host"),
    "a name that is a number": (lambda f: spoil_index(f, lambda m: m.update(ids=3)), UnsafeFile, "'ids'"),
    "a pickle among them": (lambda f: spoil_index(f, lambda m: m.update(ids="x.bin")), UnsafeFile, "x.bin"),
    "an empty index": (lambda f: spoil_index(f, dict.clear), CorruptFile, "weight_map"),
    "a link to elsewhere": (link_out, UnsafeFile, "a link to"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_index_is_refused_by_name(sharded, name):
    spoil, kind, words = SPOILT[name]
    spoil(sharded)
    with pytest.raises(kind) as caught:
        Toy.from_pretrained(sharded)
    assert words in str(caught.value) and str(sharded) in str(caught.value)


NAMES = {
    "one file": (["m.safetensors", "config.json"], {}, "m.safetensors"),
    "an index before a file": (["m.safetensors", "m.safetensors.index.json"], {}, "m.safetensors.index.json"),
    "never a pickle beside safetensors": (["m.safetensors", "m.bin"], {}, "m.safetensors"),
    "a pickle on request": (["m.safetensors", "m.bin"], {"use_safetensors": False}, "m.bin"),
    "safetensors if no pickle is there": (["m.safetensors"], {"use_safetensors": False}, "m.safetensors"),
    "one variant": (["m.safetensors", "m.fp16.safetensors"], {"variant": "fp16"}, "m.fp16.safetensors"),
    "no variant unasked": (["m.safetensors", "m.fp16.safetensors"], {}, "m.safetensors"),
    "index of a variant": (["m.safetensors.index.fp16.json"], {"variant": "fp16"}, "m.safetensors.index.fp16.json"),
    "ema weights": (["m.safetensors", "m.non_ema.safetensors"], {"variant": "non_ema"}, "m.non_ema.safetensors"),
}


@pytest.mark.parametrize("name", NAMES)
def test_weight_files_are_chosen_by_name(name):
    names, asked, chosen = NAMES[name]
    assert choose(names, "m", **asked) == chosen


def test_the_pickle_of_a_text_encoder_has_its_own_name():
    assert choose(["pytorch_model.bin"], "model", use_safetensors=False) == "pytorch_model.bin"


def test_a_pickle_without_permission_says_how_to_allow_it():
    with pytest.raises(UnsafeFile, match=r"only the pickle m\.bin.*use_safetensors=False"):
        choose(["m.bin"], "m")
    with pytest.raises(MissingFile, match=r"m\.safetensors"):
        choose(["m.bin"], "m", use_safetensors=True)


def test_a_variant_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(MissingFile, match=r"expected m\.fp16\.safetensors, found m\.bf16\.safetensors"):
        choose(["m.bf16.safetensors", "config.json"], "m", "fp16")


@pytest.mark.parametrize("spelling", ["{s}.fp16-{i}.safetensors", "{s}-{i}.fp16.safetensors"])
def test_shards_of_a_variant_are_found_in_both_spellings(sharded, original, spelling):
    index = json.loads((sharded / INDEX).read_text())
    for path in list(sharded.glob("*-of-*")):
        new = spelling.format(s="diffusion_pytorch_model", i=path.stem.partition("-")[2])
        path.rename(sharded / new)
        index["weight_map"] = {k: new if v == path.name else v for k, v in index["weight_map"].items()}
    (sharded / INDEX).unlink()
    (sharded / "diffusion_pytorch_model.safetensors.index.fp16.json").write_text(json.dumps(index))
    assert same(Toy.from_pretrained(sharded, variant="fp16"), Toy.from_pretrained(original))


# ------------------------------------------------------------------ keywords


def test_keywords_of_the_constructor_change_the_config(folder):
    assert Toy.from_pretrained(folder, scale=2).config.scale == 2


def test_an_unknown_keyword_is_refused_with_the_nearest(original):
    with pytest.raises(UnknownArgument, match=r"'torch_dtpye'.*'torch_dtype'"):
        Toy.from_pretrained(original, torch_dtpye=torch.float16)


@pytest.mark.parametrize("asked", [{"trust_remote_code": True}, {"custom_pipeline": "x"}])
def test_code_of_a_repository_is_never_run(original, asked):
    with pytest.raises(InvalidArgument, match="never run"):
        Toy.from_pretrained(original, **asked)
    assert Toy.from_pretrained(original, **dict.fromkeys(asked)).config.width == 8


@pytest.mark.parametrize("dtype", [torch.int8, "float33", 16])
def test_a_type_that_is_no_float_is_refused(original, dtype):
    with pytest.raises(InvalidArgument, match="torch_dtype"):
        Toy.from_pretrained(original, torch_dtype=dtype)


def test_numbers_of_parameters_are_counted(original):
    network = Toy.from_pretrained(original)
    every = sum(parameter.numel() for parameter in network.parameters())
    network.first.requires_grad_(False)
    assert network.num_parameters() == every
    assert network.num_parameters(only_trainable=True) == every - 36
    assert network.num_parameters(exclude_embeddings=True) == every - 24
