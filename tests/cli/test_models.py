"""``calotype models`` and ``env``: what is cached, what a repository would cost, what a file is."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import calotype
from calotype.cli.needed import files_in
from calotype.core.files import Source
from calotype.models.xlm_roberta_tokenizer import XLMRobertaTokenizer
from tests import nursery
from tests.tiny import tiny_stable_diffusion
from tests.tiny_kandinsky import tiny_kandinsky
from tests.unit.hub_server import Hub, Repository, Server

NAME, COMMIT = "owner/model", "a" * 40
DECODER, PRIOR = "owner/decoder", "owner/prior"
WEIGHTS = {
    "text_encoder": "model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}


@pytest.fixture
def spoilt(model, tmp_path):
    """A copy of the model to spoil."""
    return shutil.copytree(model, tmp_path / "spoilt")


def facts(run, path):
    done = run("models", "info", path, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


# ---------------------------------------------------------------------- info


def test_info_says_what_a_pipeline_is(run, model):
    told = facts(run, model)
    pipe = calotype.StableDiffusionPipeline.from_pretrained(model)
    assert (told["family"], told["class"]) == ("stable-diffusion", "StableDiffusionPipeline")
    assert told["precision"] == ["float32"]
    assert told["parameters"] == sum(network.num_parameters() for network in pipe.networks.values())
    assert told["bytes"] == sum((model / part / name).stat().st_size for part, name in WEIGHTS.items())
    assert told["missing"] == told["unexpected"] == told["faults"] == [] and told["pickles"] == {}
    assert told["parts"]["unet"]["class"] == "UNet2DConditionModel"


def test_info_for_people_says_the_same(run, model):
    said = run("models", "info", model).stdout
    assert all(
        word in said for word in ("stable-diffusion", "float32", "StableDiffusionPipeline", "unet: UNet2D", "MB")
    )


@pytest.mark.parametrize("lone", [False, True], ids=["folder", "file"])
def test_info_names_missing_unknown_and_misshapen_tensors(run, spoilt, lone):
    path = spoilt / "unet" / WEIGHTS["unet"]
    tensors = load_file(path)
    tensors["strange.weight"] = tensors.pop("conv_in.bias")
    tensors["conv_out.bias"] = torch.zeros(9)
    save_file(tensors, path, {"format": "pt"})
    told = facts(run, path if lone else path.parent)
    assert told["missing"] == ["conv_in.bias"]
    assert sorted(told["unexpected"]) == ["conv_out.bias", "strange.weight"]
    assert facts(run, spoilt)["missing"] == ["unet: conv_in.bias"]


def test_info_says_the_precision_of_each_part(run, spoilt):
    calotype.AutoencoderKL.from_pretrained(spoilt / "vae", torch_dtype=torch.float16).save_pretrained(spoilt / "vae")
    told = facts(run, spoilt)
    assert told["precision"] == ["float16", "float32"] and told["parts"]["vae"]["precision"] == ["float16"]


def test_info_says_what_a_pickle_wants_and_does_not_run_it(run, spoilt, tmp_path):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harmed"),)

    (spoilt / "unet" / "harm.ckpt").write_bytes(pickle.dumps(Harm(), 2))
    torch.save({"a": torch.zeros(3, dtype=torch.float16)}, spoilt / "harmless.bin")
    told = facts(run, spoilt)["pickles"]
    assert "mkdir" in told["unet/harm.ckpt"] and told["harmless.bin"] is None
    alone = facts(run, spoilt / "unet" / "harm.ckpt")
    assert "mkdir" in alone["pickles"]["harm.ckpt"] and alone["parameters"] == 0
    lone = facts(run, spoilt / "harmless.bin")
    assert (lone["precision"], lone["parameters"], lone["pickles"]) == (["float16"], 3, {"harmless.bin": None})
    assert "mkdir" in run("models", "info", spoilt).stdout
    assert not (tmp_path / "harmed").exists()


def test_info_reads_a_network_of_which_there_is_a_pickle_alone(run, spoilt):
    path = spoilt / "vae" / WEIGHTS["vae"]
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()
    told = facts(run, spoilt)
    assert told["missing"] == [] and told["pickles"] == {"vae/diffusion_pytorch_model.bin": None}
    assert told["parts"]["vae"]["parameters"] > 0


def test_a_fault_of_one_part_is_told_beside_the_others(run, spoilt):
    path = spoilt / "vae" / WEIGHTS["vae"]
    path.write_bytes(path.read_bytes()[:-8])
    told = facts(run, spoilt)
    assert len(told["faults"]) == 1 and "8 bytes are missing" in told["faults"][0]
    assert told["parts"]["unet"]["parameters"] > 0


def test_a_part_of_an_unknown_class_is_described_by_its_weights(run, spoilt):
    index = json.loads((spoilt / "model_index.json").read_text())
    index |= {"_class_name": "OtherPipeline", "unet": ["diffusers", "OtherModel"]}
    (spoilt / "model_index.json").write_text(json.dumps(index))
    told = facts(run, spoilt)
    assert (told["family"], told["class"], told["parts"]["unet"]["class"]) == (None, "OtherPipeline", "OtherModel")
    assert told["parts"]["unet"]["precision"] == ["float32"] and "OtherModel" in told["faults"][0]


@pytest.mark.parametrize(
    ("key", "family"),
    [
        ("model.diffusion_model.input_blocks.0.0.weight", "stable-diffusion, original file"),
        ("conditioner.embedders.1.model.ln_final.weight", "stable-diffusion-xl, original file"),
        ("cond_stage_model.model.ln_final.weight", "stable-diffusion-2, original file"),
        ("lora_unet_down_blocks_0.alpha", "LoRA"),
        ("unet.conv.lora_A.weight", "LoRA"),
        ("controlnet_cond_embedding.conv_in.weight", "ControlNet of stable-diffusion"),
        ("<cat-toy>", "textual inversion"),
        ("something.else", None),
    ],
)
def test_info_knows_lone_files_by_their_keys(run, tmp_path, key, family):
    save_file({key: torch.zeros(2, 2, dtype=torch.bfloat16)}, tmp_path / "a.safetensors")
    told = facts(run, tmp_path / "a.safetensors")
    assert (told["family"], told["precision"], told["parameters"], told["missing"]) == (family, ["bfloat16"], 4, None)


def test_info_tells_a_folder_of_loose_files_one_by_one(run, tmp_path):
    save_file({"a.lora_A.weight": torch.zeros(2, 2)}, tmp_path / "style.safetensors")
    (tmp_path / "page.safetensors").write_bytes(b"<!DOCTYPE html>" + bytes(20))
    (tmp_path / "harm.pt").write_bytes(pickle.dumps(os.mkdir, 2))
    told = facts(run, tmp_path)
    assert (told["family"], told["parameters"], told["missing"]) == (None, 4, None)
    assert told["parts"]["style.safetensors"]["family"] == "LoRA"
    assert len(told["faults"]) == 1 and "page.safetensors" in told["faults"][0]
    assert "mkdir" in told["pickles"]["harm.pt"]
    assert "style.safetensors: LoRA" in run("models", "info", tmp_path).stdout


def test_info_tells_networks_that_lie_beside_each_other_without_an_index(run, spoilt):
    (spoilt / "model_index.json").unlink()
    tensors = load_file(spoilt / "vae" / WEIGHTS["vae"])
    del tensors["decoder.conv_in.bias"]
    save_file(tensors, spoilt / "vae" / WEIGHTS["vae"], {"format": "pt"})
    told = facts(run, spoilt)
    assert (told["family"], told["class"], told["missing"]) == (None, None, ["vae: decoder.conv_in.bias"])
    assert {name: part["class"] for name, part in told["parts"].items()} == {
        "text_encoder": "CLIPTextModel",
        "unet": "UNet2DConditionModel",
        "vae": "AutoencoderKL",
    }
    assert told["parameters"] == sum(part["parameters"] for part in told["parts"].values())


def test_info_refuses_what_is_no_model(run, tmp_path):
    page = tmp_path / "page.safetensors"
    page.write_bytes(b"<!DOCTYPE html>" + bytes(20))
    for path, word in {page: "an HTML page", tmp_path / "here": "model_index.json"}.items():
        done = run("models", "info", path)
        assert done.exit_code == 3 and word in done.stderr
    assert run("models", "info", tmp_path / "none").exit_code == 2


# ---------------------------------------------------------------------- list and pull, in children: the Hub's settings are read once


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    pipe = tiny_stable_diffusion(calotype.StableDiffusionPipeline)
    pipe.save_pretrained(folder)
    pipe.vae.save_pretrained(folder / "vae", variant="fp16")
    pipe.unet.save_pretrained(folder / "unet", max_shard_size="2MB")
    unwanted = dict.fromkeys(("README.md", "v1-5-pruned.ckpt", "unet/diffusion_pytorch_model.bin"), b"never read")
    hub = Hub({NAME: Repository({COMMIT: files_of(folder) | unwanted}, {"main": COMMIT})})
    server = Server(hub)
    hub.url = server.url
    yield hub
    server.stop()


@pytest.fixture
def child(hub, tmp_path):
    def call(*words, **environment):
        told = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        done = nursery.run(nursery.CALOTYPE, *words, env=told | environment, cwd=tmp_path)
        return (
            done.returncode,
            json.loads(done.stdout) if "--json" in words and done.stdout else done.stdout,
            done.stderr,
        )

    return call


def test_pull_says_what_it_would_fetch_then_fetches_that_and_the_model_works_offline(hub, child, tmp_path):
    files = hub.repositories[NAME].commits[COMMIT]
    code, shipped, said = child("models", "list", "--json")
    assert (code, [one["commits"] for one in shipped], said) == (0, [[]] * len(shipped), "")
    code, told, said = child("models", "pull", NAME, "--dry-run", "--json")
    assert (code, said, told["commit"]) == (0, "", COMMIT)
    rows = {row["file"]: row for row in told["files"]}
    assert all(row["bytes"] == len(files[name]) for name, row in rows.items())
    assert not any(name.endswith((".md", ".ckpt", ".bin")) or "fp16" in name for name in rows)
    assert sum("-of-" in name for name in rows) > 1  # shards
    assert not any(".safetensors" in path and "index" not in path for path in hub.gets())
    to_fetch = {name: row["bytes"] for name, row in rows.items() if not row["cached"]}
    assert told["to_fetch"] == {"files": len(to_fetch), "bytes": sum(to_fetch.values())}

    code, text, _ = child("models", "pull", NAME)
    assert code == 0 and f"{len(to_fetch)} files fetched" in text
    assert child("models", "pull", NAME, "--dry-run", "--json")[1]["to_fetch"] == {"files": 0, "bytes": 0}
    _, (*others, cached), _ = child("models", "list", "--json")
    assert others == shipped
    assert (cached["name"], cached["commits"]) == (NAME, [COMMIT])
    fetched = {path.split(f"/resolve/{COMMIT}/")[1] for path in hub.gets()}
    assert fetched == set(rows)
    asked = ("generate", "a cat", "-m", NAME, "--size", "32x32", "--steps", "1", "--json")
    code, made, said = child(*asked, HF_HUB_OFFLINE="1")
    assert code == 0, said
    from calotype.core.picture_files import read_recipe

    recipe = read_recipe(tmp_path / made["file"])
    assert (recipe["model"], recipe["revision"]) == (NAME, COMMIT)


def test_pull_takes_the_variant_where_there_is_one(child):
    code, told, _ = child("models", "pull", NAME, "--variant", "fp16", "--dry-run", "--json")
    names = {row["file"] for row in told["files"]}
    assert code == 0 and "vae/diffusion_pytorch_model.fp16.safetensors" in names
    assert "vae/diffusion_pytorch_model.safetensors" not in names and "text_encoder/model.safetensors" in names
    assert child("models", "pull", NAME, "--variant", "fp8")[0] == 3


def test_pull_of_a_decoder_brings_the_prior_that_its_card_names(hub, child, tmp_path_factory):
    halves = {
        DECODER: (calotype.KandinskyV22Pipeline, ["main", "tuned"]),
        PRIOR: (calotype.KandinskyV22PriorPipeline, ["main"]),
    }
    for name, (kind, branches) in halves.items():
        folder = tmp_path_factory.mktemp("half")
        tiny_kandinsky(kind).save_pretrained(folder)
        (folder / "README.md").write_text(f"---\nprior: {PRIOR}\n---\n")
        hub.repositories[name] = Repository({COMMIT: files_of(folder)}, dict.fromkeys(branches, COMMIT))
    code, told, said = child("models", "pull", DECODER, "--revision", "tuned", "--dry-run", "--json")
    assert (code, said, told["repository"]) == (0, "", DECODER)
    (prior,) = told["connected"]
    assert (prior["repository"], prior["commit"]) == (PRIOR, COMMIT)
    rows = [*told["files"], *prior["files"]]
    assert told["to_fetch"]["bytes"] == sum(row["bytes"] for row in rows if not row["cached"])
    assert not any(row["cached"] for row in rows if row["file"].endswith(".safetensors"))
    code, text, _ = child("models", "pull", DECODER)
    assert code == 0 and DECODER in text and PRIOR in text
    assert f"{told['to_fetch']['files']} files fetched" in text
    code, _, said = child("generate", "a cat", "-m", DECODER, "--steps", "1", HF_HUB_OFFLINE="1")
    assert code == 0, said


def test_the_pieces_of_a_tokenizer_are_needed_where_it_was_not_compiled(tmp_path):
    told = {"sentencepiece.bpe.model", "tokenizer_config.json"}
    for name in told:
        (tmp_path / name).touch()
    folder = Source(str(tmp_path), tmp_path)
    assert {*files_in(folder, XLMRobertaTokenizer, None)} == told
    (tmp_path / "tokenizer.json").touch()
    assert {*files_in(folder, XLMRobertaTokenizer, None)} == {"tokenizer.json", "tokenizer_config.json"}


def test_pull_of_what_is_not_there(child, model):
    assert child("models", "pull", "owner/other")[0] == 3
    assert child("models", "pull", NAME, "--revision", "nope")[0] == 3
    assert child("models", "pull", str(model))[0] == 2


# ---------------------------------------------------------------------- env


def test_env_says_versions_and_no_secrets(run, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_HOME", "/home/ada")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    told = json.loads(run("env", "--json").stdout)
    assert (told["calotype"], told["torch"]) == (calotype.__version__, torch.__version__)
    assert (told["HF_TOKEN"], told["HF_HOME"], told["HF_HUB_OFFLINE"]) == ("set", "set", "1")
    said = run("env").stdout
    assert torch.__version__ in said
    assert not any(secret in said for secret in ("hf_secret", "ada", os.uname().nodename))
