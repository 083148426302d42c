"""Finished models go onto the shelf, and weights that two of them have lie there once."""

from __future__ import annotations

import json

import pytest

from training.shipping import ship


@pytest.fixture
def finished(tmp_path):
    def made(name, **parts):
        for part, weights in parts.items():
            folder = tmp_path / "out" / f"pocket-{name}" / part
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "config.json").write_text("{}")
            (folder / "model.safetensors").write_text(weights)
        (tmp_path / "out" / f"pocket-{name}" / "README.md").write_text(f"# pocket-{name}")

    (tmp_path / "shelf").mkdir()
    made("clip", text="a", image="b")
    made("eye", image="b", own="c")
    return made


def shipped(tmp_path, *names):
    ship([f"pocket-{name}" for name in names], tmp_path / "out", tmp_path / "shelf")
    return sorted(file.relative_to(tmp_path / "shelf").as_posix() for file in (tmp_path / "shelf").rglob("*.*"))


def test_a_part_that_an_earlier_model_has_is_only_named(tmp_path, finished):
    files = shipped(tmp_path, "eye", "clip")
    assert [file for file in files if "pocket-eye" in file] == [
        "pocket-eye/README.md",
        "pocket-eye/own/config.json",
        "pocket-eye/own/model.safetensors",
        "pocket-eye/shared.json",
    ]
    table = json.loads((tmp_path / "shelf/pocket-eye/shared.json").read_text())
    assert table == {"image": "pocket-clip/image"}
    assert shipped(tmp_path, "eye") == files


def test_a_part_that_differs_in_anything_is_copied(tmp_path, finished):
    finished("eye", image="other")
    assert "pocket-eye/image/model.safetensors" in shipped(tmp_path, "clip", "eye")
    assert not (tmp_path / "shelf/pocket-eye/shared.json").exists()


def test_what_others_share_is_not_changed_under_them(tmp_path, finished):
    before = shipped(tmp_path, "clip", "eye")
    finished("clip", image="new")
    with pytest.raises(SystemExit, match="pocket-eye"):
        shipped(tmp_path, "clip")
    assert (tmp_path / "shelf/pocket-clip/image/model.safetensors").read_text() == "b"
    assert {*shipped(tmp_path, "clip", "eye")} > {*before} - {"pocket-eye/shared.json"}


def test_a_model_without_a_card_is_not_shipped(tmp_path, finished):
    with pytest.raises(SystemExit, match="card"):
        shipped(tmp_path, "moon")
