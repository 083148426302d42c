"""What PEFT's configs say of a LoRA's alphas; diffusers keeps them in the header of the file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from calotype.core.documents import parse_json
from calotype.core.errors import CorruptFile
from calotype.core.tensors import SafetensorsFile

METADATA = "lora_adapter_metadata"


def configs_of(file: Any) -> Mapping[str, Any]:
    """The configs in a file's header, by "<network>.<name>"."""
    text = file.header.metadata.get(METADATA) if isinstance(file, SafetensorsFile) else None
    if text is None:
        return {}
    where = f"{file.path}: {METADATA}"
    configs = parse_json(text.encode(), where)
    for name, told in configs.items():
        if name.endswith(".lora_alpha") and not _is_number(told):
            raise CorruptFile(f"{where}: {name}", "a number", repr(told)[:60])
        if name.endswith(".alpha_pattern") and not _are_alphas(told):
            raise CorruptFile(f"{where}: {name}", "numbers by the names of layers", repr(told)[:60])
    return configs


def configured_alpha(configs: Mapping[str, Any], component: str, layer: str, rank: int) -> float | None:
    """The alpha of a layer by its network's config, where there is one."""
    own: Mapping[str, float] = configs.get(f"{component}.alpha_pattern") or {}
    named = (alpha for name, alpha in own.items() if f".{layer}".endswith(f".{name}"))
    alpha = next(named, configs.get(f"{component}.lora_alpha"))
    if alpha is None:
        return None
    return alpha * math.sqrt(rank) if configs.get(f"{component}.use_rslora") else float(alpha)


def _is_number(told: Any) -> bool:
    return isinstance(told, (int, float)) and not isinstance(told, bool) and math.isfinite(told)


def _are_alphas(told: Any) -> bool:
    if not isinstance(told, dict):
        return told is None
    return all(re.fullmatch(r"[\w.]+", str(name)) and _is_number(alpha) for name, alpha in told.items())
