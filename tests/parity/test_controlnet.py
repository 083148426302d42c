"""ControlNets against the peer's: what a network says, and the pictures that are made with it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import ControlNetModel as Peer
from diffusers import MultiControlNetModel as PeerMulti
from diffusers import UNet2DConditionModel as PeerUNet

from calotype.models.controlnet import ControlNetModel
from calotype.models.multicontrolnet import MultiControlNetModel
from calotype.models.unet import UNet2DConditionModel

TINY: dict[str, Any] = {
    "block_out_channels": (16, 32, 48),
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "attention_head_dim": 2,
    "cross_attention_dim": 24,
    "conditioning_embedding_out_channels": (8, 16),
}
UP = {"up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D")}
TEXT_TIME = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 20 + 6 * 8,
}


def told(**shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return {name: torch.randn(shape) for name, shape in shapes.items()}


# what the network is made of, beside TINY; what it is told
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "scaled": ({}, {"conditioning_scale": 0.3}),
    "guess mode": ({}, {"guess_mode": True, "conditioning_scale": 0.7}),
    "global pool": ({"global_pool_conditions": True}, {"conditioning_scale": 0.7}),
    "global pool, guess mode": ({"global_pool_conditions": True}, {"guess_mode": True}),
    "bgr": ({"controlnet_conditioning_channel_order": "bgr"}, {}),
    "deep hint": ({"conditioning_embedding_out_channels": (4, 8, 12, 16)}, {"hint": (2, 3, 64, 64)}),
    "five channels": ({"conditioning_channels": 5}, {"hint": (2, 5, 16, 16)}),
    "two layers": ({"layers_per_block": 2}, {}),
    "depths": ({"transformer_layers_per_block": (1, 2, 1)}, {}),
    "heads": ({"attention_head_dim": (2, 4, 8)}, {}),
    "linear projection": ({"use_linear_projection": True}, {}),
    "only cross attention": ({"only_cross_attention": True}, {}),
    "scale shift": ({"resnet_time_scale_shift": "scale_shift"}, {}),
    "plain middle": ({"mid_block_type": "UNetMidBlock2D"}, {}),
    "middle scale": ({"mid_block_scale_factor": 1.4, "norm_eps": 1e-3, "downsample_padding": 0}, {}),
    "time": ({"flip_sin_to_cos": False, "freq_shift": 1, "act_fn": "gelu"}, {}),
    "simple": (
        {
            "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D"),
            "attention_head_dim": 8,
        },
        {},
    ),
    "nine channels": ({"in_channels": 9}, {"channels": 9}),
    "class table": ({"num_class_embeds": 10}, {"class_labels": torch.tensor([3, 7])}),
    "class timestep": ({"class_embed_type": "timestep"}, {"class_labels": torch.tensor([30, 700])}),
    "class identity": ({"class_embed_type": "identity"}, told(class_labels=(2, 64))),
    "class projection": (
        {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 20},
        told(class_labels=(2, 20)),
    ),
    "added text": ({"addition_embed_type": "text", "addition_embed_type_num_heads": 4}, {}),
    "added text and sizes": (TEXT_TIME, {"added_cond_kwargs": told(text_embeds=(2, 20), time_ids=(2, 6))}),
    "odd size": ({}, {"size": (11, 13), "hint": (2, 3, 22, 26)}),
    "one timestep": ({}, {"timestep": 17}),
}


def stirred(network: torch.nn.Module, seed: int = 0) -> Any:
    """The network with every weight moved: those of new ControlNets are zeros where they speak."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


def pair(seed: int = 0, **changes: Any) -> tuple[ControlNetModel, Peer]:
    """Ours and the peer's with the same random weights."""
    peer = stirred(Peer(**{**TINY, **changes}), seed)
    ours = ControlNetModel(**{**TINY, **changes}).eval()
    ours.load_state_dict(peer.state_dict())
    return ours, peer


def inputs(
    size: tuple[int, int] = (8, 8), hint: tuple[int, ...] = (2, 3, 16, 16), channels: int = 4, **rest: Any
) -> dict[str, Any]:
    torch.manual_seed(1)
    sample, states = torch.randn(2, channels, *size), torch.randn(2, 7, 24)
    basic = {"sample": sample, "timestep": torch.tensor([3, 700]), "encoder_hidden_states": states}
    return basic | {"controlnet_cond": torch.rand(hint)} | rest


@torch.no_grad()
def difference(ours: torch.nn.Module, peer: torch.nn.Module, given: dict[str, Any]) -> float:
    """The largest, over all that the networks say."""
    (mine, my_middle), (theirs, their_middle) = (net(**given, return_dict=False) for net in (ours, peer))
    pairs = [*zip(mine, theirs, strict=True), (my_middle, their_middle)]
    assert all(a.shape == b.shape and a.dtype == b.dtype and a.abs().max() > 1e-3 for a, b in pairs)
    return max(float((a - b).abs().max()) for a, b in pairs)


@pytest.mark.parametrize("case", CASES)
def test_says_what_the_peer_says(case: str) -> None:
    changes, given = CASES[case]
    assert difference(*pair(**changes), inputs(**given)) <= 1e-5


def test_true_checkpoints_have_the_same_keys_and_shapes() -> None:
    with torch.device("meta"):
        for config in ({"cross_attention_dim": 768}, TEXT_TIME | {"cross_attention_dim": 2048}):
            ours, peer = (
                {key: value.shape for key, value in kind(**config).state_dict().items()}
                for kind in (ControlNetModel, Peer)
            )
            assert ours == peer


@pytest.mark.parametrize("changes", [{}, TEXT_TIME, {"use_linear_projection": True, "in_channels": 9}], ids=str)
def test_from_a_unet_it_is_the_peers(changes: dict[str, Any]) -> None:
    config = {name: value for name, value in TINY.items() if not name.startswith("conditioning")} | changes | UP
    peer_unet = stirred(PeerUNet(**config))
    unet = UNet2DConditionModel(**config)
    unet.load_state_dict(peer_unet.state_dict())
    options = dict(controlnet_conditioning_channel_order="bgr", conditioning_embedding_out_channels=(8, 16))
    peer, ours = Peer.from_unet(peer_unet, **options), ControlNetModel.from_unet(unet, **options)
    told_apart = ("_use_default_values",)
    assert {k: v for k, v in ours.config.items() if k not in told_apart} == {
        k: v for k, v in peer.config.items() if k not in told_apart
    }
    theirs, mine = peer.state_dict(), ours.state_dict()
    fresh = [key for key in theirs if key.startswith("controlnet_cond_embedding") and "conv_out" not in key]
    assert theirs.keys() == mine.keys()
    assert all(torch.equal(theirs[key], mine[key]) for key in theirs if key not in fresh)


@pytest.mark.parametrize("guess_mode", [False, True])
def test_several_say_what_the_peers_several_say(guess_mode: bool) -> None:
    nets = [pair(0), pair(1)]
    ours, peer = MultiControlNetModel([mine for mine, _ in nets]), PeerMulti([theirs for _, theirs in nets])
    given = inputs()
    hints = [given["controlnet_cond"], torch.rand(2, 3, 16, 16)]
    given |= {"controlnet_cond": hints, "conditioning_scale": [0.5, 0.8], "guess_mode": guess_mode}
    assert difference(ours, peer, given) <= 1e-5


def test_files_of_several_go_both_ways(tmp_path: Any) -> None:
    nets = [pair(0), pair(1), pair(2)]
    PeerMulti([theirs for _, theirs in nets]).save_pretrained(str(tmp_path / "theirs"))
    MultiControlNetModel([mine for mine, _ in nets]).save_pretrained(tmp_path / "ours")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{whose}{number}" for whose in ("ours", "theirs") for number in ("", "_1", "_2")
    )
    loaded = [
        MultiControlNetModel.from_pretrained(tmp_path / "theirs"),
        PeerMulti.from_pretrained(str(tmp_path / "ours")),
    ]
    for found in loaded:
        assert len(found.nets) == 3
        for net, (mine, _) in zip(found.nets, nets, strict=True):
            assert all(torch.equal(value, mine.state_dict()[key]) for key, value in net.state_dict().items())
