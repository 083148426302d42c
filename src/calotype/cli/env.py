"""``calotype env``: what a bug report needs."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

import click

from calotype import __version__
from calotype.cli.said import as_json_option, say_json, say_table

LIBRARIES = ("torch", "numpy", "pillow", "tokenizers", "huggingface_hub", "tqdm", "click")
# what changes what is loaded or how it runs; never the value of one that could hold a secret
SETTINGS = ("HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_TOKEN", "CALOTYPE_CACHE", "OMP_NUM_THREADS")
SHOWN = ("HF_HUB_OFFLINE", "OMP_NUM_THREADS")


@click.command()
@as_json_option
def env(as_json: bool) -> None:
    """Say what a bug report needs: versions, processor, accelerators, settings. No names, no paths, no secrets."""
    facts = environment()
    if as_json:
        say_json(facts)
    else:
        say_table((name, "none" if value is None else value) for name, value in facts.items())


def environment() -> dict[str, Any]:
    """The facts about this machine and what is installed."""
    import torch

    accelerators = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        accelerators.append("Apple GPU")
    return {
        "calotype": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory": _memory(),
        "accelerators": ", ".join(accelerators) or None,
        "CUDA": torch.version.cuda,
        **{name: _version(name) for name in LIBRARIES},
        **{name: os.environ[name] if name in SHOWN else "set" for name in SETTINGS if name in os.environ},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _memory() -> str | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB"
