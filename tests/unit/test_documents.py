from __future__ import annotations

import json
import os
import time

import pytest

from calotype.core.documents import MAX_DEPTH, parse_json, read_json, to_json
from calotype.core.errors import CorruptFile, MissingFile
from tests.malformed import JSON, Row


@pytest.mark.parametrize("row", JSON, ids=lambda row: row.name)
def test_malformed_json_is_refused_with_its_path(row: Row, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(row.data)
    with pytest.raises(CorruptFile) as caught:
        read_json(path)
    for word in (str(path), *row.words):
        assert word in str(caught.value)


def test_what_python_would_read_is_read_alike():
    document = {"a": [1, 2.5, -3e-4, None, True, "é\n\\"], "b": {"c": {}}, "empty": ""}
    assert parse_json(json.dumps(document).encode(), "x") == document
    assert parse_json(to_json(document).encode(), "x") == document


def test_depth_up_to_the_limit_is_read():
    deep = json.loads('{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH)
    assert parse_json(json.dumps(deep).encode(), "x") == deep


def test_the_name_given_for_a_file_stands_in_the_error(tmp_path):
    (tmp_path / "blob").write_bytes(b"[]")
    with pytest.raises(CorruptFile, match=r"vae/config\.json"):
        read_json(tmp_path / "blob", "vae/config.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFile, match=r"nothing\.json"):
        read_json(tmp_path / "nothing.json")


def test_folders_and_pipes_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    begin = time.monotonic()
    for path, found in ((tmp_path, "a folder"), (tmp_path / "pipe", "a pipe"), ("/dev/zero", "a device")):
        with pytest.raises(CorruptFile, match=found):
            read_json(path)
    assert time.monotonic() - begin < 1


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    path.write_text("{}")

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", refuse)  # root, who runs some tests, may read everything
    with pytest.raises(CorruptFile, match="permission"):
        read_json(path)


def test_documents_are_written_sorted_and_end_in_a_newline():
    assert to_json({"b": [1], "a": None}) == '{\n  "a": null,\n  "b": [\n    1\n  ]\n}\n'
    with pytest.raises(ValueError):
        to_json({"a": float("nan")})


def test_infinity_is_written_and_read_as_the_ecosystem_does(tmp_path):
    (tmp_path / "config.json").write_text(to_json({"a": float("-inf")}))
    assert read_json(tmp_path / "config.json") == {"a": float("-inf")}
