"""The peer's own process: pipelines that it makes of its own parts, and those of ours that it is handed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import diffusers
import torch
import transformers
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

from tests.compat.disk_adapters import put_on
from tests.compat.disk_cases import CASES, Case, told_to_peers
from tests.compat.disk_hands import keep_times, leave, pass_on, tried
from tests.parity import helios, kandinsky
from tests.parity.pairs import save_peer
from tests.parity.test_controlnet_pipelines import peer_controlnet
from tests.parity.test_controlnet_xl_pipelines import save_nets
from tests.parity.test_stable_diffusion_xl import IMG2IMG, TEXT2IMG, save_peer_xl
from tests.tiny import VISION_CONFIG
from tests.tiny_helios import TRANSFORMER, UMT5, VAE, VOCAB

SCRATCH = TemporaryDirectory()


def begin(left: Path) -> None:
    """Save and try a pipeline of the peer's for each case."""
    for name, case in CASES.items():
        pipe = own(name, case)
        pipe.save_pretrained(str(left / name), **case.saved)
        leave(left, name, tried(in_one_piece(pipe), told_to_peers(case)), [])


def own(name: str, case: Case) -> Any:
    """The peer's pipeline for a case."""
    if case.kind.startswith("Helios"):
        return film("distilled" if name == "distilled" else "base" if name == "HeliosPipeline" else "mid")
    if case.kind.startswith("Kandinsky"):
        folder = kandinsky.save_peer(fresh(), case.kind)
        return getattr(diffusers, case.kind).from_pretrained(folder)
    xl = "XL" in case.kind
    folder = base(xl, name == "told of a mask", name == "refiner")
    parts = EXTRA[name]() if name in EXTRA else {} if xl else {"safety_checker": None}
    if "ControlNet" in case.kind and "controlnet" not in parts:
        parts["controlnet"] = xl_net() if xl else peer_controlnet(3)
    return getattr(diffusers, case.kind).from_pretrained(folder, **parts)


def fresh() -> Path:
    return Path(mkdtemp(dir=SCRATCH.name))


@cache
def base(xl: bool, masked: bool, refiner: bool) -> Path:
    """The folder of a checkpoint that all pipelines of a family load."""
    told = {"in_channels": 9} if masked else {}
    return save_peer_xl(fresh(), IMG2IMG if refiner else TEXT2IMG, refiner) if xl else save_peer(fresh(), **told)


def xl_net() -> Any:
    return diffusers.ControlNetModel.from_pretrained(save_nets(fresh(), base(True, False, False)) / "one")


def looking() -> dict[str, Any]:
    """What a pipeline has that looks at its own pictures, and at others."""
    torch.manual_seed(6)
    encoder = transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**VISION_CONFIG))
    config = transformers.CLIPConfig(vision_config=VISION_CONFIG, projection_dim=VISION_CONFIG["projection_dim"])
    size = {"shortest_edge": 30}, {"height": 30, "width": 30}
    return {
        "safety_checker": StableDiffusionSafetyChecker(config).eval(),
        "feature_extractor": transformers.CLIPImageProcessor(size=size[0], crop_size=size[1]),
        "image_encoder": encoder.eval(),
    }


EXTRA = {
    "looking": looking,
    "several nets": lambda: {"controlnet": [peer_controlnet(4), peer_controlnet(5)], "safety_checker": None},
    "no zeros for no prompt": lambda: {"force_zeros_for_empty_prompt": False},
}


def film(kind: str) -> Any:
    """The peer's checkpoint of Helios."""
    torch.manual_seed(7)
    name, config = helios.SCHEDULERS[kind]
    return getattr(diffusers, "HeliosPipeline" if kind == "base" else "HeliosPyramidPipeline")(
        tokenizer=transformers.T5TokenizerFast(vocab=VOCAB, extra_ids=2, model_max_length=512),
        text_encoder=transformers.UMT5EncoderModel(transformers.UMT5Config(**UMT5)).eval(),
        vae=diffusers.AutoencoderKLWan(**VAE).eval(),
        transformer=diffusers.HeliosTransformer3DModel(**TRANSFORMER).eval(),
        scheduler=getattr(diffusers, name)(**config),
        **helios.FLAGS[kind],
    )


def in_one_piece(pipe: Any) -> Any:
    """The pipeline; the guidance of films needs what the transformer says in one piece of memory."""
    return helios.in_one_piece(pipe) if type(pipe).__name__.startswith("Helios") else pipe


def main(home: Path) -> None:
    """All that the peer does between what we begin and what comes back."""
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    torch.linalg.cholesky = helios.robust_cholesky
    (home / "names").write_text(" ".join(dir(diffusers)))
    begin(home / "peers")
    pass_on(diffusers, home / "ours", home / "ours by the peer", in_one_piece)
    put_on(diffusers, home, "adapters", "adapters by the peer", in_one_piece)
    keep_times(diffusers, home / "peers' schedulers")
    keep_times(diffusers, home / "our schedulers by the peer", home / "our schedulers")
    own = import_module("disk_own")  # found as users' modules are, by its own name
    own.begin(home / "peers' own")
    own.again(home / "own", home / "own by the peer")
