"""One pair of hands for both libraries: what lies in a folder is loaded, tried, and saved into another one."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from tests.compat.disk_cases import CASES, SCHEDULERS, told_to_peers

Ready = Callable[[Any], Any]
TEXT = " a Hello red cat,  猫!"
# the peer's, at every such load: of what is not installed, of a default that it mends, of nothing, of rows written next
HARMLESS = (
    "requires torchvision",
    "is not supported for `lower_order_final=False`",
    "should be kept in float32: []",
    "new embeddings will be initialized",
)
LOGS = [logging.getLogger(name) for name in ("calotype", "diffusers", "transformers")]


class Heard(logging.Handler):
    """What libraries warn of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not any(words in record.getMessage() for words in HARMLESS):
            self.lines.append(f"{record.name}: {record.getMessage()}")


@contextmanager
def listening() -> Iterator[list[str]]:
    """What is warned of within, whichever library warns."""
    heard, levels = Heard(), [log.level for log in LOGS]
    for log in LOGS:
        log.addHandler(heard)
        log.setLevel(logging.WARNING)
    try:
        yield heard.lines
    finally:
        for log, level in zip(LOGS, levels, strict=True):
            log.removeHandler(heard)
            log.setLevel(level)


def arrays(output: Any) -> dict[str, np.ndarray]:
    """What a call returned, by name."""
    told = {name: value for name, value in output.items() if value is not None}
    return {name: np.asarray(value.detach() if hasattr(value, "detach") else value) for name, value in told.items()}


def tried(pipe: Any, told: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What the pipeline makes of what it is told, and its tokenizers of a text."""
    pipe.set_progress_bar_config(disable=True)
    made = arrays(pipe(**told, generator=torch.Generator().manual_seed(0)))
    texts = {"padding": "max_length", "max_length": 40, "truncation": True}
    read = {
        name: part(TEXT, **texts).input_ids for name, part in pipe.components.items() if part and "tokenizer" in name
    }
    return made | {name: np.asarray(ids) for name, ids in read.items()}


def leave(folder: Path, name: str, made: Mapping[str, np.ndarray], heard: list[str]) -> None:
    """Write what was made and what was heard beside the folder of this name."""
    np.savez(folder / f"{name}.npz", **made)
    (folder / f"{name}.json").write_text(json.dumps(heard))


def as_it_is(pipe: Any) -> Any:
    return pipe


def pass_on(library: ModuleType, found: Path, left: Path, ready: Ready = as_it_is) -> None:
    """Load, save and try each case that is found."""
    for name, case in CASES.items():
        with listening() as heard:
            pipe = getattr(library, case.kind).from_pretrained(str(found / name), **case.loaded)
        pipe.save_pretrained(str(left / name), **case.saved)
        told = told_to_peers(case) if found.name == "peers" else case.told
        leave(left, name, tried(ready(pipe), told), heard)


def keep_times(library: ModuleType, left: Path, found: Path | None = None) -> None:
    """Save every scheduler, new or as it is found, and the timesteps that it walks."""
    for name in SCHEDULERS:
        kind = getattr(library, name)
        with listening() as heard:
            scheduler = kind.from_pretrained(str(found / name)) if found else kind(num_train_timesteps=900)
        scheduler.save_pretrained(str(left / name))
        if not name.startswith("Helios"):  # those walk in stages
            scheduler.set_timesteps(4)
        leave(left, name, {"timesteps": np.asarray(scheduler.timesteps)}, heard)
