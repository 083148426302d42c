"""A single file by the link that a browser shows, from a Hub on this machine: fetched once, and then there."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

import calotype
from tests import nursery
from tests.tiny import tiny_stable_diffusion
from tests.unit.hub_server import Hub, Repository, Server

NAME, COMMIT, OLDER = "somebody/models", "a" * 40, "b" * 40
CHILD = """
import hashlib, json, sys
import calotype
from calotype.core.errors import CalotypeError
link, folder, kind = sys.argv[1:]
try:
    made = getattr(calotype, kind).from_single_file(link, config=folder)
    weights = getattr(made, "vae", made).state_dict()
    print(json.dumps(hashlib.sha256(b"".join(weights[key].numpy().tobytes() for key in sorted(weights))).hexdigest()))
except CalotypeError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder with a pipeline, a Hub with its single file and that of its autoencoder, and what to expect of them."""
    folder = tmp_path_factory.mktemp("shelf")
    pipe = tiny_stable_diffusion(calotype.StableDiffusionPipeline)
    pipe.save_pretrained(folder / "folder")
    pipe.save_single_file(folder / "one.safetensors")
    pipe.vae.save_single_file(folder / "vae.safetensors")
    files = {
        "one.safetensors": (folder / "one.safetensors").read_bytes(),
        "deep/the vae.safetensors": (folder / "vae.safetensors").read_bytes(),
    }
    hub = Hub({NAME: Repository({COMMIT: files, OLDER: dict(files)}, {"main": COMMIT, "v1": OLDER})})
    server = Server(hub)
    hub.url = server.url
    weights = pipe.vae.state_dict()
    data = b"".join(weights[key].numpy().tobytes() for key in sorted(weights))
    yield hub, folder / "folder", hashlib.sha256(data).hexdigest()
    server.stop()


def read(hub, home, link, folder, kind="StableDiffusionPipeline", **more):
    told = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_XET": "1",
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "CALOTYPE_"))}
    done = nursery.run(CHILD, link, folder, kind, env={**kept, **told, **more})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_link_is_fetched_once(shelf, tmp_path):
    hub, folder, expected = shelf
    link = f"{hub.url}/{NAME}/blob/main/one.safetensors"
    assert read(hub, tmp_path, link, folder) == expected
    assert hub.gets() == [f"/{NAME}/resolve/{COMMIT}/one.safetensors"]
    hub.asked.clear()
    assert read(hub, tmp_path, link, folder, HF_HUB_OFFLINE="1") == expected
    assert not hub.asked


def test_a_link_may_name_a_revision_and_a_folder(shelf, tmp_path):
    hub, folder, expected = shelf
    hub.asked.clear()
    link = f"{hub.url}/{NAME}/resolve/v1/deep/the%20vae.safetensors?download=true"
    assert read(hub, tmp_path, link, folder, "AutoencoderKL") == expected
    assert [path.split("/resolve/")[1] for path in hub.gets()] == [f"{OLDER}/deep/the%20vae.safetensors"]


def test_a_link_to_nothing_is_said(shelf, tmp_path):
    hub, folder, _ = shelf
    kind, text = read(hub, tmp_path, f"{hub.url}/{NAME}/blob/main/two.safetensors", folder)
    assert kind == "MissingFile" and "two.safetensors" in text and NAME in text
