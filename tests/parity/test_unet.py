"""UNets with the peer's weights predict what the peer predicts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel as Peer
from diffusers.models.attention_processor import AttnProcessor as PeerAttnProcessor

from calotype.models.layers.processors import AttnProcessor
from calotype.models.unet import UNet2DConditionModel
from tests.configs import UNETS

TINY: dict[str, Any] = {
    "block_out_channels": (16, 32, 48),
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "attention_head_dim": 2,
    "cross_attention_dim": 24,
}
SIMPLE = TINY | {
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "attention_head_dim": 8,
}
MIXED = TINY | {
    "down_block_types": ("DownBlock2D", "SimpleCrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("ResnetUpsampleBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"),
    "attention_head_dim": 4,
}


def told(**shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def added(**shapes: tuple[int, ...]) -> dict[str, Any]:
    return {"added_cond_kwargs": told(**shapes)}


# what the network is made of, beside TINY, SIMPLE or MIXED; what it is told
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": (TINY, {}),
    "simple": (SIMPLE, {}),
    "mixed": (MIXED, {}),
    "no_mid": (TINY | {"mid_block_type": None}, {}),
    "plain_mid": (TINY | {"mid_block_type": "UNetMidBlock2D"}, {}),
    "linear_projection": (TINY | {"use_linear_projection": True}, {}),
    "only_cross_attention": (TINY | {"only_cross_attention": True}, {}),
    "only_cross_attention_somewhere": (SIMPLE | {"only_cross_attention": (False, True, False)}, {}),
    "simple_only_cross_attention": (SIMPLE | {"only_cross_attention": True}, {}),
    "simple_mid_only_cross_attention": (SIMPLE | {"mid_block_only_cross_attention": True}, {}),
    "depth_per_block": (TINY | {"transformer_layers_per_block": (1, 2, 3)}, {}),
    "depth_per_layer": (
        TINY
        | {
            "layers_per_block": 2,
            "transformer_layers_per_block": (1, (1, 2), (2, 1)),
            "reverse_transformer_layers_per_block": ((1, 1, 1), (2, 1, 1), 2),
        },
        {},
    ),
    "per_block": (
        TINY
        | {
            "layers_per_block": (1, 2, 1),
            "attention_head_dim": (2, 4, 6),
            "cross_attention_dim": (24, 24, 24),
        },
        {},
    ),
    "scale_shift": (SIMPLE | {"resnet_time_scale_shift": "scale_shift"}, {}),
    "skip_time_act": (SIMPLE | {"resnet_skip_time_act": True}, {}),
    "skip_time_act_mixed": (MIXED | {"resnet_skip_time_act": True, "resnet_out_scale_factor": 1.5}, {}),
    "out_scale_factor": (SIMPLE | {"resnet_out_scale_factor": 1.4142, "mid_block_scale_factor": 2.0}, {}),
    "mid_scale_factor": (TINY | {"mid_block_scale_factor": 1.5}, {}),
    "cross_layer_norm": (
        SIMPLE | {"cross_attention_norm": "layer_norm", "block_out_channels": (24,) * 3, "attention_head_dim": 12},
        {},
    ),
    "cross_group_norm": (
        SIMPLE | {"cross_attention_norm": "group_norm", "cross_attention_dim": 32},
        {"words": 32},
    ),
    "kernels": (TINY | {"conv_in_kernel": 5, "conv_out_kernel": 1}, {}),
    "centered": (TINY | {"center_input_sample": True}, {}),
    "channels": (TINY | {"in_channels": 9, "out_channels": 8}, {"channels": 9}),
    "mish": (TINY | {"act_fn": "mish", "class_embed_type": "timestep"}, {"class_labels": torch.tensor([3, 40])}),
    "gelu": (SIMPLE | {"act_fn": "gelu"}, {}),
    "eps": (TINY | {"norm_eps": 1e-3, "dropout": 0.3}, {}),
    "time": (TINY | {"flip_sin_to_cos": False, "freq_shift": 1, "time_embedding_dim": 40}, {}),
    "time_acts": (TINY | {"time_embedding_act_fn": "silu", "timestep_post_act": "gelu"}, {}),
    "fourier": (TINY | {"time_embedding_type": "fourier"}, {"timestep": torch.tensor([0.3, 0.7])}),
    "fourier_width": (
        TINY | {"time_embedding_type": "fourier", "time_embedding_dim": 36, "flip_sin_to_cos": False},
        {"timestep": 0.25},
    ),
    "guidance_embedding": (TINY | {"time_cond_proj_dim": 12}, told(timestep_cond=(2, 12))),
    "downsample_padding": (TINY | {"downsample_padding": 0}, {}),
    "class_table": (TINY | {"num_class_embeds": 10}, {"class_labels": torch.tensor([3, 7])}),
    "class_timestep": (TINY | {"class_embed_type": "timestep"}, {"class_labels": torch.tensor([30, 700])}),
    "class_identity": (TINY | {"class_embed_type": "identity"}, told(class_labels=(2, 64))),
    "class_projection": (
        TINY | {"class_embed_type": "projection", "projection_class_embeddings_input_dim": 20},
        told(class_labels=(2, 20)),
    ),
    "class_simple_projection": (
        TINY | {"class_embed_type": "simple_projection", "projection_class_embeddings_input_dim": 20},
        told(class_labels=(2, 20)),
    ),
    "class_concat": (
        TINY | {"class_embed_type": "identity", "class_embeddings_concat": True},
        told(class_labels=(2, 64)),
    ),
    "added_text": (TINY | {"addition_embed_type": "text", "addition_embed_type_num_heads": 4}, {}),
    "added_text_time": (
        TINY
        | {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 20 + 6 * 8,
        },
        added(text_embeds=(2, 20), time_ids=(2, 6)),
    ),
    "added_text_image": (
        SIMPLE | {"addition_embed_type": "text_image"},
        added(text_embeds=(2, 24), image_embeds=(2, 24)),
    ),
    "kandinsky21": (
        SIMPLE
        | {"addition_embed_type": "text_image", "encoder_hid_dim": 20, "encoder_hid_dim_type": "text_image_proj"},
        {"words": 20} | added(text_embeds=(2, 24), image_embeds=(2, 24)),
    ),
    "kandinsky22": (
        SIMPLE | {"addition_embed_type": "image", "encoder_hid_dim": 20, "encoder_hid_dim_type": "image_proj"},
        {"words": None} | added(image_embeds=(2, 20)),
    ),
    "kandinsky22_hint": (
        SIMPLE
        | {
            "in_channels": 8,
            "addition_embed_type": "image_hint",
            "encoder_hid_dim": 20,
            "encoder_hid_dim_type": "image_proj",
        },
        {"words": None} | added(image_embeds=(2, 20), hint=(2, 3, 64, 64)),
    ),
    "text_projection": (TINY | {"encoder_hid_dim": 20}, {"words": 20}),
    "text_and_projection": (
        TINY | {"addition_embed_type": "text", "addition_embed_type_num_heads": 4, "encoder_hid_dim": 20},
        {"words": 20},
    ),
    "words_masked": (TINY, {"encoder_attention_mask": torch.tensor([[1, 1, 0, 1, 1, 0, 0], [1, 0, 0, 1, 1, 1, 1]])}),
    "simple_words_masked": (
        SIMPLE,
        {"encoder_attention_mask": torch.tensor([[1, 1, 0, 1, 1, 0, 0], [1, 0, 0, 1, 1, 1, 1]])},
    ),
    "simple_masked": (SIMPLE, {"attention_mask": torch.tensor([[1, 1, 0, 1, 1, 0, 0], [1, 0, 0, 1, 1, 1, 1]])}),
    "one_pixel_masked": (
        TINY | {"down_block_types": ("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D")}
        | {"up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D")},
        {"attention_mask": torch.tensor([[1, 1, 0, 1], [1, 0, 0, 1]])},
    ),
    "odd_size": (TINY, {"size": (11, 13)}),
    "small": (TINY, {"size": (4, 4)}),
    "scalar_timestep": (TINY, {"timestep": 17}),
    "tensor_timestep": (TINY, {"timestep": torch.tensor(17)}),
    "controlnet": (
        TINY,
        {
            "down_block_additional_residuals": [
                torch.randn(2, channels, size, size)
                for channels, size in ((16, 8), (16, 8), (16, 4), (32, 4), (32, 2), (48, 2))
            ],
            "mid_block_additional_residual": torch.randn(2, 48, 2, 2),
        },
    ),
    "t2i_adapter": (
        TINY,
        {
            "down_intrablock_additional_residuals": [
                torch.randn(2, 16, 8, 8),
                torch.randn(2, 32, 4, 4),
                torch.randn(2, 48, 2, 2),
            ]
        },
    ),
    "t2i_adapter_with_middle": (
        MIXED | {"down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D")},
        {
            "down_intrablock_additional_residuals": [
                torch.randn(2, 16, 4, 4),
                torch.randn(2, 32, 4, 4),
                torch.randn(2, 48, 2, 2),
                torch.randn(2, 48, 2, 2),
            ]
        },
    ),
}  # fmt: skip


def pair(config: dict[str, Any]) -> tuple[UNet2DConditionModel, Peer]:
    """Ours and the peer's with the same random weights."""
    torch.manual_seed(0)
    peer = Peer(**config).eval()
    with torch.no_grad():
        for parameter in peer.parameters():  # norms too: their first weights are ones and zeros
            parameter.add_(0.02 * torch.randn_like(parameter))
    ours = UNet2DConditionModel(**config).eval()
    ours.load_state_dict(peer.state_dict())
    return ours, peer


def inputs(
    words: int | None = 24, channels: int = 4, size: tuple[int, int] = (8, 8), timestep: Any = None, **rest: Any
) -> dict[str, Any]:
    states = torch.randn(2, 7, words or 24) if words else None
    timestep = torch.tensor([3, 700]) if timestep is None else timestep
    return {"sample": torch.randn(2, channels, *size), "timestep": timestep, "encoder_hidden_states": states} | rest


@torch.no_grad()
def difference(ours: UNet2DConditionModel, peer: Peer, given: dict[str, Any]) -> float:
    copies = {name: list(value) if isinstance(value, list) else value for name, value in given.items()}
    theirs = peer(**copies).sample  # the peer empties its lists
    mine = ours(**given).sample
    assert mine.shape == theirs.shape and mine.dtype == theirs.dtype
    assert torch.isfinite(mine).all() and mine.std() > 0
    return float((mine - theirs).abs().max())


@pytest.mark.parametrize("case", CASES)
def test_predicts_what_the_peer_predicts(case: str) -> None:
    config, given = CASES[case]
    assert difference(*pair(config), inputs(**given)) <= 1e-5


@pytest.mark.parametrize("name", UNETS)
def test_true_checkpoints_have_the_same_keys_and_shapes(name: str) -> None:
    with torch.device("meta"):
        ours, peer = UNet2DConditionModel(**UNETS[name]), Peer(**UNETS[name])
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in peer.state_dict().items()}


@pytest.mark.parametrize("config", [TINY, SIMPLE], ids=["plain", "simple"])
def test_attention_layers_have_the_same_names_in_the_same_order(config: dict[str, Any]) -> None:
    ours, peer = pair(config)
    assert list(ours.attn_processors) == list(peer.attn_processors)


@pytest.mark.parametrize("config", [TINY, SIMPLE], ids=["plain", "simple"])
def test_bfloat16_differs_by_roundings_only(config: dict[str, Any]) -> None:
    ours, peer = (network.to(torch.bfloat16) for network in pair(config))
    given = {name: value.to(torch.bfloat16) if value.is_floating_point() else value for name, value in inputs().items()}
    assert difference(ours, peer, given) <= 0.02


@pytest.mark.parametrize("size", [(8, 8), (16, 24), (4, 4), (11, 13)], ids=str)
def test_freeu(size: tuple[int, int]) -> None:
    ours, peer = pair(TINY)
    given = inputs(size=size)
    for network in (ours, peer):
        network.enable_freeu(s1=0.9, s2=0.2, b1=1.2, b2=1.4)
    assert difference(ours, peer, given) <= 1e-5
    for network in (ours, peer):
        network.disable_freeu()
    assert difference(ours, peer, given) <= 1e-5


@pytest.mark.parametrize("slice_size", ["auto", "max", 2])
def test_attention_slices(slice_size: Any) -> None:
    ours, peer = pair(TINY | {"attention_head_dim": 4})
    for network in (ours, peer):
        network.set_attention_slice(slice_size)
    assert difference(ours, peer, inputs()) <= 1e-5


def test_fused_projections() -> None:
    ours, peer = pair(TINY)
    for network in (ours, peer):
        network.fuse_qkv_projections()
    assert difference(ours, peer, inputs()) <= 1e-5


@pytest.mark.parametrize("options", [{"upcast_attention": True}, {}], ids=["upcast", "plain"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_scores_written_out(options: dict[str, Any], dtype: torch.dtype) -> None:
    ours, peer = (network.to(dtype) for network in pair(TINY | options))
    ours.set_attn_processor(AttnProcessor())
    peer.set_attn_processor(PeerAttnProcessor())
    given = {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs().items()}
    assert difference(ours, peer, given) <= (1e-5 if dtype == torch.float32 else 0.02)


class Cross:
    """A processor as users write them: every part of the layer is asked for by name."""

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
        extra: float = 0.0,
    ) -> torch.Tensor:
        assert attn.spatial_norm is None and attn.group_norm is None and not attn.residual_connection
        states = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        if attn.norm_cross:
            states = attn.norm_encoder_hidden_states(states)
        mask = attn.prepare_attention_mask(attention_mask, states.shape[1], len(hidden_states))
        query, key, value = (
            attn.head_to_batch_dim(layer(each))
            for layer, each in ((attn.to_q, hidden_states), (attn.to_k, states), (attn.to_v, states))
        )
        scores = attn.get_attention_scores(query, key, mask) * self.strength + extra
        seen = attn.batch_to_head_dim(torch.bmm(scores, value))
        return attn.to_out[1](attn.to_out[0](seen)) / attn.rescale_output_factor


def test_processors_of_users_run_as_they_are() -> None:
    ours, peer = pair(TINY)
    for network in (ours, peer):
        network.set_attn_processor({name: Cross(i / 3) for i, name in enumerate(network.attn_processors)})
    mask = torch.tensor([[1, 1, 0, 1, 1, 0, 0], [1, 0, 0, 1, 1, 1, 1]])
    given = inputs(encoder_attention_mask=mask, cross_attention_kwargs={"extra": 0.1})
    assert difference(ours, peer, given) <= 1e-5
