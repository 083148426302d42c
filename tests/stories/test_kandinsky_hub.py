"""A decoder and its prior from the Hub: two repositories, of which the first names the second."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import calotype
from tests import nursery
from tests.tiny_kandinsky import tiny_kandinsky
from tests.unit.hub_server import Hub, Repository, Server

DECODER, PRIOR = "kandinsky-community/kandinsky-2-2-decoder", "kandinsky-community/kandinsky-2-2-prior"
CARD = f"---\nlicense: apache-2.0\nprior:\n- {PRIOR}\n---\n# Kandinsky\n"
CHILD = f"""
import json
from calotype import AutoPipelineForText2Image
from calotype.core.errors import CalotypeError
try:
    pipe = AutoPipelineForText2Image.from_pretrained({DECODER!r}, revision="tuned")
    pipe.set_progress_bar_config(disable=True)
    sizes = dict(height=32, width=32, num_inference_steps=2, prior_num_inference_steps=2)
    picture = pipe("a cube", generator=0, **sizes).images[0]
    print(json.dumps([type(pipe).__name__, picture.tobytes().hex()]))
except CalotypeError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Any]:
    tiny_kandinsky(calotype.KandinskyV22Pipeline).save_pretrained(tmp_path / "decoder")
    tiny_kandinsky(calotype.KandinskyV22PriorPipeline).save_pretrained(tmp_path / "prior")
    decoder = files(tmp_path / "decoder") | {"README.md": CARD.encode()}
    hub = Hub(
        {
            DECODER: Repository({"a" * 40: decoder}, {"main": "a" * 40, "tuned": "a" * 40}),
            PRIOR: Repository({"b" * 40: files(tmp_path / "prior")}, {"main": "b" * 40}),
        }
    )
    server = Server(hub)
    hub.url = server.url
    yield hub
    server.stop()


def loaded(hub: Any, home: Path, **environment: str) -> list[str]:
    """What a process of its own makes of the decoder."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "CALOTYPE_"))}
    told = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_XET": "1",
    }
    child = nursery.run(CHILD, env={**kept, **told, **environment})
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout)


def test_the_prior_that_the_card_names_is_fetched_and_kept(hub: Any, tmp_path: Path) -> None:
    """The revision is the decoder's; of the prior its own branch is taken."""
    first = loaded(hub, tmp_path / "home")
    assert first[0] == "KandinskyV22CombinedPipeline"
    hub.asked.clear()
    assert loaded(hub, tmp_path / "home", HF_HUB_OFFLINE="1") == first
    assert not hub.asked


def test_a_prior_that_is_not_there_is_named(hub: Any, tmp_path: Path) -> None:
    del hub.repositories[PRIOR]
    kind, text = loaded(hub, tmp_path / "home")
    assert kind == "MissingFile" and PRIOR in text and DECODER in text
