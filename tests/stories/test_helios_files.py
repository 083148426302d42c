"""Pipelines for films, to files and back: which class, which flags, which types, and how much memory it takes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

import calotype
from tests import nursery
from tests.tiny_helios import SHORT, pipeline, schedulers, transformer
from tests.unit.hub_server import Hub, Repository, Server

KINDS = ("base", "mid", "distilled")
NAMES = ("config.json", "diffusion_pytorch_model.safetensors")
EXACT = {"time_embedder", "scale_shift_table", "norm2"}  # parts of the keys of what stays in float32


def film(pipe: Any, kind: str) -> torch.Tensor:
    pipe.set_progress_bar_config(disable=True)
    told = {"num_frames": 33, "max_sequence_length": 16, "output_type": "latent"}
    return pipe("hello", generator=torch.Generator().manual_seed(0), **told, **SHORT[kind]).frames


def settings(part: Any) -> dict[str, Any]:
    return {name: value for name, value in part.config.items() if not name.startswith("_")}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_loaded_whole(kind: str, tmp_path: Path) -> None:
    pipe = pipeline(kind)
    pipe.save_pretrained(tmp_path)
    again = calotype.DiffusionPipeline.from_pretrained(tmp_path)
    assert type(again) is type(pipe)
    assert {name: type(part) for name, part in again.components.items()} == {
        name: type(part) for name, part in pipe.components.items()
    }
    assert settings(again.scheduler) == settings(pipe.scheduler)
    assert torch.equal(film(again, kind), film(pipe, kind))


@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        ("base", {}),
        ("mid", {"is_cfg_zero_star": True, "is_distilled": False}),
        ("distilled", {"is_cfg_zero_star": False, "is_distilled": True}),
    ],
)
def test_the_index_names_parts_and_flags_as_the_published_ones_do(
    kind: str, flags: dict[str, bool], tmp_path: Path
) -> None:
    pipeline(kind).save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index.pop("_class_name") == ("HeliosPipeline" if kind == "base" else "HeliosPyramidPipeline")
    assert {name: entry for name, entry in index.items() if not name.startswith("_")} == flags | {
        "tokenizer": ["transformers", "T5TokenizerFast"],
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "vae": ["diffusers", "AutoencoderKLWan"],
        "transformer": ["diffusers", "HeliosTransformer3DModel"],
        "scheduler": ["diffusers", "HeliosDMDScheduler" if kind == "distilled" else "HeliosScheduler"],
    }


MARKS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "the flag": ("HeliosScheduler", {"is_distilled": True}, {}),
    "the class": ("HeliosDMDScheduler", {"is_distilled": False}, {}),
    "the type": ("HeliosScheduler", {"is_distilled": False}, {"scheduler_type": "dmd"}),
    "no flag": ("HeliosDMDScheduler", {}, {"scheduler_type": "dmd"}),
}


@pytest.mark.parametrize("mark", MARKS)
def test_a_distilled_model_is_known_by_any_of_its_marks(mark: str, tmp_path: Path) -> None:
    kind, flags, config = MARKS[mark]
    pipeline("distilled").save_pretrained(tmp_path)
    index = tmp_path / "model_index.json"
    kept = {name: entry for name, entry in json.loads(index.read_text()).items() if name != "is_distilled"}
    index.write_text(json.dumps(kept | flags | {"scheduler": ["diffusers", kind]}))
    written = tmp_path / "scheduler" / "scheduler_config.json"
    written.write_text(json.dumps(json.loads(written.read_text()) | {"_class_name": kind} | config))
    pipe = calotype.DiffusionPipeline.from_pretrained(tmp_path)
    assert pipe.distilled and type(pipe.scheduler) is calotype.HeliosDMDScheduler
    assert pipe.scheduler.config.time_shift_type == "linear"
    assert torch.equal(film(pipe, "distilled"), film(pipeline("distilled"), "distilled"))


def test_folders_that_no_index_names_are_not_read(tmp_path: Path) -> None:
    pipe = pipeline("distilled")
    pipe.save_pretrained(tmp_path)
    for folder in ("transformer_ode", "transformer_init"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text("not read")
        (tmp_path / folder / "diffusion_pytorch_model.safetensors").write_bytes(b"not read")
    again = calotype.HeliosPyramidPipeline.from_pretrained(tmp_path)
    assert "transformer_ode" not in again.components


def test_a_pipeline_without_its_transformer_reads_prompts(tmp_path: Path) -> None:
    pipeline().save_pretrained(tmp_path)
    reader = calotype.HeliosPipeline.from_pretrained(tmp_path, transformer=None, vae=None)
    states, against = reader.encode_prompt("hello", max_sequence_length=16)
    assert states.shape == against.shape == (1, 16, 16)
    assert torch.equal(states, pipeline().encode_prompt("hello", max_sequence_length=16)[0])


def test_float32_shards_are_cast_while_they_are_read(tmp_path: Path) -> None:
    pipe = pipeline()
    pipe.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len([*(tmp_path / "transformer").glob("*-of-*.safetensors")]) > 3
    again = calotype.HeliosPipeline.from_pretrained(tmp_path, torch_dtype=torch.bfloat16)
    for name, weight in pipe.transformer.state_dict().items():
        loaded = again.transformer.state_dict()[name]
        assert loaded.dtype == (torch.bfloat16 if EXACT.isdisjoint(name.split(".")) else torch.float32), name
        assert torch.equal(loaded, weight.to(loaded.dtype))
    assert again.text_encoder.dtype == again.vae.dtype == torch.bfloat16


LOAD = """
import resource, sys, torch
from calotype import HeliosTransformer3DModel
unit = 1 if sys.platform == "darwin" else 1024
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
HeliosTransformer3DModel.from_pretrained({small!r}, torch_dtype=torch.bfloat16)
before = most()
network = HeliosTransformer3DModel.from_pretrained({large!r}, torch_dtype=torch.bfloat16)
print(most() - before, sum(tensor.nbytes for tensor in network.state_dict().values()))
"""


def test_loading_takes_the_memory_of_the_result_and_one_shard(tmp_path: Path) -> None:
    shard = 8 * 2**20
    transformer().save_pretrained(tmp_path / "small")
    transformer(ffn_dim=2**17).save_pretrained(tmp_path / "large", max_shard_size=shard)
    sizes = [file.stat().st_size for file in (tmp_path / "large").glob("*.safetensors")]
    assert len(sizes) > 3
    child = nursery.start(LOAD.format(small=str(tmp_path / "small"), large=str(tmp_path / "large")))
    done = child.result()
    assert done.returncode == 0, done.stderr
    grown, result = map(int, done.stdout.split())
    a_shard_and_what_python_needs = 1.5 * max(sizes)  # Less than a second shard.
    assert 0.5 * result < grown < result + a_shard_and_what_python_needs < sum(sizes)


@pytest.mark.parametrize("kind", KINDS)
def test_from_pipe_shares_the_components(kind: str) -> None:
    first, second = pipeline(), schedulers()[kind]
    target = calotype.HeliosPipeline if kind == "base" else calotype.HeliosPyramidPipeline
    made = target.from_pipe(first, scheduler=second)
    assert made.transformer is first.transformer and made.text_encoder is first.text_encoder
    assert film(made, kind).shape[2] == 9


CHILD = """
from calotype import DiffusionPipeline
print(type(DiffusionPipeline.from_pretrained("BestWishYsh/Helios-Distilled")).__name__)
"""


def test_folders_that_no_index_names_are_not_fetched(tmp_path: Path) -> None:
    commit, folder = "a" * 40, tmp_path / "files"
    pipeline("distilled").save_pretrained(folder)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    unwanted = {f"transformer_{kind}/{file}": b"never read" for kind in ("ode", "init") for file in NAMES}
    hub = Hub({"BestWishYsh/Helios-Distilled": Repository({commit: files | unwanted}, {"main": commit})})
    server = Server(hub)
    home = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "CALOTYPE_"))}
    try:
        done = nursery.start(CHILD, env=kept | home).result()
    finally:
        server.stop()
    assert done.stdout.strip() == "HeliosPyramidPipeline", done.stderr
    fetched = {path.split(f"{commit}/")[1] for path in hub.gets()}
    assert "transformer/diffusion_pytorch_model.safetensors" in fetched
    assert fetched <= set(files)
