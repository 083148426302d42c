"""What two folders of a pipeline have in common: indices, configs and weights, whoever wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from calotype.core.names import ALIASES, LIBRARIES, MODULES, public

# and what the peer passes over, and does not write again: decision 0013
VERSIONS = {"_diffusers_version", "_calotype_version", "transformers_version", "_name_or_path", "_usual_arguments"}
CONFIGS = ("config.json", "scheduler_config.json", "preprocessor_config.json")


def index(folder: Path) -> dict[str, Any]:
    """The index of a pipeline, classes under the name that they have here."""
    told = json.loads((folder / "model_index.json").read_text())
    for value in told.values():
        if isinstance(value, list):
            value[1] = ALIASES.get(value[1], value[1])
    return {name: value for name, value in told.items() if name not in VERSIONS}


def configs(folder: Path) -> dict[str, Any]:
    """The configs of all components, but for what says which version wrote them."""
    found = (path for path in folder.rglob("*.json") if path.name in CONFIGS)
    told = {str(path.relative_to(folder)): json.loads(path.read_text()) for path in found}
    return {name: {key: value for key, value in one.items() if key not in VERSIONS} for name, one in told.items()}


def differing_configs(first: Path, second: Path) -> list[str]:
    """What the configs of two folders do not agree upon; another library than the peer says more than it is told."""
    one, other = configs(first), configs(second)
    foreign = {name for name, value in index(first).items() if isinstance(value, list) and value[1] in LIBRARIES}
    found = sorted(one.keys() ^ other.keys())
    for name in one.keys() & other.keys():
        same = Path(name).parts[0] in foreign or one[name] == other[name]
        found += contradictions(one[name], other[name], name) if same else [name]
    return found


def contradictions(first: Any, second: Any, place: str) -> list[str]:
    """Where two configs do not say the same; what one leaves open, the other may say."""
    if isinstance(first, dict) and isinstance(second, dict):
        both = first.keys() & second.keys()
        return [line for key in both for line in contradictions(first[key], second[key], f"{place} {key}")]
    return [] if first is None or second is None or first == second else [f"{place}: {first!r} and {second!r}"]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of every component, in however many files, under the present one of its names."""
    kinds = {name: value[1] for name, value in index(folder).items() if isinstance(value, list)}
    spelt = {
        name: public(kind).old_keys
        for name, kind in kinds.items()
        if kind in MODULES and hasattr(public(kind), "old_keys")
    }
    found: dict[str, torch.Tensor] = {}
    for path in folder.rglob("*"):
        if path.suffix in (".safetensors", ".bin"):
            tensors = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
            name = spelt.get(path.parent.name, str)
            found |= {f"{path.parent.name} {name(key)}": tensor for key, tensor in tensors.items()}
    return found


def differing_weights(first: Path, second: Path) -> list[str]:
    one, other = weights(first), weights(second)
    both = (key for key in one.keys() & other.keys() if not torch.equal(one[key], other[key]))
    return [*sorted(one.keys() ^ other.keys()), *both]


def heard(folder: Path, name: str) -> list[str]:
    return json.loads((folder / f"{name}.json").read_text())


def made(folder: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(folder / f"{name}.npz") as file:
        return dict(file)


def differing_results(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> list[str]:
    """What was made by one, and not by the other within a ten-thousandth."""
    both = (
        name
        for name in first.keys() & second.keys()
        if not np.allclose(first[name], second[name], rtol=1e-6, atol=1e-4)
    )
    return [*sorted(first.keys() ^ second.keys()), *both]
