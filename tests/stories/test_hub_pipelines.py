"""Pipelines from the Hub: a server on this machine that speaks its few endpoints, and children that load from it."""

from __future__ import annotations

import json
import os

import pytest

import calotype
from tests import nursery
from tests.tiny import tiny_stable_diffusion
from tests.unit.hub_server import Hub, Repository, Server

NAME = "stable-diffusion-v1-5/stable-diffusion-v1-5"
COMMIT = "a" * 40
CHILD = """
import hashlib, json
from calotype import AutoPipelineForText2Image
from calotype.core.errors import CalotypeError
try:
    pipe = AutoPipelineForText2Image.from_pretrained(%r, safety_checker=None, **%r)
    pipe.set_progress_bar_config(disable=True)
    image = pipe("a cube", height=32, width=32, num_inference_steps=2, generator=0).images[0]
    print(json.dumps([type(pipe).__name__, hashlib.sha256(image.tobytes()).hexdigest()]))
except CalotypeError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A repository with everything that real ones carry beside what is needed."""
    folder = tmp_path_factory.mktemp("repository")
    pipe = tiny_stable_diffusion(calotype.StableDiffusionPipeline)
    pipe.save_pretrained(folder)
    pipe.save_pretrained(folder, variant="fp16")
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    unwanted = [
        "README.md",
        "unet/diffusion_pytorch_model.bin",
        "v1-5-pruned.ckpt",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
    ]
    return found | dict.fromkeys(unwanted, b"never read")


@pytest.fixture
def hub(files):
    hub = Hub({NAME: Repository({COMMIT: dict(files)}, {"main": COMMIT})})
    server = Server(hub)
    hub.url = server.url
    yield hub
    server.stop()


def start(hub, home, environment=None, **options):
    variables = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_XET": "1",
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "CALOTYPE_"))}
    return nursery.start(CHILD % (NAME, options), env={**kept, **variables, **(environment or {})})


def result(child):
    done = child.result()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fetched(hub):
    return sorted(path.split(f"{COMMIT}/")[1] for path in hub.gets())


NEEDED = ["model_index.json", "scheduler/scheduler_config.json"]
NETWORKS = {"text_encoder": "model", "unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}


@pytest.mark.parametrize("variant", [None, "fp16"])
def test_only_what_is_needed_is_fetched_in_one_variant(hub, tmp_path, variant):
    name, _ = result(start(hub, tmp_path, variant=variant))
    assert name == "StableDiffusionPipeline"
    mark = f".{variant}" if variant else ""
    weights = [f"{part}/{stem}{mark}.safetensors" for part, stem in NETWORKS.items()]
    configs = [f"{part}/config.json" for part in NETWORKS]
    rest = [file for file in fetched(hub) if not file.startswith("tokenizer/")]
    assert rest == sorted([*NEEDED, *weights, *configs])


def test_once_loaded_it_is_loaded_again_without_the_hub(hub, tmp_path):
    first = result(start(hub, tmp_path))
    hub.asked.clear()
    assert result(start(hub, tmp_path, {"HF_HUB_OFFLINE": "1"})) == first
    assert result(start(hub, tmp_path, local_files_only=True)) == first
    assert not hub.asked


def test_without_the_hub_and_without_a_copy_the_repository_is_named(hub, tmp_path):
    kind, text = result(start(hub, tmp_path, {"HF_HUB_OFFLINE": "1"}))
    assert kind == "MissingFile" and NAME in text


def test_two_processes_at_once_load_the_same(hub, tmp_path):
    first, second = start(hub, tmp_path), start(hub, tmp_path)
    assert result(first) == result(second)


def test_one_commit_serves_the_whole_load_though_the_branch_moves(hub, tmp_path):
    expected = result(start(hub, tmp_path / "one"))
    moved = {name: data for name, data in hub.repositories[NAME].commits[COMMIT].items() if "config" not in name}

    def move(path):
        if path.endswith("model_index.json"):
            hub.repositories[NAME].commits["b" * 40] = moved
            hub.repositories[NAME].branches["main"] = "b" * 40

    hub.before = move
    assert result(start(hub, tmp_path / "two")) == expected


def test_a_repository_that_brings_code_is_refused(hub, tmp_path):
    files = hub.repositories[NAME].commits[COMMIT]
    index = json.loads(files["model_index.json"]) | {"unet": ["my_unet", "MyUNet"]}
    files |= {"model_index.json": json.dumps(index).encode(), "unet/my_unet.py": b"raise SystemExit('ran')"}
    kind, text = result(start(hub, tmp_path))
    assert kind == "InvalidArgument" and "MyUNet" in text
    assert "unet/my_unet.py" not in fetched(hub)
