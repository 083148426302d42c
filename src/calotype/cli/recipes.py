"""The recipe of a picture: all that is needed to make it again, and nothing about who made it or where."""

from __future__ import annotations

import hashlib
import inspect
import os
import platform
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calotype import __version__
from calotype.cli.asked import Wanted

if TYPE_CHECKING:
    from PIL import Image

FORMAT = 1

# Said at the top of a recipe, or said of the call and not of the picture.
_ELSEWHERE = frozenset(
    ("prompt", "negative_prompt", "generator", "output_type", "return_dict", "callback_on_step_end_tensor_inputs")
)


def common_facts(pipe: Any, model: str, revision: str | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the recipes of all pictures of one run say."""
    import torch

    scheduler = pipe.scheduler
    # JSON has no infinities; a scheduler takes them by default alone
    walked = {k: v for k, v in scheduler.config.items() if not k.startswith("_") and v not in (inf, -inf)}
    given = {name: parameter.default for name, parameter in inspect.signature(type(pipe).__call__).parameters.items()}
    return {
        "recipe": FORMAT,
        "pipeline": type(pipe).__name__,
        **_model_facts(model, revision),
        "negative_prompt": arguments.get("negative_prompt"),
        "arguments": {
            name: _said(value)
            for name, value in {**given, **arguments}.items()
            if name not in _ELSEWHERE and _said(value) is not None
        },
        "scheduler": {"class": type(scheduler).__name__, "config": _said(walked)},
        "dtype": str(pipe.dtype).removeprefix("torch."),
        "device": pipe.device.type,
        "versions": {"calotype": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def recipe(common: Mapping[str, Any], picture: Wanted, size: tuple[int, int]) -> dict[str, Any]:
    """The recipe of one picture."""
    return {**common, "prompt": picture.prompt, "seed": picture.seed, "size": [*size]}


def _model_facts(model: str, revision: str | None) -> dict[str, Any]:
    """The name of a model: a folder's own, without the path to it, or a repository's, with its commit."""
    if os.path.isdir(model):
        return {"model": Path(model).resolve().name}
    from calotype.core.files import HubOptions, open_source

    repository = open_source(model, HubOptions(revision=revision, local_files_only=True)).repository
    return {"model": model, "revision": repository.commit if repository else None}


def _said(value: Any) -> Any:
    """A value as JSON says it; a picture as its size and the digest of its pixels, a callable or a class not at all."""
    if hasattr(value, "tobytes") and hasattr(value, "mode"):
        return _picture_said(value)
    if isinstance(value, Mapping):
        return {str(key): _said(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_said(item) for item in value]
    return value if isinstance(value, (str, int, float, bool)) else None


def _picture_said(picture: Image.Image) -> dict[str, Any]:
    digest = hashlib.sha256(picture.tobytes()).hexdigest()
    return {"mode": picture.mode, "size": [*picture.size], "sha256": digest}
