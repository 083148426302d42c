from __future__ import annotations

import pytest
from click.testing import CliRunner

import calotype
from calotype.cli import verbs
from tests import tiny_helios
from tests.tiny import tiny_stable_diffusion


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The folder of a small pipeline, under a name that must not be told."""
    folder = tmp_path_factory.mktemp("secret-place") / "tiny-model"
    tiny_stable_diffusion(calotype.StableDiffusionPipeline).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def film_model(tmp_path_factory):
    """The folder of a small pipeline that makes films."""
    folder = tmp_path_factory.mktemp("secret-place") / "tiny-films"
    parts = (tiny_helios.tokenizer(), tiny_helios.text_encoder(), tiny_helios.vae())
    scheduler = calotype.HeliosScheduler(stages=1, stage_range=[0, 1])
    calotype.HeliosPipeline(*parts, scheduler, tiny_helios.transformer()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def pyramid_model(tmp_path_factory):
    """The folder of a small distilled pipeline, which makes films in stages."""
    folder = tmp_path_factory.mktemp("secret-place") / "tiny-pyramid"
    tiny_helios.pipeline("distilled").save_pretrained(folder)
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command line in an empty folder; what it said, and its exit code."""
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / ".verdicts"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return lambda *words, **options: CliRunner().invoke(verbs, [str(word) for word in words], **options)
