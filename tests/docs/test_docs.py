"""The code in the README and in docs/ runs as printed, against tiny checkpoints under the names that it uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import calotype
from tests.tiny import tiny_stable_diffusion

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [(page.relative_to(ROOT).as_posix(), code) for page in PAGES for code in BLOCK.findall(page.read_text())]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    tiny_stable_diffusion(calotype.StableDiffusionPipeline).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("page", "code"), BLOCKS, ids=[page for page, _ in BLOCKS])
def test_code_blocks_run(page, code, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    repository = Path("stable-diffusion-v1-5/stable-diffusion-v1-5")
    repository.parent.mkdir()
    repository.symlink_to(checkpoint)  # a folder of that name goes before the Hub
    pipe = calotype.StableDiffusionPipeline.from_pretrained(checkpoint)
    exec(compile(code, page, "exec"), {"pipe": pipe})  # noqa: S102


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
        getattr(calotype, name) for name in calotype.__all__ if name.endswith("Pipeline") and name.startswith("Stable")
    ]
    taken = {name for kind in kinds for name in inspect.signature(kind.__call__).parameters} - {"self"}
    assert taken - set(names) <= {"ip_adapter_image", "ip_adapter_image_embeds"}
    assert set(names) <= taken
