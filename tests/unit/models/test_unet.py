from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

from calotype.core.errors import InvalidArgument, UnknownArgument
from calotype.models.layers.processors import AttnProcessor, AttnProcessor2_0, SlicedAttnProcessor
from calotype.models.unet import UNet2DConditionModel

TINY: dict[str, Any] = {
    "block_out_channels": (16, 32),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "attention_head_dim": 4,
    "cross_attention_dim": 24,
}
SIMPLE: dict[str, Any] = TINY | {
    "down_block_types": ("SimpleCrossAttnDownBlock2D", "ResnetDownsampleBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("ResnetUpsampleBlock2D", "SimpleCrossAttnUpBlock2D"),
}


def unet(**config: Any) -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(**TINY | config).eval()


def inputs(size: tuple[int, int] = (8, 8)) -> tuple[torch.Tensor, int, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, 4, *size), 7, torch.randn(2, 5, 24)


@torch.no_grad()
def predict(network: UNet2DConditionModel, *given: Any, **options: Any) -> torch.Tensor:
    named = dict(zip(("sample", "timestep", "encoder_hidden_states"), given or inputs(), strict=True))
    return network(**named | options).sample


def test_the_output_is_read_by_name_by_place_or_as_a_tuple() -> None:
    network = unet()
    output = network(*inputs())
    (bare,) = network(*inputs(), return_dict=False)
    assert torch.equal(output.sample, output[0]) and torch.equal(output["sample"], bare)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (5, 4), (2, 3)], ids=str)
@pytest.mark.parametrize("config", [TINY, SIMPLE], ids=["plain", "simple"])
def test_any_size_goes_in_and_comes_out(config: dict[str, Any], size: tuple[int, int]) -> None:
    assert predict(unet(**config), *inputs(size)).shape == (2, 4, *size)


def test_the_batch_does_not_change_a_prediction() -> None:
    network, (sample, timestep, states) = unet(), inputs()
    alone = predict(network, sample[:1], torch.tensor([timestep]), states[:1])
    assert torch.allclose(predict(network)[:1], alone, atol=1e-6)


def test_layout_does_not_change_a_prediction() -> None:
    network, (sample, timestep, states) = unet(), inputs()
    channels_last = sample.to(memory_format=torch.channels_last)
    assert torch.allclose(predict(network), predict(network, channels_last, timestep, states), atol=1e-5)


def test_weights_assigned_to_a_network_without_memory_make_the_same_one() -> None:
    network = unet(time_embedding_type="fourier")
    with torch.device("meta"):
        empty = UNet2DConditionModel(**TINY | {"time_embedding_type": "fourier"}).eval()
    empty.load_state_dict(network.state_dict(), assign=True)
    assert torch.equal(predict(empty), predict(network))


@pytest.mark.parametrize("again", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])  # noqa: S301
def test_copies_predict_the_same(again: Any) -> None:
    network = unet(addition_embed_type="text", addition_embed_type_num_heads=4, class_embed_type="timestep")
    labels = torch.tensor([3, 4])
    assert torch.equal(predict(again(network), class_labels=labels), predict(network, class_labels=labels))


def test_a_call_changes_neither_the_network_nor_what_it_was_given() -> None:
    network = unet()
    network.enable_freeu(0.9, 0.2, 1.2, 1.4)
    residuals = [torch.randn(2, 16, 8, 8), torch.randn(2, 32, 4, 4)]
    given = {
        "cross_attention_kwargs": {"scale": 0.5},
        "down_intrablock_additional_residuals": residuals,
        "encoder_attention_mask": torch.ones(2, 5),
    }
    before, network_before = copy.deepcopy((inputs(), given)), pickle.dumps(network)
    arguments = inputs()
    first = predict(network, *arguments, **given)
    assert torch.equal(predict(network, *arguments, **given), first)
    assert pickle.dumps(network) == network_before
    assert str((arguments, given)) == str(before)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"down_block_types": ("AttnDownBlock2D", "DownBlock2D")}, "down_block_types.*'AttnDownBlock2D'"),
        ({"up_block_types": ("UpBlock2D", "SkipUpBlock2D")}, "up_block_types.*'SkipUpBlock2D'"),
        ({"mid_block_type": "UNetMidBlock3D"}, "mid_block_type.*UNetMidBlock2DCrossAttn.*'UNetMidBlock3D'"),
        ({"up_block_types": ("UpBlock2D",)}, "up_block_types: expected .*2 of them, found 1"),
        ({"block_out_channels": (16,)}, "block_out_channels: expected .*2 of them, found 1"),
        ({"layers_per_block": (1, 1, 1)}, "layers_per_block: expected .*2 of them, found 3"),
        ({"attention_head_dim": (2,)}, "attention_head_dim"),
        ({"num_attention_heads": (2,)}, "num_attention_heads"),
        ({"cross_attention_dim": (2,)}, "cross_attention_dim"),
        ({"only_cross_attention": (True,)}, "only_cross_attention"),
        ({"transformer_layers_per_block": (1, 2, 3)}, "transformer_layers_per_block"),
        ({"transformer_layers_per_block": ((1, 1), 2)}, r"transformer_layers_per_block\[0\]"),
        ({"reverse_transformer_layers_per_block": (1,)}, "reverse_transformer_layers_per_block"),
        ({"reverse_transformer_layers_per_block": ((1,), 1)}, r"reverse_transformer_layers_per_block\[0\]"),
        ({"dual_cross_attention": True}, "dual_cross_attention.*true"),
        ({"attention_type": "gated"}, 'attention_type.*"default".*"gated"'),
        ({"resnet_time_scale_shift": "spatial"}, "resnet_time_scale_shift.*scale_shift"),
        ({"time_embedding_type": "cosine"}, "time_embedding_type.*fourier"),
        ({"class_embed_type": "word"}, "class_embed_type.*simple_projection"),
        ({"class_embed_type": "projection"}, "projection_class_embeddings_input_dim"),
        ({"addition_embed_type": "sound"}, "addition_embed_type.*image_hint"),
        ({"addition_embed_type": "text_time"}, "addition_time_embed_dim"),
        ({"addition_embed_type": "image"}, "encoder_hid_dim"),
        ({"encoder_hid_dim_type": "text_proj"}, "encoder_hid_dim"),
        ({"encoder_hid_dim_type": "sound_proj", "encoder_hid_dim": 4}, "encoder_hid_dim_type.*image_proj"),
        ({"cross_attention_norm": "batch"}, "cross_attention_norm.*group_norm"),
        ({"act_fn": "tan"}, "act_fn.*silu.*'tan'"),
        ({"time_embedding_act_fn": "tan"}, "time_embedding_act_fn.*'tan'"),
        ({"timestep_post_act": "tan"}, "timestep_post_act.*'tan'"),
        ({"norm_num_groups": None}, "norm_num_groups"),
        ({"layers_per_block": 0}, "layers_per_block"),
    ],
    ids=str,
)
def test_a_config_that_makes_no_network_is_refused_by_name(config: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgument, match=named):
        unet(**config)


@pytest.mark.parametrize(
    ("config", "options", "error", "named"),
    [
        ({}, {"cross_attention_kwargs": {"scael": 1}}, UnknownArgument, "'scael'.*scale"),
        ({}, {"added_cond_kwargs": {"text_embeds": 1}}, UnknownArgument, "'text_embeds'.*no entries"),
        ({}, {"encoder_hidden_states": None}, InvalidArgument, "encoder_hidden_states.*None"),
        ({}, {"class_labels": torch.tensor([1, 2])}, InvalidArgument, "class_labels"),
        ({"num_class_embeds": 3}, {}, InvalidArgument, "class_labels"),
        ({}, {"timestep_cond": torch.zeros(2, 4)}, InvalidArgument, "timestep_cond.*time_cond_proj_dim"),
        ({}, {"down_block_additional_residuals": []}, InvalidArgument, "mid_block_additional_residual"),
        (
            {},
            {"down_block_additional_residuals": [], "mid_block_additional_residual": torch.zeros(2, 32, 4, 4)},
            InvalidArgument,
            "down_block_additional_residuals: expected 4 tensors, found 0",
        ),
        ({"addition_embed_type": "image", "encoder_hid_dim": 20}, {}, InvalidArgument, "'image_embeds', found none"),
        (
            {"addition_embed_type": "text_image"},
            {"added_cond_kwargs": {"image_embeds": torch.zeros(2, 24), "text_embed": torch.zeros(2, 24)}},
            UnknownArgument,
            "'text_embed'.*image_embeds, text_embeds",
        ),
    ],
    ids=str,
)
def test_a_call_that_would_mislead_is_refused_by_name(
    config: dict[str, Any], options: dict[str, Any], error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        predict(unet(**config), **options)


def test_the_scale_of_adapters_is_no_concern_of_processors() -> None:
    network = unet()
    assert torch.equal(predict(network, cross_attention_kwargs={"scale": 0.3}), predict(network))


def test_the_number_of_heads_may_go_by_its_own_name() -> None:
    layers = unet(num_attention_heads=(2, 8), attention_head_dim=4).attention_layers()
    assert {layer.heads for name, layer in layers.items() if name.startswith(("down_blocks.0", "up_blocks.1"))} == {2}
    assert {layer.heads for name, layer in layers.items() if name.startswith("mid")} == {8}


@pytest.mark.parametrize("config", [TINY, SIMPLE], ids=["plain", "simple"])
@pytest.mark.parametrize("slice_size", ["auto", "max", 1, 2], ids=str)
def test_slices_predict_exactly_the_same(config: dict[str, Any], slice_size: Any) -> None:
    network = unet(**config)
    whole = predict(network)
    network.set_attention_slice(slice_size)
    assert all(isinstance(each, SlicedAttnProcessor) for each in network.attn_processors.values())
    assert torch.equal(predict(network), whole)
    network.set_attention_slice(None)
    assert set(network.attn_processors.values()) == {AttnProcessor2_0()}


def test_slices_of_each_layer_and_of_layers_with_one_head() -> None:
    network = unet(attention_head_dim=(1, 4))
    network.set_attention_slice(4)
    sliced = {layer.heads for layer in network.attention_layers().values() if layer.processor == SlicedAttnProcessor(4)}
    assert sliced == {4}
    heads = [layer.heads for layer in network.attention_layers().values()]
    network.set_attention_slice(list(heads))
    assert [each.slice_size for each in network.attn_processors.values()] == heads


@pytest.mark.parametrize("slice_size", [5, 0, "some", [1], [9] * 8], ids=str)
def test_slices_that_do_not_fit_are_refused_and_change_nothing(slice_size: Any) -> None:
    network = unet()
    with pytest.raises(InvalidArgument, match="slice_size"):
        network.set_attention_slice(slice_size)
    assert set(network.attn_processors.values()) == {AttnProcessor2_0()}


def test_processors_are_set_all_at_once_or_each_by_name() -> None:
    network = unet()
    own = {name: AttnProcessor() for name in network.attn_processors}
    network.set_attn_processor(own)
    assert all(network.attn_processors[name] is own[name] for name in own)
    network.set_attn_processor(SlicedAttnProcessor(2))
    assert set(network.attn_processors.values()) == {SlicedAttnProcessor(2)}
    network.set_default_attn_processor()
    assert set(network.attn_processors.values()) == {AttnProcessor2_0()}


@pytest.mark.parametrize("change", ["missing", "misspelt"])
def test_a_dict_of_processors_that_fits_another_network_is_refused(change: str) -> None:
    network = unet()
    processors = dict(network.attn_processors)
    name, processor = processors.popitem()
    if change == "misspelt":
        processors[name + "s"] = processor
    with pytest.raises(
        InvalidArgument, match=rf"{len(processors) + (change == 'missing')} attention layers.*1 missing"
    ):
        network.set_attn_processor(processors)


@pytest.mark.parametrize("config", [TINY, SIMPLE], ids=["plain", "simple"])
def test_unfusing_restores_the_network(config: dict[str, Any]) -> None:
    network = unet(**config)
    before, weights = predict(network), copy.deepcopy(network.state_dict())
    network.fuse_qkv_projections()
    assert torch.allclose(predict(network), before, atol=1e-5)
    network.unfuse_qkv_projections()
    assert torch.equal(predict(network), before)
    assert list(weights) == list(network.state_dict())
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


def test_freeu_is_heard_and_taken_back() -> None:
    network = unet()
    before = predict(network)
    network.enable_freeu(s1=0.9, s2=0.2, b1=1.5, b2=1.6)
    assert not torch.allclose(predict(network), before, atol=1e-3)
    network.disable_freeu()
    assert torch.equal(predict(network), before)


def test_a_network_without_attention_needs_no_words() -> None:
    plain = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2, "mid_block_type": None}
    network = unet(**plain)
    assert torch.equal(predict(network, encoder_hidden_states=None), predict(network))
