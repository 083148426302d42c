"""Scripts as users write them, all run in one process, and what each leaves behind: its values by name, or its error."""

from __future__ import annotations

import os
import runpy
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

RAISED = "raised"  # the name under which an error's class and the classes above it are written


def run_all(home: str, results: str, *scripts: str) -> None:
    """Run each script in a namespace of its own, and write what it made into the folder of results."""
    os.chdir(home)
    warnings.simplefilter("ignore")
    for script in scripts:
        torch.manual_seed(0)
        try:
            made = dict(values(runpy.run_path(script, run_name="__main__")))
        except Exception as error:
            made = {RAISED: np.array([kind.__name__ for kind in type(error).__mro__]), "message": np.array(str(error))}
        np.savez(Path(results) / Path(script).stem, **made)


def values(named: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Numbers, words, arrays and pictures among these, and within their lists and dicts, as arrays."""
    for name, value in named.items():
        place = f"{above}{name}"
        if name.startswith("_"):
            continue
        if isinstance(value, (list, tuple)):
            yield place, np.array(len(value))
            yield from values({str(number): each for number, each in enumerate(value)}, f"{place}.")
        elif type(value) is dict:  # outputs and configs are read by what the script takes from them
            yield from values(value, f"{place}.")
        elif isinstance(value, torch.Tensor):
            yield place, value.detach().float().numpy()
        elif isinstance(value, (bool, int, float, str, np.ndarray, Image.Image)):
            yield place, np.asarray(value)


def make_checkpoints(home: Path) -> None:
    """All that the scripts load, tiny, under ``tiny/``."""
    import calotype
    from tests import ip_adapters, loras, tiny

    folder = home / "tiny"
    pipe = tiny.tiny_stable_diffusion(calotype.StableDiffusionPipeline)
    pipe.save_pretrained(folder / "stable-diffusion")
    tiny.tiny_stable_diffusion_xl(calotype.StableDiffusionXLPipeline).save_pretrained(folder / "stable-diffusion-xl")
    tiny.tiny_controlnet().save_pretrained(folder / "controlnet")
    for name in ("loras", "words", "ip-adapter/models"):
        (folder / name).mkdir(parents=True)
    networks = {"unet": pipe.unet, "text_encoder": pipe.text_encoder}
    for seed, name in enumerate(("style", "toy")):
        pairs = loras.pairs(networks, loras.ATTENTION, seed=seed)
        save_file(loras.spelled(pairs, loras.peft), folder / "loras" / f"{name}.safetensors")
    save_file({"<toy>": torch.linspace(-1, 1, 32)}, folder / "words" / "toy.safetensors")
    adapter = ip_adapters.flat(ip_adapters.adapter(pipe.unet, "base"))
    save_file(adapter, folder / "ip-adapter" / "models" / "ip-adapter.safetensors")
    tiny.tiny_image_encoder().save_pretrained(folder / "ip-adapter" / "models" / "image_encoder")
    inputs = tiny.tiny_inputs("Inpaint")
    inputs["image"].save(folder / "photo.png")
    inputs["mask_image"].save(folder / "mask.png")
