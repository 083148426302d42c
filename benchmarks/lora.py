"""How long does a LoRA of 150 MB take from its file to being in use, and how long a choice among loaded ones?"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from tempfile import gettempdir
from time import perf_counter
from typing import Any

import torch

from benchmarks.load import warm
from benchmarks.question import LIBRARIES, Goal, Place, Question, fresh, library

LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
RANK = 178  # 150 MB in fp16, for the UNet of SD 1.5
TIMES = 20  # choices in a row


def loading(side: str, folder: str, file: str) -> float:
    """Seconds of ``load_lora_weights``, of a process's first LoRA."""
    pipe = pipeline(side, folder)
    warm(Path(file).parent)
    start = perf_counter()
    pipe.load_lora_weights(file, adapter_name="one")
    return perf_counter() - start


def choosing(side: str, folder: str, file: str) -> float:
    """Seconds of ``set_adapters``."""
    pipe = pipeline(side, folder)
    for name in ("one", "two"):
        pipe.load_lora_weights(file, adapter_name=name)
    start = perf_counter()
    for turn in range(TIMES):
        pipe.set_adapters(["one", "two"], [1.0, turn / TIMES])
    return (perf_counter() - start) / TIMES


def pipeline(side: str, folder: str) -> Any:
    if side == "peer":
        import_module("peft")  # the peer does so on the way, which is no part of the question
    found = library(side).StableDiffusionPipeline
    return found.from_pretrained(folder, torch_dtype=torch.bfloat16, safety_checker=None)


def lora(place: Place) -> Path:
    """A LoRA for the UNet of the place; made once and kept beside it."""
    from calotype import StableDiffusionPipeline, UNet2DConditionModel
    from calotype.adapters.lora_training import fresh_pairs

    folder = (place.tiny.parent if place.quick else Path(gettempdir()) / "calotype-benchmarks") / "lora"
    name = "pytorch_lora_weights.safetensors"
    if not (folder / name).exists():
        unet = UNet2DConditionModel.from_pretrained(place.folder, subfolder="unet", torch_dtype=torch.bfloat16)
        pairs = fresh_pairs(unet, LAYERS, 2 if place.quick else RANK)
        StableDiffusionPipeline.save_lora_weights(folder, pairs.half())
    return folder / name


def questions(place: Place) -> Iterator[Question]:
    file = str(lora(place))
    sides = {side: fresh(loading, side, str(place.folder), file) for side in LIBRARIES}
    yield Question("load a LoRA of 150 MB into SD 1.5", "s", sides, Goal(0.33))
    sides = {side: fresh(choosing, side, str(place.folder), file) for side in LIBRARIES}
    yield Question("choose two LoRAs and their weights", "s", sides, Goal(0, 0.005))
