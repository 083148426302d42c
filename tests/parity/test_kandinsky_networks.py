"""Kandinsky's networks compute what the peer's compute, and their files go both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.pipelines.kandinsky.text_encoder import MCLIPConfig as PeerConfig
from diffusers.pipelines.kandinsky.text_encoder import MultilingualCLIP as PeerCLIP
from torch import Tensor, nn

from calotype.models.multilingual_clip import MCLIPConfig, MultilingualCLIP
from calotype.models.prior_transformer import PriorTransformer
from calotype.models.unet import UNet2DConditionModel
from calotype.models.vq_model import VQModel
from tests.tiny import (
    KANDINSKY,
    MCLIP_CONFIG,
    MOVQ_CONFIG,
    PRIOR_CONFIG,
    tiny_kandinsky_unet,
    tiny_movq,
    tiny_multilingual_clip,
    tiny_prior,
)

PRIORS: dict[str, dict[str, Any]] = {
    "kandinsky": {},
    "other widths and norms": {
        "embedding_proj_dim": 5,
        "clip_embed_dim": 9,
        "time_embed_dim": 20,
        "time_embed_act_fn": "gelu",
        "norm_in_type": "layer",
        "embedding_proj_norm_type": "layer",
    },
    "no token that asks": {"added_emb_type": None, "additional_embeddings": 3},
}
MOVQS: dict[str, dict[str, Any]] = {
    "kandinsky": {},
    "group norms": {"norm_type": "group", "vq_embed_dim": 3, "in_channels": 4, "out_channels": 2},
    "no attention in the middle": {"mid_block_add_attention": False, "act_fn": "gelu", "norm_num_groups": 16},
}
# the published configs
TRUE_PRIOR = {"num_attention_heads": 32, "attention_head_dim": 64, "num_layers": 20}
TRUE_MOVQ = {
    "block_out_channels": (128, 256, 256, 512),
    "down_block_types": (*("DownEncoderBlock2D",) * 3, "AttnDownEncoderBlock2D"),
    "up_block_types": ("AttnUpDecoderBlock2D", *("UpDecoderBlock2D",) * 3),
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_type": "spatial",
    "num_vq_embeddings": 16384,
    "vq_embed_dim": 4,
}
TRUE_TEXT = {
    "vocab_size": 250002,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
}
IDS = torch.tensor([[0, 5, 2, 1, 1], [0, 7, 8, 9, 2]])
STANDS = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=2e-5, rtol=0)


def like(ours: nn.Module, peer: nn.Module) -> Any:
    """The peer's network with our weights."""
    peer.load_state_dict(ours.state_dict())
    return peer.eval()


def peer_text(**config: Any) -> PeerCLIP:
    names = {name: value for name, value in config.items() if name not in ("transformerDimensions", "numDims")}
    return PeerCLIP(PeerConfig(config["hidden_size"], config.get("numDims", 768), **names))


def shapes(network: nn.Module) -> dict[str, Any]:
    return {key: tensor.shape for key, tensor in network.state_dict().items()}


def test_true_checkpoints_have_the_same_keys_and_shapes() -> None:
    with torch.device("meta"):
        assert shapes(PriorTransformer(**TRUE_PRIOR)) == shapes(diffusers.PriorTransformer(**TRUE_PRIOR))
        assert shapes(VQModel(**TRUE_MOVQ)) == shapes(diffusers.VQModel(**TRUE_MOVQ))
        ours = MultilingualCLIP(MCLIPConfig(1024, 768, **TRUE_TEXT))
        assert shapes(ours) == shapes(peer_text(**TRUE_TEXT))


@pytest.mark.parametrize(
    ("ours", "peer"), [(PriorTransformer, diffusers.PriorTransformer), (VQModel, diffusers.VQModel)]
)
def test_configs_are_the_peers(ours: Any, peer: Any) -> None:
    with torch.device("meta"):
        configs = [{k: v for k, v in kind().config.items() if not k.startswith("_")} for kind in (ours, peer)]
    assert configs[0] == configs[1]


@torch.no_grad()
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("config", PRIORS.values(), ids=PRIORS)
def test_same_embeddings_of_the_prior(config: dict[str, Any], masked: bool) -> None:
    ours = tiny_prior(**config)
    peer = like(ours, diffusers.PriorTransformer(**PRIOR_CONFIG | config))
    told = torch.randn(2, 24), torch.randn(2, ours.embedding_proj.in_features), torch.randn(2, 77, 24)
    mask = torch.arange(77) < torch.tensor([[5], [77]]) if masked else None
    mine, theirs = (net(told[0], 300, *told[1:], mask).predicted_image_embedding for net in (ours, peer))
    close(mine, theirs)
    tuples = (net(told[0], torch.tensor([7, 900]), *told[1:], mask, return_dict=False)[0] for net in (ours, peer))
    close(*tuples)
    close(ours.post_process_latents(mine), peer.post_process_latents(mine))


@torch.no_grad()
@pytest.mark.parametrize("asks", [False, True])
def test_a_prior_of_places_answers_as_the_peers(asks: bool) -> None:
    config = {"encoder_hid_proj_type": None, "additional_embeddings": 0, "num_embeddings": 7}
    config["added_emb_type"] = "prd" if asks else None
    ours = tiny_prior(**config)
    peer = like(ours, diffusers.PriorTransformer(**PRIOR_CONFIG | config))
    places, told = torch.randn(2, 7, 24), torch.randn(2, 24)
    close(*(net(places, 3, told).predicted_image_embedding for net in (ours, peer)))


@torch.no_grad()
@pytest.mark.parametrize("config", MOVQS.values(), ids=MOVQS)
def test_same_latents_and_same_pictures(config: dict[str, Any]) -> None:
    ours = tiny_movq(**config)
    peer = like(ours, diffusers.VQModel(**MOVQ_CONFIG | config))
    pixels = torch.randn(2, ours.config.in_channels, 16, 24)
    latents = peer.encode(pixels).latents
    close(ours.encode(pixels, return_dict=False)[0], latents)
    for as_they_are in (False, True):
        mine, theirs = (net.decode(latents, as_they_are) for net in (ours, peer))
        close(mine.sample, theirs.sample)
        close(mine.commit_loss, theirs.commit_loss)
        close(ours.decode(latents, as_they_are, return_dict=False)[0], theirs.sample)
    if ours.config.in_channels == ours.config.out_channels:
        close(ours(pixels).sample, peer(pixels).sample)


@torch.no_grad()
def test_same_pictures_of_indices() -> None:
    ours = tiny_movq(lookup_from_codebook=True)
    peer = like(ours, diffusers.VQModel(**MOVQ_CONFIG, lookup_from_codebook=True))
    indices = torch.randint(0, 12, (2 * 8 * 12,))
    close(*(net.decode(indices, True, shape=(2, 8, 12, 4)).sample for net in (ours, peer)))


def test_same_gradients_towards_codes() -> None:
    ours = tiny_movq()
    peer = like(ours, diffusers.VQModel(**MOVQ_CONFIG))
    latents = torch.randn(1, 4, 4, 4, requires_grad=True)
    for leaf in ("latents", "codes"):
        gradients = list[Tensor]()
        for net in (ours, peer):
            codes, loss, *_ = net.quantize(latents)
            wanted = latents if leaf == "latents" else net.quantize.embedding.weight
            gradients += torch.autograd.grad(loss + (codes**3).sum() * (leaf == "latents"), wanted)
        close(*gradients)


@torch.no_grad()
@pytest.mark.parametrize("version", KANDINSKY)
def test_tiny_decoders_predict_what_the_peers_predict(version: str) -> None:
    ours = tiny_kandinsky_unet(version)
    config = {name: value for name, value in ours.config.items() if not name.startswith("_")}
    peer = like(ours, diffusers.UNet2DConditionModel(**config))
    told = {"image_embeds": torch.randn(2, 24)}
    told |= {"hint": torch.rand(2, 3, 128, 128)} if "hint" in version else {}
    told |= {"text_embeds": torch.randn(2, 24)} if version == "2.1" else {}
    words = torch.randn(2, 9, 24) if version == "2.1" else None
    sample = torch.randn(2, 4, 16, 16)
    close(*(net(sample, 500, words, added_cond_kwargs=told).sample for net in (ours, peer)))
    assert list(ours.attn_processors) == list(peer.attn_processors)
    assert isinstance(ours, UNet2DConditionModel)


@torch.no_grad()
def test_same_readings_of_a_text() -> None:
    ours = tiny_multilingual_clip()
    peer = like(ours, peer_text(**MCLIP_CONFIG))
    for mine, theirs in zip(ours(IDS, STANDS), peer(IDS, STANDS), strict=True):
        close(mine, theirs)


@torch.no_grad()
def test_files_of_the_text_encoder_go_both_ways(tmp_path: Path) -> None:
    ours = tiny_multilingual_clip()
    expected = ours(IDS, STANDS)[0]
    ours.save_pretrained(tmp_path / "ours")
    theirs = PeerCLIP.from_pretrained(tmp_path / "ours").eval()
    close(theirs(IDS, STANDS)[0], expected)
    theirs.save_pretrained(tmp_path / "peer")
    close(MultilingualCLIP.from_pretrained(tmp_path / "peer")(IDS, STANDS)[0], expected)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["PriorTransformer", "VQModel"])
def test_files_go_both_ways(kind: str, tmp_path: Path) -> None:
    ours, own = (tiny_prior(), PriorTransformer) if kind == "PriorTransformer" else (tiny_movq(), VQModel)
    ours.save_pretrained(tmp_path / "ours")
    theirs = getattr(diffusers, kind).from_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "peer")
    again = own.from_pretrained(tmp_path / "peer")
    for key, tensor in ours.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor)
    assert {key: value for key, value in again.config.items() if not key.startswith("_")} == {
        key: value for key, value in ours.config.items() if not key.startswith("_")
    }
