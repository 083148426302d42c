"""The code in the README and in docs/ runs as printed, against tiny checkpoints under the names that it uses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

import calotype
from tests.endpoints import serving
from tests.tiny import tiny_stable_diffusion, tiny_stable_diffusion_xl
from tests.tiny_helios import pipeline
from tests.tiny_kandinsky import tiny_kandinsky

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(page.relative_to(ROOT).as_posix(), code) for page in PAGES for code in BLOCK.findall(page.read_text())]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


USED = "stable-diffusion-v1-5/stable-diffusion-v1-5"
PRIORS = {
    "kandinsky-2-1-prior": calotype.KandinskyPriorPipeline,
    "kandinsky-2-2-prior": calotype.KandinskyV22PriorPipeline,
}
DECODERS = {  # of each the prior that its card names
    "kandinsky-2-1": (calotype.KandinskyPipeline, "kandinsky-2-1-prior"),
    "kandinsky-2-2-decoder": (calotype.KandinskyV22Pipeline, "kandinsky-2-2-prior"),
    "kandinsky-2-2-decoder-inpaint": (calotype.KandinskyV22InpaintPipeline, "kandinsky-2-2-prior"),
    "kandinsky-2-2-controlnet-depth": (calotype.KandinskyV22ControlnetPipeline, "kandinsky-2-2-prior"),
}
FILMS = "BestWishYsh/Helios-Distilled"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A folder with a tiny checkpoint under the name of each repository that the pages use."""
    folder = tmp_path_factory.mktemp("checkpoints")
    made = {
        USED: tiny_stable_diffusion(calotype.StableDiffusionPipeline),
        "stabilityai/stable-diffusion-xl-base-1.0": tiny_stable_diffusion_xl(calotype.StableDiffusionXLPipeline),
        "stabilityai/stable-diffusion-xl-refiner-1.0": tiny_stable_diffusion_xl(
            calotype.StableDiffusionXLImg2ImgPipeline, refiner=True
        ),
        FILMS: pipeline("distilled"),
    }
    for name, pipe in made.items():
        pipe.save_pretrained(folder / name)
    halves = folder / "kandinsky-community"
    for name, kind in PRIORS.items():
        tiny_kandinsky(kind).save_pretrained(halves / name)
    for name, (kind, prior) in DECODERS.items():
        tiny_kandinsky(kind).save_pretrained(halves / name)
        (halves / name / "README.md").write_text(f"---\nprior:\n- {halves.name}/{prior}\n---\n")
    index = folder / FILMS / "model_index.json"  # films of the usual size would take too long
    index.write_text(json.dumps(json.loads(index.read_text()) | {"_usual_arguments": {"height": 64, "width": 64}}))
    return folder


@pytest.mark.parametrize(("page", "code"), BLOCKS, ids=[page for page, _ in BLOCKS])
def test_code_blocks_run(page, code, checkpoints, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for owner in checkpoints.iterdir():
        Path(owner.name).symlink_to(owner)  # a folder of that name goes before the Hub
    pipe = calotype.StableDiffusionPipeline.from_pretrained(checkpoints / USED)
    with serving(pipe.vae) as running:
        told = {"torch": torch, "pipe": pipe, "endpoint": running.url}
        exec(compile(code, page, "exec"), told)  # noqa: S102


def test_there_is_code_to_run():
    assert "README.md" in dict(BLOCKS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_argument_is_explained_once():
    """docs/parameters.md names each argument of each pipeline's call, and nothing that no pipeline takes."""
    import inspect

    told = re.findall(r"^\| (`.*?`) \|", (ROOT / "docs/parameters.md").read_text(), re.MULTILINE)
    names = [name for cell in told for name in re.findall(r"`(\w+)`", cell)]
    assert len(names) == len(set(names))
    kinds = [
        getattr(calotype, name)
        for name in calotype.__all__
        if name.endswith("Pipeline") and name.startswith(("Stable", "Kandinsky", "Helios", "FlaxStable"))
    ]
    taken = {name for kind in kinds for name in inspect.signature(kind.__call__).parameters} - {"self"}
    beside = {name for kind in kinds for name in getattr(kind, "beside_signature", ())}
    assert set(names) == taken | beside
