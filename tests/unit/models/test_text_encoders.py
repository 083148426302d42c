from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from calotype.core.errors import InvalidArgument
from calotype.models.text_encoders import CLIPTextModel, CLIPTextModelWithProjection
from calotype.models.tokenizer import CLIPTokenizer
from tests.tiny import TEXT_CONFIG, tiny_projecting_text_encoder, tiny_text_encoder, tiny_tokenizer_folder

IDS = torch.tensor([[525, 3, 4, 5, 526 - 1, 7]])
# What the text encoder of SD 1.5 has in its config.json, in tiny.
OLD_FILE = TEXT_CONFIG | {
    "_name_or_path": "openai/clip-vit-large-patch14",
    "architectures": ["CLIPTextModel"],
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "dropout": 0.0,
    "eos_token_id": 2,
    "hidden_act": "quick_gelu",
    "model_type": "clip_text_model",
    "pad_token_id": 1,
    "torch_dtype": "float32",
    "transformers_version": "4.22.0.dev0",
}


@torch.no_grad()
def test_a_token_sees_only_what_stands_before_it() -> None:
    encoder, other = tiny_text_encoder(), IDS.clone()
    other[0, 3:] = 9
    before, after = encoder(IDS).last_hidden_state, encoder(other).last_hidden_state
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3:], after[:, 3:])


@torch.no_grad()
def test_skipped_layers_are_counted_from_the_last_hidden_state() -> None:
    encoder = tiny_text_encoder()
    read = encoder(IDS, output_hidden_states=True)
    assert len(read.hidden_states) == 1 + encoder.config.num_hidden_layers
    assert torch.equal(encoder.text_model.final_layer_norm(read.hidden_states[-1]), read[0])
    assert encoder(IDS).hidden_states is None


@torch.no_grad()
@pytest.mark.parametrize(("eos", "place"), [(5, 3), (2, 0), (None, 0)])
def test_a_text_is_pooled_where_it_ends(eos: int | None, place: int) -> None:
    encoder, ids = tiny_text_encoder(eos_token_id=eos), torch.tensor([[500, 3, 4, 5, 5, 7]])
    read = encoder(ids)
    assert torch.equal(read.pooler_output, read.last_hidden_state[:, place])


@torch.no_grad()
def test_tuples_hold_what_outputs_hold() -> None:
    for encoder in (tiny_text_encoder(), tiny_projecting_text_encoder()):
        read = encoder(IDS, output_hidden_states=True)
        listed = encoder(IDS, output_hidden_states=True, return_dict=False)
        assert torch.equal(listed[0], read[0])
        assert len(listed) == len(read) == 3
    assert read[0] is read.text_embeds
    assert read.text_embeds.shape == (1, TEXT_CONFIG["projection_dim"])


@torch.no_grad()
def test_room_for_new_tokens_keeps_the_known() -> None:
    encoder, size = tiny_text_encoder(), TEXT_CONFIG["vocab_size"]
    before, known = encoder(IDS)[0], encoder.get_input_embeddings().weight.clone()
    grown = encoder.resize_token_embeddings(size + 2)
    assert grown is encoder.get_input_embeddings()
    assert torch.equal(grown.weight[:size], known)
    torch.testing.assert_close(grown.weight[size:], known.mean(0).expand(2, -1))
    assert torch.equal(encoder(IDS)[0], before)
    assert encoder.config.vocab_size == size + 2
    encoder.resize_token_embeddings(size)
    assert torch.equal(encoder.get_input_embeddings().weight, known)


@pytest.mark.parametrize("kind", [CLIPTextModel, CLIPTextModelWithProjection])
@pytest.mark.parametrize("old", [True, False])
def test_files_of_every_age_are_read(tmp_path: Path, kind: type, old: bool) -> None:
    torch.manual_seed(0)
    encoder = kind(**TEXT_CONFIG)
    encoder.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    if old:
        state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    elif kind is CLIPTextModel:
        state = {key.removeprefix("text_model."): tensor for key, tensor in state.items()}
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(OLD_FILE))
    again = kind.from_pretrained(tmp_path)
    assert all(torch.equal(tensor, again.state_dict()[key]) for key, tensor in encoder.state_dict().items())
    assert again.config.eos_token_id == 2
    assert again.config.transformers_version == "4.22.0.dev0"


@torch.no_grad()
def test_it_reads_what_the_tokenizer_writes(tmp_path: Path) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(tiny_tokenizer_folder(tmp_path))
    batch = tokenizer(["a cat", "hello"], padding="max_length", truncation=True, return_tensors="pt")
    encoder = tiny_text_encoder()
    read = encoder(batch.input_ids, attention_mask=batch.attention_mask)
    alone = encoder(tokenizer("hello", return_tensors="pt").input_ids)
    torch.testing.assert_close(read.pooler_output[1:], alone.pooler_output)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"hidden_act": "sin"}, ["hidden_act", "quick_gelu", "'sin'"]),
        ({"num_attention_heads": 5}, ["num_attention_heads", "hidden_size=32", "5"]),
        ({"hidden_size": "32"}, ["hidden_size", "int", '"32"']),
    ],
    ids=lambda value: None,
)
def test_a_config_that_cannot_be_built_is_refused_by_name(config: dict[str, object], words: list[str]) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        tiny_text_encoder(**config)
    assert all(word in str(refusal.value) for word in words)


def test_a_text_longer_than_the_encoder_reads_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="input_ids: expected at most 77 tokens, found 78"):
        tiny_text_encoder()(torch.zeros(1, 78, dtype=torch.long))
