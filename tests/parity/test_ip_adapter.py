"""IP-Adapters against the peer: the same files, the same pictures told, the same picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
import transformers
from diffusers.image_processor import IPAdapterMaskProcessor as PeerMaskProcessor
from safetensors.torch import save_file

import calotype
from calotype.models.layers.image_attention import spread_over
from tests.ip_adapters import FACE, adapter, faceid, flat
from tests.parity.pairs import mask, pair, picture, save_peer
from tests.parity.test_controlnet_pipelines import peer_controlnet
from tests.parity.test_controlnet_xl_pipelines import save_nets
from tests.parity.test_lora import trained
from tests.parity.test_stable_diffusion_xl import save_peer_xl
from tests.tiny import VISION_CONFIG

SD, XL = "StableDiffusionPipeline", "StableDiffusionXLPipeline"
SIZED = {"height": 32, "width": 32}
TASKS: dict[str, dict[str, Any]] = {
    "": SIZED,
    "Img2Img": dict(image=picture(1), strength=0.8),
    "Inpaint": dict(image=picture(1), mask_image=mask(), strength=0.9, **SIZED),
}
PROMPT = picture(7, (40, 48))
OTHER = picture(8, (48, 40))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"SD": save_peer(tmp_path_factory.mktemp("sd")), "XL": save_peer_xl(tmp_path_factory.mktemp("xl"))}


@pytest.fixture(scope="module")
def adapters(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of adapters with the image encoder beside them."""
    home = tmp_path_factory.mktemp("adapters")
    for family, folder in folders.items():
        (home / family).mkdir()
        torch.manual_seed(5)
        config = transformers.CLIPVisionConfig(**VISION_CONFIG)
        transformers.CLIPVisionModelWithProjection(config).save_pretrained(home / family / "image_encoder")
        unet = calotype.UNet2DConditionModel.from_pretrained(folder, subfolder="unet")
        for seed, kind in enumerate(("base", "plus", "full", "face")):
            halves = adapter(unet, kind, seed)
            save_file(flat(halves), home / family / f"{kind}.safetensors")
            torch.save(halves, home / family / f"{kind}.bin")
        torch.save(faceid(unet), home / family / "faceid.bin")
    return home


def kind_of(family: str, task: str = "") -> str:
    return f"StableDiffusion{'XL' if family == 'XL' else ''}{task}Pipeline"


def loaded(folders: Any, adapters: Path, family: str, *names: str, task: str = "", **options: Any) -> list[Any]:
    """The peer's pipeline and ours with these adapters."""
    pipes = pair(folders[family], kind_of(family, task))
    for pipe in pipes:
        pipe.load_ip_adapter(str(adapters), subfolder=family, weight_name=list(names), **options)
    return pipes


def drawn(pipe: Any, **options: Any) -> Any:
    given = dict(num_inference_steps=3, output_type="np", generator=torch.Generator().manual_seed(0))
    return pipe(**{"prompt": "a red cube", **given, **options}).images


def compare(pipes: list[Any], **options: Any) -> Any:
    theirs, ours = (drawn(pipe, **options) for pipe in pipes)
    assert np.abs(theirs - ours).max() <= 1e-4
    return ours


@pytest.mark.parametrize("family", ["SD", "XL"])
@pytest.mark.parametrize("name", ["base.safetensors", "base.bin", "plus.safetensors", "full.bin"])
def test_every_kind_draws_the_peers_picture(folders, adapters, family, name):
    pipes = loaded(folders, adapters, family, name)
    seen = compare(pipes, ip_adapter_image=PROMPT, **SIZED)
    assert np.abs(seen - compare(pipes, ip_adapter_image=OTHER, **SIZED)).max() > 1e-2


@pytest.mark.parametrize("family", ["SD", "XL"])
@pytest.mark.parametrize("task", ["Img2Img", "Inpaint"])
def test_every_task_looks_at_pictures(folders, adapters, family, task):
    compare(loaded(folders, adapters, family, "plus.bin", task=task), ip_adapter_image=PROMPT, **TASKS[task])


@pytest.mark.parametrize("family", ["SD", "XL"])
def test_without_guidance_and_with_several_pictures_for_a_prompt(folders, adapters, family):
    pipes = loaded(folders, adapters, family, "base.safetensors")
    compare(pipes, ip_adapter_image=PROMPT, guidance_scale=1.0, **SIZED)
    compare(pipes, ip_adapter_image=PROMPT, num_images_per_prompt=2, **SIZED)
    compare(pipes, ip_adapter_image=[[PROMPT, OTHER]], **SIZED)


@pytest.mark.parametrize("name", ["base.bin", "plus.bin", "full.bin"])
def test_state_dicts_have_the_peers_keys(folders, adapters, name):
    theirs, ours = (pipe.unet.state_dict() for pipe in loaded(folders, adapters, "SD", name))
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[key], ours[key]) for key in theirs)


SCALES = [
    0.3,
    [0.6],
    {"down": {"block_1": [0.4]}, "up": {"block_0": [0.0, 0.9]}},
    {"up": {"block_0": 0.8}},
    {"mid": 0.7, "down": 0.2},
    {},
]


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_scales_count_as_the_peers_do(folders, adapters, scale):
    pipes = loaded(folders, adapters, "SD", "base.safetensors")
    for pipe in pipes:
        pipe.set_ip_adapter_scale(scale)
    compare(pipes, ip_adapter_image=PROMPT, **SIZED)


@pytest.mark.parametrize("scale", [[0.2, 0.9], [{"mid": 0.7}, 0.4]], ids=str)
def test_two_adapters_at_once(folders, adapters, scale):
    pipes = loaded(folders, adapters, "SD", "base.safetensors", "plus.safetensors")
    for pipe in pipes:
        pipe.set_ip_adapter_scale(scale)
    compare(pipes, ip_adapter_image=[PROMPT, [OTHER, PROMPT]], **SIZED)


@pytest.mark.parametrize("kind", ["base", "plus"])
@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_embeddings_are_the_peers_and_take_the_pictures_place(folders, adapters, kind, guidance):
    pipes = loaded(folders, adapters, "SD", f"{kind}.bin")
    theirs, ours = (
        pipe.prepare_ip_adapter_image_embeds([[PROMPT, OTHER]], None, "cpu", 2, guidance > 1) for pipe in pipes
    )
    assert [each.shape for each in theirs] == [each.shape for each in ours]
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=0)
    embeds = pipes[0].prepare_ip_adapter_image_embeds(PROMPT, None, "cpu", 1, guidance > 1)
    compare(pipes, ip_adapter_image_embeds=embeds, guidance_scale=guidance, num_images_per_prompt=2, **SIZED)


@pytest.mark.parametrize(("family", "name"), [("SD", "face.bin"), ("SD", "faceid.bin"), ("XL", "faceid.bin")])
def test_faces_are_told_by_their_vectors(folders, adapters, family, name):
    pipes = loaded(folders, adapters, family, name, image_encoder_folder=None)
    vector = torch.randn(1, 1, 1, FACE, generator=torch.Generator().manual_seed(0))
    compare(pipes, ip_adapter_image_embeds=[torch.cat([torch.zeros_like(vector), vector])], **SIZED)


def halves(processor: Any) -> torch.Tensor:
    """A mask for the left half of a picture, and one for the right."""
    left = torch.zeros(1, 1, 32, 32)
    left[..., :16] = 1
    return processor.preprocess(torch.cat([left, 1 - left]), height=32, width=32)


@pytest.mark.parametrize("scale", [0.7, [[0.7, 0.3]]], ids=str)
def test_masks_for_pictures_of_one_adapter(folders, adapters, scale):
    pipes = loaded(folders, adapters, "SD", "base.safetensors")
    masks = halves(PeerMaskProcessor()).reshape(1, 2, 32, 32)
    for pipe in pipes:
        pipe.set_ip_adapter_scale(scale)
    compare(
        pipes,
        ip_adapter_image=[[PROMPT, OTHER]],
        cross_attention_kwargs={"ip_adapter_masks": [masks]},
        **SIZED,
    )


def test_masks_for_adapters_of_one_picture_each(folders, adapters):
    pipes = loaded(folders, adapters, "SD", "base.safetensors", "plus.safetensors")
    options = {"ip_adapter_masks": halves(PeerMaskProcessor())}
    compare(pipes, ip_adapter_image=[PROMPT, OTHER], cross_attention_kwargs=options, **SIZED)


@pytest.mark.parametrize("size", [(64, 64), (64, 48), (50, 40), (40, 64), (33, 65)], ids=str)
@pytest.mark.parametrize("queries", [4, 12, 15, 60, 64])
def test_masks_are_made_small_as_the_peers_are(size, queries):
    drawn = torch.rand(1, *size, generator=torch.Generator().manual_seed(0))
    theirs = PeerMaskProcessor.downsample(drawn, 1, queries, 1)[..., 0]
    assert torch.equal(spread_over(drawn, queries), theirs)


def test_with_a_lora(folders, adapters, tmp_path):
    pipes = loaded(folders, adapters, "SD", "base.safetensors")
    lora = trained(folders["SD"], tmp_path)
    for pipe in pipes:
        pipe.load_lora_weights(lora)
    compare(pipes, ip_adapter_image=PROMPT, **SIZED)


@pytest.mark.parametrize("family", ["SD", "XL"])
@pytest.mark.parametrize("task", ["", "Img2Img", "Inpaint"])
def test_with_a_controlnet(folders, adapters, tmp_path, family, task):
    if family == "SD":
        peer_controlnet(3).save_pretrained(tmp_path / "one")
    else:
        save_nets(tmp_path, folders["XL"])
    pipes = []
    for library in (diffusers, calotype):
        net = library.ControlNetModel.from_pretrained(tmp_path / "one")
        pipe = getattr(library, kind_of(family, f"ControlNet{task}")).from_pretrained(folders[family], controlnet=net)
        pipe.set_progress_bar_config(disable=True)
        pipe.load_ip_adapter(str(adapters), subfolder=family, weight_name="base.safetensors")
        pipes.append(pipe)
    hint = {"control_image" if task else "image": picture(2)}
    compare(pipes, ip_adapter_image=PROMPT, **{**TASKS[task], **hint})
