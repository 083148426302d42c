"""A component by what its files say it is."""

from __future__ import annotations

import os
from typing import Any

from calotype.core.documents import read_json
from calotype.core.errors import CorruptFile, MissingFile, NotOffered
from calotype.core.files import locate
from calotype.core.names import component_class

CONFIGS = ("config.json", "scheduler_config.json")


class AutoModel:
    """Made by ``from_pretrained`` alone, which makes the class that wrote the files."""

    def __init__(self) -> None:
        raise NotOffered("AutoModel()", "AutoModel.from_pretrained(name)", "a constructor's call")

    @classmethod
    def from_pretrained(cls, pretrained_model_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """The network or scheduler in a folder or a Hub repository; keywords are those of its own class."""
        source, _ = locate(pretrained_model_or_path, kwargs)
        name = next((name for name in CONFIGS if source.has(name)), None)
        if name is None:
            raise MissingFile(source.where(""), " or ".join(CONFIGS), "neither")
        config, where = read_json(source.file(name), source.where(name)), source.where(name)
        written = config.get("_class_name") or (config.get("architectures") or [None])[0]
        if written is None:
            raise CorruptFile(where, "the name of a class", "none")
        return component_class("diffusers", written, where).from_pretrained(pretrained_model_or_path, **kwargs)
