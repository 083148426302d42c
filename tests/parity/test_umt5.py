"""UMT5 reads what the oracle reads, and their files are each other's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from calotype.generation.cleaning import cleaned
from calotype.generation.texts import padded_states
from calotype.models.umt5 import UMT5EncoderModel
from tests import tiny_helios
from tests.tiny_helios import UMT5

PROMPTS = ["a red cat", " &amp;lt;cat&gt;,  猫 red\n", ""]


def pair(folder: Path, seed: int = 0, **config: Any) -> tuple[UMT5EncoderModel, Any]:
    """Ours, and theirs with the same weights out of the file that ours wrote."""
    ours = tiny_helios.text_encoder(seed, **config)
    ours.save_pretrained(folder)
    return ours, transformers.UMT5EncoderModel.from_pretrained(folder)


def batch(length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three texts, of which two are padded."""
    ids = torch.randint(3, UMT5["vocab_size"], (3, length), generator=torch.Generator().manual_seed(1))
    mask = torch.arange(length) < torch.tensor([length, length // 2, 1])[:, None]
    return ids * mask, mask.long()


@torch.no_grad()
@pytest.mark.parametrize(
    "config",
    [{}, {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 20}, {"layer_norm_epsilon": 0.1}],
    ids=["usual", "few buckets", "large epsilon"],
)
def test_same_states_with_padding_and_without(config: dict[str, Any], tmp_path: Path) -> None:
    ours, theirs = pair(tmp_path, **config)
    ids, mask = batch(300)  # beyond the furthest distance that has a bucket
    a, b = ours(ids, mask, output_hidden_states=True), theirs(ids, mask, output_hidden_states=True)
    torch.testing.assert_close(a.last_hidden_state, b.last_hidden_state, atol=1e-5, rtol=0)
    assert len(a.hidden_states) == len(b.hidden_states) == UMT5["num_layers"] + 1
    for here, there in zip(a.hidden_states, b.hidden_states, strict=True):
        torch.testing.assert_close(here, there, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours(ids)[0], theirs(ids)[0], atol=1e-5, rtol=0)


@torch.no_grad()
def test_bfloat16_is_as_near_to_float32_as_theirs(tmp_path: Path) -> None:
    ours, theirs = pair(tmp_path)
    ids, mask = batch(40)
    exact = ours(ids, mask)[0]
    errors = [
        float((network.to(torch.bfloat16)(ids, mask)[0].float() - exact).norm() / exact.norm())
        for network in (ours, theirs)
    ]
    assert 0 < errors[0] < max(0.01, 1.2 * errors[1])


def test_same_keys_shapes_and_kept_tensors(tmp_path: Path) -> None:
    ours, theirs = pair(tmp_path)
    assert {key: t.shape for key, t in ours.state_dict().items()} == {
        key: t.shape for key, t in theirs.state_dict().items()
    }
    assert ours.num_parameters() == theirs.num_parameters()


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_their_files_are_read_whatever_they_say_of_tying(tied: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = transformers.UMT5EncoderModel(transformers.UMT5Config(**UMT5)).eval()
    theirs.config.tie_word_embeddings = tied
    theirs.save_pretrained(tmp_path)
    ids, mask = batch(9)
    ours = UMT5EncoderModel.from_pretrained(tmp_path)
    assert ours.encoder.embed_tokens.weight is ours.shared.weight
    torch.testing.assert_close(ours(ids, mask)[0], theirs(ids, mask)[0], atol=1e-5, rtol=0)


@torch.no_grad()
def test_prompts_are_read_as_by_a_composition_of_their_parts(tmp_path: Path) -> None:
    _, encoder = pair(tmp_path / "encoder")
    tiny_helios.tokenizer().save_pretrained(tmp_path / "tokenizer")
    tokenizer = transformers.T5TokenizerFast.from_pretrained(tmp_path / "tokenizer")
    read = tokenizer(
        [cleaned(prompt) for prompt in PROMPTS],
        padding="max_length",
        max_length=12,
        truncation=True,
        return_attention_mask=True,
        return_tensors="pt",
    )
    states = encoder(read.input_ids, read.attention_mask).last_hidden_state
    counts = read.attention_mask.sum(1).tolist()
    expected = torch.stack(
        [torch.cat([row[:n], row.new_zeros(12 - n, row.shape[1])]) for row, n in zip(states, counts, strict=True)]
    )
    ours = padded_states(tiny_helios.tokenizer(), tiny_helios.text_encoder(), PROMPTS, torch.device("cpu"), 12)
    theirs = padded_states(tokenizer, encoder, PROMPTS, torch.device("cpu"), 12)  # parts that a user passes in
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(theirs, expected, atol=1e-5, rtol=0)
