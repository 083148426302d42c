"""The guides' blocks as printed, in one process for each page, against a Hub with tiny checkpoints of their names."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import calotype
from tests.compat.children import told
from tests.tiny import tiny_controlnet, tiny_stable_diffusion, tiny_stable_diffusion_xl
from tests.tiny_kandinsky import tiny_kandinsky
from tests.unit.hub_server import Hub, Repository, Server

GUIDES = Path(__file__).with_name("guides")
COMMIT = "a" * 40
RUN = """
import calotype.compat.diffusers
import json, os, sys, torch
from pathlib import Path
from tests.compat import smaller
smaller.shrink_calls()
smaller.without_cuda()
os.chdir(sys.argv[1])
namespace = {"__name__": "__main__", "prompt_embeds": torch.zeros(1, 77, 32, dtype=torch.float16)}
namespace["negative_prompt_embeds"] = namespace["prompt_embeds"]
outcomes = {}
for name in sys.argv[2:]:
    try:
        exec(compile(Path(name).read_text(), name, "exec"), namespace)
        outcomes[Path(name).stem] = "runs"
    except Exception as error:
        outcomes[Path(name).stem] = f"{type(error).__name__}: {error}"
print(json.dumps(outcomes))
"""


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A Hub with what the guides load, in whole and in half precision."""
    made = {
        "stable-diffusion-v1-5/stable-diffusion-v1-5": tiny_stable_diffusion(calotype.StableDiffusionPipeline),
        "stabilityai/stable-diffusion-xl-base-1.0": tiny_stable_diffusion_xl(calotype.StableDiffusionXLPipeline),
        "kandinsky-community/kandinsky-2-2-decoder": tiny_kandinsky(calotype.KandinskyV22Pipeline),
        "kandinsky-community/kandinsky-2-2-prior": tiny_kandinsky(calotype.KandinskyV22PriorPipeline),
        "lllyasviel/control_v11p_sd15_openpose": tiny_controlnet(),
    }
    hub = Hub()
    for name, thing in made.items():
        folder = tmp_path_factory.mktemp("repository")
        thing.save_pretrained(folder)
        thing.save_pretrained(folder, variant="fp16")
        if "decoder" in name:
            (folder / "README.md").write_text("---\nprior:\n- kandinsky-community/kandinsky-2-2-prior\n---\n")
        hub.repositories[name] = Repository({COMMIT: files(folder)}, {"main": COMMIT})
    server = Server(hub)
    yield server
    server.stop()


def outcomes(page: str, hub: Server, folder: Path, *but: int) -> dict[str, str]:
    """What became of each block of a page, but for some."""
    blocks = sorted(path for path in GUIDES.glob(f"{page}_*.txt") if int(re.findall(r"\d+", path.stem)[-1]) not in but)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "CALOTYPE_"))}
    env = kept | {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return told(RUN, folder, *blocks, env=env)


def test_the_blocks_of_the_text_to_image_guide_run(hub, tmp_path):
    done = outcomes("text_to_image", hub, tmp_path, 6, 7)  # pictures from addresses: not served here yet
    assert len(done) == 11
    assert set(done.values()) == {"runs"}, {name: said for name, said in done.items() if said != "runs"}
