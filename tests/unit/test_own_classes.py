"""Components of a user's own class come back by the folder alone, and a file can name nothing that the user does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import calotype
from calotype.core.config import register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.own_classes import own_class


class Net(calotype.ModelMixin):
    @register_to_config
    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.body = nn.Linear(width, width)


class Palette:
    """What is no network, and writes its folder itself."""

    def __init__(self, colours: list[str]) -> None:
        self.colours = colours

    def save_pretrained(self, folder: str) -> None:
        (Path(folder) / "palette.json").write_text(json.dumps(self.colours))

    @classmethod
    def from_pretrained(cls, folder: str) -> Palette:
        return cls(json.loads((Path(folder) / "palette.json").read_text()))


class Own(calotype.DiffusionPipeline):
    def __init__(self, net: Net | None, palette: Any, again: Unknown = None) -> None:  # noqa: F821 # pyright: ignore
        self.register_modules(net=net, palette=palette, again=again)


class Told(calotype.DiffusionPipeline):
    def __init__(self, net: Net | None) -> None:
        self.register_modules(net=net)


def test_parts_come_back_as_what_they_were(tmp_path):
    Own(Net(3), Palette(["red"])).save_pretrained(tmp_path)
    pipe = Own.from_pretrained(tmp_path, torch_dtype=torch.float64)
    assert type(pipe.net) is Net and pipe.net.config.width == 3 and pipe.net.dtype == torch.float64
    assert type(pipe.palette) is Palette and pipe.palette.colours == ["red"]


def test_an_annotation_tells_the_class_where_the_module_does_not(tmp_path, monkeypatch):
    Told(Net()).save_pretrained(tmp_path)
    monkeypatch.setattr(Told, "__module__", "nowhere")
    assert type(Told.from_pretrained(tmp_path).net) is Net


@pytest.mark.parametrize("entry", [["os", "Net"], ["subprocess", "Popen"], ["pathlib", "Path"], ["tests", "nn"]])
def test_a_file_cannot_name_another_class(tmp_path, entry):
    Told(Net()).save_pretrained(tmp_path)
    index = tmp_path / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"net": entry}))
    with pytest.raises(InvalidArgument, match=entry[1]):
        Told.from_pretrained(tmp_path)


def test_pipelines_of_ours_know_no_other_classes():
    assert own_class(calotype.StableDiffusionPipeline, "unet", "calotype", "VaeImageProcessor") is None
    assert own_class(calotype.StableDiffusionPipeline, "unet", "tests", "Net") is None
