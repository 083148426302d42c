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
    from tests import tiny

    folder = home / "tiny"
    pipe = tiny.tiny_stable_diffusion(calotype.StableDiffusionPipeline)
    pipe.save_pretrained(folder / "stable-diffusion")
    pipe.save_single_file(folder / "single-file.safetensors")
    checked = {
        "safety_checker": tiny.tiny_safety_checker(),
        "feature_extractor": calotype.CLIPImageProcessor(size=30, crop_size=30),
    }
    tiny.tiny_stable_diffusion(calotype.StableDiffusionPipeline, **checked).save_pretrained(folder / "checked")
    tiny.tiny_stable_diffusion_xl(calotype.StableDiffusionXLPipeline).save_pretrained(folder / "stable-diffusion-xl")
    refiner = tiny.tiny_stable_diffusion_xl(calotype.StableDiffusionXLImg2ImgPipeline, refiner=True)
    refiner.save_pretrained(folder / "stable-diffusion-xl-refiner")
    tiny.tiny_controlnet().save_pretrained(folder / "controlnet")
    make_adapters(folder, {"unet": pipe.unet, "text_encoder": pipe.text_encoder})
    make_kandinskys(folder)
    inputs = tiny.tiny_inputs("Inpaint")
    inputs["image"].save(folder / "photo.png")
    inputs["mask_image"].save(folder / "mask.png")


def make_adapters(folder: Path, networks: Mapping[str, Any]) -> None:
    """LoRAs, a word and an IP-Adapter."""
    from tests import ip_adapters, loras, tiny

    for name in ("loras", "words", "ip-adapter/models"):
        (folder / name).mkdir(parents=True)
    for seed, name in enumerate(("style", "toy")):
        pairs = loras.pairs(networks, loras.ATTENTION, seed=seed)
        save_file(loras.spelled(pairs, loras.peft), folder / "loras" / f"{name}.safetensors")
    save_file({"<toy>": torch.linspace(-1, 1, 32)}, folder / "words" / "toy.safetensors")
    adapter = ip_adapters.flat(ip_adapters.adapter(networks["unet"], "base"))
    save_file(adapter, folder / "ip-adapter" / "models" / "ip-adapter.safetensors")
    tiny.tiny_image_encoder().save_pretrained(folder / "ip-adapter" / "models" / "image_encoder")


def make_kandinskys(folder: Path) -> None:
    """Priors and decoders of both kinds; a decoder's page names its prior, as on the Hub."""
    import calotype
    from tests.tiny_kandinsky import tiny_kandinsky

    for version, prefix in (("2-1", "Kandinsky"), ("2-2", "KandinskyV22")):
        for name, kind in (("prior", "Prior"), ("decoder", ""), ("decoder-inpaint", "Inpaint")):
            place = folder / f"kandinsky-{version}-{name}"
            tiny_kandinsky(getattr(calotype, f"{prefix}{kind}Pipeline")).save_pretrained(place)
            page = f"---\nprior:\n- tiny/kandinsky-{version}-prior\n---\n"
            (place / "README.md").write_text(page if name != "prior" else "")
    hinted = tiny_kandinsky(calotype.KandinskyV22ControlnetPipeline)
    hinted.save_pretrained(folder / "kandinsky-2-2-controlnet")
