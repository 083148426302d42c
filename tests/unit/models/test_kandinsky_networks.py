"""What Kandinsky's networks hold to, and how they refuse what would mislead."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from calotype.core.errors import InvalidArgument, UnknownArgument
from calotype.core.names import component_class, written_as
from calotype.models.multilingual_clip import MCLIPConfig, MultilingualCLIP
from calotype.models.prior_transformer import PriorTransformer
from calotype.models.vq_model import VQModel
from tests.tiny import (
    MCLIP_CONFIG,
    MOVQ_CONFIG,
    PRIOR_CONFIG,
    tiny_kandinsky_unet,
    tiny_movq,
    tiny_multilingual_clip,
    tiny_prior,
)


@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("diffusers", "PriorTransformer"),
        ("diffusers", "UnCLIPScheduler"),
        ("diffusers", "VQModel"),
        ("kandinsky", "MultilingualCLIP"),
        ("transformers", "CLIPTextModelWithProjection"),
        ("transformers", "CLIPVisionModelWithProjection"),
        ("transformers", "XLMRobertaTokenizer"),
    ],
)
def test_files_name_the_classes_as_the_ecosystem_does(library: str, name: str) -> None:
    found = component_class(library, name, "model_index.json")
    assert found.__name__ == name
    assert written_as(found.__new__(found)) == [library, name]


def test_the_fast_tokenizer_of_old_files_is_the_one_there_is() -> None:
    assert component_class("transformers", "XLMRobertaTokenizerFast", "here").__name__ == "XLMRobertaTokenizer"


@torch.no_grad()
def test_what_a_mask_hides_changes_nothing() -> None:
    prior, encoder = tiny_prior(), tiny_multilingual_clip()
    told, words = (torch.randn(1, 24), torch.randn(1, 24)), torch.randn(2, 77, 24)
    words[1, :5] = words[0, :5]
    mask = (torch.arange(77) < 5)[None]
    ours = [prior(told[0], 3, told[1], each[None], mask).predicted_image_embedding for each in words]
    torch.testing.assert_close(*ours)
    stands = torch.tensor([[1, 1, 1, 0, 0]])
    texts = [encoder(torch.tensor([[0, 5, 2, *rest]]), stands)[0] for rest in ((7, 8), (9, 4))]
    torch.testing.assert_close(*texts)


@torch.no_grad()
def test_codes_are_decoded_as_they_are() -> None:
    movq = tiny_movq()
    codes = movq.quantize.look_up(torch.randint(0, 12, (1, 6, 8)), (1, 6, 8, 4))
    rounded, plain = movq.decode(codes), movq.decode(codes, force_not_quantize=True)
    assert rounded.commit_loss == 0
    torch.testing.assert_close(rounded.sample, plain.sample)


def test_gradients_pass_by_the_codebook() -> None:
    movq = tiny_movq()
    latents = torch.randn(1, 4, 4, 4, requires_grad=True)
    codes, _ = movq.quantize(latents)
    weights = torch.randn_like(codes)
    (gradient,) = torch.autograd.grad((codes * weights).sum(), latents)
    torch.testing.assert_close(gradient, weights)


def refused(error: type[Exception], *named: str) -> Any:
    return pytest.raises(error, match=".*".join(map(re.escape, named)))


@pytest.mark.parametrize(
    ("kind", "base", "config", "named"),
    [
        (PriorTransformer, PRIOR_CONFIG, {"norm_in_type": "group"}, "norm_in_type"),
        (PriorTransformer, PRIOR_CONFIG, {"added_emb_type": "sound"}, "added_emb_type"),
        (PriorTransformer, PRIOR_CONFIG, {"time_embed_act_fn": "loud"}, "act_fn"),
        (PriorTransformer, PRIOR_CONFIG, {"num_layers": 0}, "num_layers"),
        (VQModel, MOVQ_CONFIG, {"norm_type": "batch"}, "norm_type"),
        (VQModel, MOVQ_CONFIG, {"vq_embed_dim": 3}, "vq_embed_dim"),
        (VQModel, MOVQ_CONFIG, {"up_block_types": ("UpDecoderBlock2D",)}, "up_block_types"),
        (VQModel, MOVQ_CONFIG, {"block_out_channels": (32, 48)}, "block_out_channels"),
        (MultilingualCLIP, MCLIP_CONFIG, {"num_attention_heads": 3}, "num_attention_heads"),
        (MultilingualCLIP, MCLIP_CONFIG, {"transformerDimensions": 8}, "transformerDimensions"),
        (MultilingualCLIP, MCLIP_CONFIG, {"hidden_act": "loud"}, "hidden_act"),
        (MultilingualCLIP, MCLIP_CONFIG, {"pad_token_id": 16}, "pad_token_id"),
    ],
)
def test_a_config_that_makes_no_network_is_refused_by_name(
    kind: Any, base: dict[str, Any], config: dict[str, Any], named: str
) -> None:
    with refused(InvalidArgument, named):
        kind(**base | config)


def test_a_config_with_unknown_names_is_refused() -> None:
    with refused(UnknownArgument, "hide_size", "hidden_size"):
        MCLIPConfig(16, 24, hide_size=16)


def test_a_prior_refuses_what_it_cannot_read() -> None:
    prior, embeds = tiny_prior(), torch.randn(2, 24)
    words = torch.randn(2, 77, 24)
    for arguments, named in (
        ((embeds, 3, embeds), "encoder_hidden_states"),
        ((torch.randn(2, 23), 3, embeds, words), "hidden_states"),
        ((embeds, 3, torch.randn(2, 23), words), "proj_embedding"),
        ((embeds, 3, embeds, torch.randn(2, 76, 24)), "encoder_hidden_states"),
        ((embeds, 3, embeds, words, torch.ones(2, 76)), "attention_mask"),
    ):
        with refused(InvalidArgument, named):
            prior(*arguments)


def test_a_movq_refuses_what_it_cannot_read() -> None:
    movq, found = tiny_movq(), tiny_movq(lookup_from_codebook=True)
    with refused(InvalidArgument, "x", "(batch, 3, height, width)"):
        movq.encode(torch.randn(1, 4, 8, 8))
    with refused(InvalidArgument, "h", "(batch, 4, height, width)"):
        movq.decode(torch.randn(1, 3, 8, 8))
    for indices in (torch.tensor([12]), torch.tensor([-1]), torch.tensor([0.5])):
        with refused(InvalidArgument, "h", "0 to 11"):
            found.decode(indices, True, shape=(1, 1, 1, 4))


def test_a_text_encoder_refuses_what_it_cannot_read() -> None:
    encoder = tiny_multilingual_clip()
    with refused(InvalidArgument, "input_ids", "at most 78"):
        encoder(torch.full((1, 79), 5), torch.ones(1, 79))
    with refused(InvalidArgument, "attention_mask", "(1, 4)"):
        encoder(torch.full((1, 4), 5), torch.ones(1, 3))
    with refused(InvalidArgument, "attention_mask", "a token"):
        encoder(torch.full((1, 4), 5), torch.zeros(1, 4))


# ---------------------------------------------------------------------- slices and tiles

LEVELS = {
    "spatial norms": {},
    "group norms": {"norm_type": "group", "norm_num_groups": 8},
    "no attention": {"mid_block_add_attention": False},
}


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (24, 72), (50, 38)], ids=str)
@pytest.mark.parametrize("config", LEVELS.values(), ids=LEVELS)
def test_tiles_of_a_movq_leave_no_seams(config: dict[str, object], size: tuple[int, int]) -> None:
    movq, pixels = tiny_movq(**config), torch.rand(2, 3, *size) * 2 - 1
    latents = movq.encode(pixels).latents
    told = movq.decode(latents, force_not_quantize=True).sample
    movq.cut_into(16, levels=2)
    movq.enable_tiling()
    assert (movq.encode(pixels).latents - latents).abs().max() < 1e-4
    assert (movq.decode(latents, force_not_quantize=True).sample - told).abs().max() < 1e-4 * told.abs().max()
    assert torch.equal(movq.decode(latents).commit_loss, tiny_movq(**config).decode(latents).commit_loss)
    assert told.std() > 0.01


@torch.no_grad()
def test_no_convolution_of_a_movq_sees_more_than_a_tile_and_its_margin() -> None:
    movq, seen = tiny_movq(), []
    for layer in movq.decoder.modules():
        if isinstance(layer, torch.nn.Conv2d) and layer.kernel_size == (3, 3):
            layer.register_forward_pre_hook(lambda layer, given: seen.append(max(given[0].shape[-2:])))
    movq.cut_into(16, levels=2)
    movq.enable_tiling()
    movq.decode(torch.randn(1, 4, 32, 24), force_not_quantize=True)
    assert max(seen) <= 16 + 2 * 4  # doubled within the layer that doubles


@torch.no_grad()
def test_tiles_with_seams_and_slices_are_taken_back() -> None:
    movq, latents = tiny_movq(), torch.randn(2, 4, 24, 16)
    whole = movq.decode(latents, force_not_quantize=True).sample
    movq.enable_slicing()
    torch.testing.assert_close(movq.decode(latents, force_not_quantize=True).sample, whole)
    movq.cut_into(16, levels=2)
    movq.enable_tiling(seams=True)
    assert not torch.allclose(movq.decode(latents, force_not_quantize=True).sample, whole, atol=1e-3)
    movq.disable_tiling()
    movq.disable_slicing()
    assert torch.equal(movq.decode(latents, force_not_quantize=True).sample, whole)


# ---------------------------------------------------------------------- hints


@torch.no_grad()
def test_a_hint_may_be_embedded_beforehand() -> None:
    unet = tiny_kandinsky_unet("2.2 hint")
    told = {"image_embeds": torch.randn(1, 24)}
    noise, hint = torch.randn(1, 4, 8, 8), torch.rand(1, 3, 64, 64)
    each = unet(noise, 3, None, added_cond_kwargs=told | {"hint": hint}).sample
    once = unet(noise, 3, None, added_cond_kwargs=told | {"embedded_hint": unet.embed_hint(hint)}).sample
    assert torch.equal(each, once)
    with pytest.raises(InvalidArgument, match="hint"):
        unet(noise, 3, None, added_cond_kwargs=told)
    with pytest.raises(InvalidArgument, match="reads none"):
        tiny_kandinsky_unet("2.2").embed_hint(hint)
