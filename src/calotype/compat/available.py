"""Which libraries are installed, as scripts ask: ``is_torch_available()`` and its like."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from calotype.core.errors import InvalidArgument, MissingDependency

# what a question calls a library, and the module that is looked for; ours, where nothing is needed any more
LIBRARIES = {
    "accelerate": "accelerate",
    "av": "av",
    "bitsandbytes": "bitsandbytes",
    "compel": "compel",
    "flax": "flax",
    "ftfy": "ftfy",
    "gguf": "gguf",
    "imageio": "imageio",
    "inflect": "inflect",
    "invisible_watermark": "imwatermark",
    "k_diffusion": "k_diffusion",
    "librosa": "librosa",
    "matplotlib": "matplotlib",
    "note_seq": "note_seq",
    "onnx": "onnxruntime",
    "opencv": "cv2",
    "optimum_quanto": "optimum.quanto",
    "peft": "peft",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "sentencepiece": "sentencepiece",
    "tensorboard": "tensorboard",
    "timm": "timm",
    "torch": "torch",
    "torch_npu": "torch_npu",
    "torch_xla": "torch_xla",
    "torchao": "torchao",
    "torchsde": "torchsde",
    "torchvision": "torchvision",
    "transformers": "transformers",
    "unidecode": "unidecode",
    "wandb": "wandb",
    "xformers": "xformers",
}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<=": operator.le, "<": operator.lt,
}  # fmt: skip

OptionalDependencyNotAvailable = MissingDependency


def is_installed(module: str) -> bool:
    """Whether this module could be imported."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # its parent is not there; it stands in sys.modules without a description
        return False


def is_version(library: str, operation: str, wanted: str) -> bool:
    """Whether a library is installed in a version that compares so."""
    if operation not in COMPARISONS:
        raise InvalidArgument("operation", f"one of {', '.join(COMPARISONS)}", repr(operation))
    try:
        return COMPARISONS[operation](_numbers(version(library)), _numbers(wanted))
    except PackageNotFoundError:
        return False


def require_version(requirement: str, hint: str | None = None) -> None:
    """Refuse to go on where the library that is named, whatever the version, is not installed."""
    library = requirement
    for mark in " <>=!~[":
        library = library.partition(mark)[0]
    try:
        version(library)
    except PackageNotFoundError:
        raise MissingDependency(library, requirement, "none", hint or f"pip install {library}") from None


def _numbers(told: str) -> tuple[int, ...]:
    """The leading numbers of a version: 2.13.0+cpu is (2, 13, 0)."""
    parts = told.partition("+")[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit())


def __getattr__(name: str) -> Any:
    library, _, question = name.removeprefix("is_").rpartition("_")
    if name.startswith("is_") and question == "available" and library in LIBRARIES:
        return partial(is_installed, LIBRARIES[library])
    if name.startswith("is_") and question == "version" and library in LIBRARIES:
        return partial(is_version, library)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
