"""The recipe of a picture: all that is needed to make it again, and nothing about who made it or where."""

from __future__ import annotations

import hashlib
import inspect
import os
import platform
import re
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calotype import __version__
from calotype.cli.asked import Wanted
from calotype.cli.needed import files_in
from calotype.cli.request import Request
from calotype.core.digests import known_sha256
from calotype.core.files import HubOptions, open_source
from calotype.core.links import names_a_file

if TYPE_CHECKING:
    from PIL import Image

FORMAT = 1

# Said at the top of a recipe, or said of the call and not of the picture.
ELSEWHERE = frozenset(
    ("prompt", "negative_prompt", "generator", "output_type", "return_dict", "callback_on_step_end_tensor_inputs")
)


def common_facts(pipe: Any, request: Request, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the recipes of all pictures of one run say."""
    import torch

    scheduler = pipe.scheduler
    # JSON has no infinities; a scheduler takes them by default alone
    walked = {k: v for k, v in scheduler.config.items() if not k.startswith("_") and v not in (inf, -inf)}
    given = {name: parameter.default for name, parameter in inspect.signature(type(pipe).__call__).parameters.items()}
    return {
        "recipe": FORMAT,
        "pipeline": type(pipe).__name__,
        **_model_facts(pipe, request),
        "negative_prompt": arguments.get("negative_prompt"),
        "arguments": {
            name: _said(value)
            for name, value in {**given, **pipe.usual_arguments, **arguments}.items()
            if name not in ELSEWHERE and _said(value) is not None
        },
        "scheduler": {"class": type(scheduler).__name__, "config": _said(walked)},
        "dtype": str(pipe.dtype).removeprefix("torch."),
        "device": pipe.device.type,
        "versions": {"calotype": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def recipe(
    common: Mapping[str, Any], picture: Wanted, size: tuple[int, int], place: tuple[int, int] = (1, 1)
) -> dict[str, Any]:
    """The recipe of one picture; its place in its batch is part of it, as the last bits may depend on that."""
    batch = {"batch": [*place]} if place[1] > 1 else {}
    return {**common, "prompt": picture.prompt, "seed": picture.seed, "size": [*size], **batch}


def film_recipe(common: Mapping[str, Any], prompt: str, seed: int) -> dict[str, Any]:
    """The recipe of a film; where a timeline is among its arguments, the prompt is how that begins."""
    told = common["arguments"]
    return {**common, "prompt": prompt, "seed": seed, "size": [told["width"], told["height"]]}


def _model_facts(pipe: Any, request: Request) -> dict[str, Any]:
    """The name of a model, a folder's or a file's without the path or a repository's with its commit; its weights."""
    if names_a_file(request.model):
        path = Path(pipe.name_or_path)
        name = re.sub(r"[^A-Za-z0-9_.-]", "-", path.name).lstrip("._-")[:90] or "file"
        return {"model": name, "files": {name: known_sha256(path)}}
    source = open_source(request.model, HubOptions(revision=request.revision, local_files_only=True))
    weights = {
        f"{part}/{name}": home.file(name)
        for part, network in pipe.networks.items()
        for home in [pipe.home_of(source, part)]
        for name in files_in(home, type(network), request.variant)
        if not name.endswith(".json")
    }
    facts: dict[str, Any] = {"model": request.model}
    if source.repository:
        facts["revision"] = source.repository.commit
    elif os.path.isdir(request.model):
        facts["model"] = Path(request.model).resolve().name
    if request.variant:
        facts["variant"] = request.variant
    return {**facts, "files": {name: known_sha256(path) for name, path in weights.items()}}


def _said(value: Any) -> Any:
    """A value as JSON says it; a picture as its size and the digest of its pixels, a callable or a class not at all."""
    if _is_picture(value):
        return picture_said(value)
    if isinstance(value, list) and value and all(map(_is_picture, value)):
        return film_said(value)
    if isinstance(value, Mapping):
        return {str(key): _said(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_said(item) for item in value]
    return value if isinstance(value, (str, int, float, bool)) else None


def _is_picture(value: Any) -> bool:
    return hasattr(value, "tobytes") and hasattr(value, "mode")


def picture_said(picture: Image.Image) -> dict[str, Any]:
    """A picture's size, and the digest of its pixels."""
    digest = hashlib.sha256(picture.tobytes()).hexdigest()
    return {"mode": picture.mode, "size": [*picture.size], "sha256": digest}


def film_said(frames: Sequence[Image.Image]) -> dict[str, Any]:
    """The same of the frames of a film."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(frame.tobytes())
    size = [*frames[0].size]
    return {"mode": frames[0].mode, "size": size, "frames": len(frames), "sha256": digest.hexdigest()}
