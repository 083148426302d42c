"""UMT5: one table of words under two names, texts that padding does not change, and configs that make sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from calotype.core.errors import IncompatibleWeights, InvalidArgument
from calotype.models.umt5 import UMT5EncoderModel
from calotype.models.umt5_blocks import buckets_of
from tests.tiny_helios import UMT5, text_encoder

XXL = {
    "vocab_size": 256384,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
}
FIRST, SECOND = "shared.weight", "encoder.embed_tokens.weight"
IDS = torch.tensor([[3, 5, 4, 1]])


def test_the_large_one_has_its_parameters() -> None:
    with torch.device("meta"):
        assert UMT5EncoderModel(**XXL).num_parameters() == 5_680_910_336


def test_a_file_holds_the_words_once(tmp_path: Path) -> None:
    text_encoder().save_pretrained(tmp_path)
    keys = load_file(tmp_path / "model.safetensors").keys()
    assert FIRST in keys
    assert SECOND not in keys
    assert text_encoder().state_dict().keys() - keys == {SECOND}


@pytest.mark.parametrize("held", [(FIRST,), (SECOND,), (FIRST, SECOND)], ids=" and ".join)
@pytest.mark.parametrize("tied", [True, False])
def test_words_are_the_same_under_both_names(held: tuple[str, ...], tied: bool, tmp_path: Path) -> None:
    made = text_encoder(tie_word_embeddings=tied)
    made.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    words = tensors.pop(FIRST)
    values = {
        FIRST: words,
        SECOND: words if FIRST not in held else torch.zeros_like(words),
    }  # zeros: what loaders wrote
    save_file(tensors | {key: values[key] for key in held}, tmp_path / "model.safetensors")
    again = UMT5EncoderModel.from_pretrained(tmp_path)
    assert again.encoder.embed_tokens.weight is again.shared.weight
    assert again.shared.weight.equal(words)
    assert again.config.tie_word_embeddings is tied
    with torch.no_grad():
        assert again(IDS)[0].equal(made(IDS)[0])


def test_a_file_without_words_is_refused(tmp_path: Path) -> None:
    text_encoder().save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors[FIRST]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(IncompatibleWeights, match=r"shared\.weight"):
        UMT5EncoderModel.from_pretrained(tmp_path)


def test_casting_and_new_words_keep_both_names_together() -> None:
    made = text_encoder().to(torch.bfloat16)
    assert made.encoder.embed_tokens.weight is made.shared.weight
    made.set_input_embeddings(torch.nn.Embedding(5, 16))
    assert made.encoder.embed_tokens is made.get_input_embeddings()


@torch.no_grad()
def test_padding_changes_no_state() -> None:
    made = text_encoder()
    alone = made(IDS)[0]
    padded = torch.cat([IDS, torch.tensor([[0, 7, 9]])], dim=1)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0, 0]])
    torch.testing.assert_close(made(padded, mask)[0][:, :4], alone, atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_text_of_which_nothing_is_read_has_finite_states() -> None:
    assert text_encoder()(IDS, torch.zeros_like(IDS))[0].isfinite().all()


@torch.no_grad()
def test_an_output_is_a_tuple_when_asked_for() -> None:
    made = text_encoder()
    plain = made(IDS, return_dict=False)
    assert type(plain) is tuple
    assert plain[0].equal(made(IDS).last_hidden_state)
    assert made(IDS).hidden_states is None
    states = made(IDS, output_hidden_states=True).hidden_states
    assert len(states) == UMT5["num_layers"] + 1
    assert states[-1].equal(plain[0])


def test_near_distances_have_their_own_buckets_and_far_ones_share() -> None:
    row = buckets_of(400, 32, 128)[200]
    assert row[193:201].tolist() == [*reversed(range(8))]  # keys before the query, and the query
    assert row[201:208].tolist() == [*range(17, 24)]  # keys ahead
    assert {*row[:73].tolist()} == {15}  # 128 and beyond
    assert {*row[328:].tolist()} == {31}
    assert (row[:200].diff() <= 0).all()


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"relative_attention_max_distance": 8}, "relative_attention_max_distance"),
        ({"relative_attention_num_buckets": 2}, "relative_attention_num_buckets"),
        ({"feed_forward_proj": "relu"}, "feed_forward_proj.*gated-gelu"),
        ({"num_heads": 0}, "num_heads"),
    ],
)
def test_a_config_that_makes_no_network_is_refused(config: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgument, match=named):
        text_encoder(**config)


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="attention_mask"):
        text_encoder()(IDS, torch.ones(1, 3))
