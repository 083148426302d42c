"""Pocket models go by bare names, and by nothing that could be meant as a path."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

import calotype
from calotype.core.digests import sha256_of
from calotype.core.errors import MissingFile
from calotype.core.pocket import SHARED, SHELF, pocket_folder, pocket_names, shared_parts
from calotype.models.helios_transformer import HeliosTransformer3DModel

MOST = 25e6  # bytes in the wheel, which is compressed


def test_every_pocket_model_is_a_folder_with_a_card_that_tells_what_was_measured():
    assert pocket_names() == [
        "pocket-clip",
        "pocket-controlnet-edges",
        "pocket-helios",
        "pocket-helios-distilled",
        "pocket-inversion-moon",
        "pocket-ip-adapter",
        "pocket-kandinsky",
        "pocket-kandinsky-prior",
        "pocket-lora-opposites",
        "pocket-sd",
    ]
    for name in pocket_names():
        card = (SHELF / name / "README.md").read_text()
        assert f"# {name}" in card and "| measured | |" in card


def test_together_they_are_small_and_whole_files():
    files = [file for file in SHELF.rglob("*") if file.is_file() and file.suffix != ".py"]
    assert sum(len(zlib.compress(file.read_bytes())) for file in files) < MOST
    assert {file.suffix for file in files} <= {".json", ".safetensors", ".md", ".txt"}


def test_weights_are_in_half_precision_but_for_those_that_never_are():
    for file in SHELF.rglob("*.safetensors"):
        with open(file, "rb") as opened:
            header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        for key in header.keys() - {"__metadata__"}:
            whole = {*HeliosTransformer3DModel._keep_in_fp32_modules} & {*key.split(".")}
            assert header[key]["dtype"] in {"F16", "I64", *(["F32"] if whole else [])}, (file, key)


def test_weights_that_several_have_are_there_once():
    digests = [sha256_of(file) for file in SHELF.rglob("*.safetensors")]
    assert len(digests) == len({*digests})
    tables = [*SHELF.rglob(SHARED)]
    assert tables and all(table.parent.name in pocket_names() for table in tables)
    for table in tables:
        for part, (name, there) in shared_parts(table.parent).items():
            assert not (table.parent / part).exists() and (SHELF / name / there / "config.json").is_file()


def test_a_shared_part_is_loaded_and_saved_as_if_it_lay_there(tmp_path):
    told = {"subfolder": "image_encoder", "torch_dtype": "auto"}
    shared = calotype.CLIPVisionModelWithProjection.from_pretrained("pocket-ip-adapter", **told)
    shared.save_pretrained(tmp_path)
    home = SHELF / "pocket-clip" / "image_encoder" / "model.safetensors"
    assert sha256_of(tmp_path / "model.safetensors") == sha256_of(home)


def test_only_what_lies_on_the_shelf_may_point_elsewhere(tmp_path):
    (tmp_path / "pocket-mine").mkdir()
    (tmp_path / "pocket-mine" / SHARED).write_text('{"unet": "pocket-sd/unet"}')
    with pytest.raises(MissingFile, match=r"pocket-mine/unet/config\.json"):
        calotype.UNet2DConditionModel.from_pretrained(tmp_path / "pocket-mine", subfolder="unet")


def test_a_name_means_what_ships_whatever_lies_in_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "pocket-sd").mkdir()
    monkeypatch.chdir(tmp_path)
    assert calotype.UNet2DConditionModel.from_pretrained("pocket-sd", subfolder="unet").config.sample_size == 16
    for path in ("./pocket-sd", tmp_path / "pocket-sd", Path("pocket-sd")):
        with pytest.raises(OSError):
            calotype.UNet2DConditionModel.from_pretrained(path, subfolder="unet")


@pytest.mark.parametrize("name", ["pocket-sd/", "pocket-sd/unet", "../pocket/pocket-sd", "pocket", "__init__.py", ""])
def test_other_spellings_are_no_names(name):
    assert pocket_folder(name) is None
