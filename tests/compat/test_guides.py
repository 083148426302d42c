"""The guides' blocks as printed, against a Hub with tiny checkpoints of their names and a web with their pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

import calotype
from calotype.adapters.textual_inversion_files import save_words
from tests import tiny_helios
from tests.compat.children import told
from tests.compat.gallery import Gallery
from tests.tiny import tiny_controlnet, tiny_stable_diffusion, tiny_stable_diffusion_xl
from tests.tiny_kandinsky import tiny_kandinsky
from tests.unit.hub_server import Hub, Repository, Server

GUIDES = Path(__file__).with_name("guides")
COMMIT = "a" * 40
FP16 = ("stable-diffusion", "control")  # in the names of repositories with a variant
RUN = """
import calotype.compat.diffusers
import json, os, sys, torch
from pathlib import Path
from tests.compat import smaller
os.chdir(sys.argv[1])
smaller.begin(sys.argv[2], sys.argv[3])
pages, outcomes = {}, {}
for path in map(Path, sys.argv[4:]):
    embeds = torch.zeros(1, 77, 32, dtype=torch.float16)
    begin = {"__name__": "__main__", "prompt_embeds": embeds, "negative_prompt_embeds": embeds}
    page = path.stem.rpartition("_")[0]
    block = smaller.typed(path.read_text())
    smaller.shrink_jax(block)
    try:
        exec(compile(block, path.name, "exec"), pages.setdefault(page, begin))
        outcomes[path.stem] = "runs"
    except Exception as error:
        outcomes[path.stem] = f"{type(error).__name__}: {error}".splitlines()[0]
print(json.dumps(outcomes))
"""


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def with_weights_of_flax(pipe, tmp_path_factory) -> Repository:
    """A repository with PyTorch's weights, and with Flax's in a branch, as they were published."""
    theirs, ours = tmp_path_factory.mktemp("pytorch"), tmp_path_factory.mktemp("flax")
    pipe.save_pretrained(theirs)
    twin, params = calotype.FlaxStableDiffusionImg2ImgPipeline.from_pretrained(theirs, from_pt=True)
    twin.save_pretrained(ours, params=params)
    index = json.loads((ours / "model_index.json").read_text()) | {"_class_name": "FlaxStableDiffusionPipeline"}
    (ours / "model_index.json").write_text(json.dumps(index))
    branch = "b" * 40
    return Repository({COMMIT: files(theirs), branch: files(ours)}, {"main": COMMIT, "flax": branch})


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What becomes of the blocks of a page, which run one after the other, as in a notebook."""
    community, helios = "kandinsky-community/kandinsky-2", "BestWishYsh/Helios"
    diffusion = tiny_stable_diffusion(calotype.StableDiffusionPipeline)
    prior = tiny_kandinsky(calotype.KandinskyPriorPipeline)
    made = {
        "stable-diffusion-v1-5/stable-diffusion-v1-5": diffusion,
        "runwayml/stable-diffusion-v1-5": diffusion,
        "stabilityai/stable-diffusion-xl-base-1.0": tiny_stable_diffusion_xl(calotype.StableDiffusionXLPipeline),
        "lllyasviel/control_v11p_sd15_openpose": tiny_controlnet(),
        f"{community}-2-prior": tiny_kandinsky(calotype.KandinskyV22PriorPipeline),
        f"{community}-2-decoder": tiny_kandinsky(calotype.KandinskyV22Pipeline),
        f"{community}-1-prior": prior,
        "kandinsky-community/Kandinsky-2-1-prior": prior,
        f"{community}-1": tiny_kandinsky(calotype.KandinskyPipeline),
        f"{community}-1-inpaint": tiny_kandinsky(calotype.KandinskyInpaintPipeline),
        f"{helios}-Base": tiny_helios.pipeline("base"),
        f"{helios}-Mid": tiny_helios.pipeline("mid"),
        f"{helios}-Distilled": tiny_helios.pipeline("distilled"),
    }
    hub = Hub()
    for name, thing in made.items():
        folder = tmp_path_factory.mktemp("repository")
        thing.save_pretrained(folder)
        if any(word in name for word in FP16):
            thing.save_pretrained(folder, variant="fp16")
        if name.startswith(community) and "prior" not in name:
            (folder / "README.md").write_text(f"---\nprior:\n- {name[: len(community) + 2]}-prior\n---\n")
        hub.repositories[name] = Repository({COMMIT: files(folder)}, {"main": COMMIT})
    hub.repositories["CompVis/stable-diffusion-v1-4"] = with_weights_of_flax(diffusion, tmp_path_factory)
    words, mixes = tmp_path_factory.mktemp("words"), tmp_path_factory.mktemp("mixes")
    save_words(words / "learned_embeds.safetensors", {"<cat-toy>": torch.zeros(1, 32)})
    hub.repositories["sd-concepts-library/cat-toy"] = Repository({COMMIT: files(words)}, {"main": COMMIT})
    (mixes / "Models" / "AbyssOrangeMix").mkdir(parents=True)
    diffusion.save_single_file(mixes / "Models" / "AbyssOrangeMix" / "AbyssOrangeMix.safetensors")
    hub.repositories["WarriorMama777/OrangeMixs"] = Repository({COMMIT: files(mixes)}, {"main": COMMIT})
    folder = tmp_path_factory.mktemp("desk")
    torch.save({"string_to_param": {"*": torch.zeros(1, 32)}}, folder / "charturnerv2.pt")
    torch.save({}, folder / "v1-5-pruned-emaonly.ckpt")
    server, gallery = Server(hub), Gallery(tmp_path_factory.mktemp("web"))
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "CALOTYPE_"))}
    env = kept | {"HF_ENDPOINT": server.url, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    env["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # compiled fast, to be run once
    config = tmp_path_factory.mktemp("config")
    diffusion.save_pretrained(config)
    yield lambda page, blocks: told(
        RUN, folder, gallery.url, config, *(GUIDES / f"{page}_{block}.txt" for block in blocks), env=env
    )
    server.stop()
    gallery.stop()


@pytest.mark.parametrize("page", ["helios", "img2img_reference", "kandinsky_reference", "text_to_image"])
def test_each_block_of_a_guide_ends_as_the_table_says(page, outcomes):
    lines = [line for line in (GUIDES / "outcomes.txt").read_text().splitlines() if line.startswith(f"{page}_")]
    said = dict(line.removeprefix(f"{page}_").split("  ", 1) for line in lines)
    assert sorted(said) == sorted(path.stem.removeprefix(f"{page}_") for path in GUIDES.glob(f"{page}_*.txt"))
    assert outcomes(page, said) == {f"{page}_{block}": end for block, end in said.items()}
