"""Words are taught whole and all together, mean the same everywhere, and leave nothing behind."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch

from calotype import StableDiffusionPipeline, StableDiffusionXLPipeline
from calotype.adapters.textual_inversion import TextualInversionLoaderMixin
from calotype.adapters.textual_inversion_files import save_words
from calotype.core.errors import (
    CalotypeError,
    CorruptFile,
    IncompatibleWeights,
    InvalidArgument,
    MissingFile,
    NotFinite,
    UnknownArgument,
    UnsafeFile,
)
from calotype.core.tensors import safetensors_bytes
from calotype.models.tokenizer import CLIPTokenizer
from tests.tiny import (
    tiny_projecting_text_encoder,
    tiny_stable_diffusion,
    tiny_stable_diffusion_xl,
    tiny_text_encoder,
    tiny_tokenizer_folder,
)

WIDTH = 32


@pytest.fixture
def pipe():
    return tiny_stable_diffusion(StableDiffusionPipeline)


class TwoEncoders(SimpleNamespace, TextualInversionLoaderMixin):
    """The part of an SDXL pipeline that learns words."""

    @property
    def components(self):
        return vars(self)


@pytest.fixture
def two(tmp_path):
    folder = tiny_tokenizer_folder(tmp_path / "tokenizer")
    tokenizers = [CLIPTokenizer.from_pretrained(folder) for _ in range(2)]
    encoders = tiny_text_encoder(), tiny_projecting_text_encoder(hidden_size=48)
    return TwoEncoders(
        tokenizer=tokenizers[0], text_encoder=encoders[0], tokenizer_2=tokenizers[1], text_encoder_2=encoders[1]
    )


def vectors(count=1, width=WIDTH, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def facts(pipe):
    """All that words could change."""
    ends = [end for end in ("", "_2") if f"text_encoder{end}" in pipe.components]
    return {
        end: (
            pipe.components[f"tokenizer{end}"].files(),
            dict(pipe.components[f"text_encoder{end}"].config),
            {k: v.clone() for k, v in pipe.components[f"text_encoder{end}"].state_dict().items()},
        )
        for end in ends
    }


def same(before, after):
    return before.keys() == after.keys() and all(
        old[:2] == new[:2] and old[2].keys() == new[2].keys() and all(torch.equal(old[2][k], new[2][k]) for k in old[2])
        for old, new in zip(before.values(), after.values(), strict=True)
    )


def row(pipe, token):
    id = pipe.tokenizer.convert_tokens_to_ids(token)
    return pipe.text_encoder.get_input_embeddings().weight[id]


def saved(folder, name, document):
    path = folder / name
    if path.suffix == ".safetensors":
        path.write_bytes(b"".join(safetensors_bytes(document)))
    else:
        torch.save(document, path)
    return path


A1111 = {"string_to_token": {"*": 265}, "name": "Chart", "step": 3, "sd_checkpoint": None, "sd_checkpoint_name": None}


# ---------------------------------------------------------------------------- what is read


def test_a_word_is_read_whole_and_means_its_vector(pipe):
    pipe.load_textual_inversion({"<cat-toy>": vectors()[0]})
    assert pipe.tokenizer.tokenize("a <Cat-Toy>, and") == ["a</w>", "<cat-toy>", ",</w>", "and</w>"]
    assert torch.equal(row(pipe, "<cat-toy>"), vectors()[0])


def test_what_was_known_before_means_the_same(pipe):
    before = pipe.encode_prompt("hello, a cat", None, 1, False)[0]
    pipe.load_textual_inversion({"<w>": vectors()[0]})
    assert torch.equal(pipe.encode_prompt("hello, a cat", None, 1, False)[0], before)


SPELLINGS = {
    "diffusers, safetensors": ("learned_embeds.safetensors", {"<w>": vectors(2)}, "<w>"),
    "diffusers, one vector": ("any.bin", {"<w>": vectors()[0]}, "<w>"),
    "diffusers, pickled": ("learned_embeds.bin", {"<w>": vectors(2)}, "<w>"),
    "A1111, pickled": ("chart.pt", {**A1111, "string_to_param": {"*": vectors(2)}}, "Chart"),
    "A1111, trained": ("chart.pt", {**A1111, "string_to_param": {"*": torch.nn.Parameter(vectors(2))}}, "Chart"),
    "A1111, safetensors": ("chart-v2.safetensors", {"emb_params": vectors(2)}, "chart-v2"),
}


@pytest.mark.parametrize(("name", "document", "word"), SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_of_a_file_gives_its_word_and_vectors(pipe, tmp_path, name, document, word):
    pipe.load_textual_inversion(saved(tmp_path, name, document))
    ids = pipe.tokenizer(pipe.maybe_convert_prompt(word, pipe.tokenizer)).input_ids[1:-1]
    expected = vectors()[0] if "one vector" in name or document.get("<w>", vectors(2)).ndim == 1 else vectors(2)
    assert torch.equal(pipe.text_encoder.get_input_embeddings().weight[ids], expected.reshape(-1, WIDTH))


def test_a_folder_is_read_by_its_usual_name_and_by_any_other(pipe, tmp_path):
    saved(tmp_path, "learned_embeds.safetensors", {"<a>": vectors(seed=1)})
    saved(tmp_path, "other.safetensors", {"<b>": vectors(seed=2)})
    pipe.load_textual_inversion(tmp_path)
    pipe.load_textual_inversion(tmp_path.parent, subfolder=tmp_path.name, weight_name="other.safetensors")
    assert torch.equal(row(pipe, "<a>"), vectors(seed=1)[0]) and torch.equal(row(pipe, "<b>"), vectors(seed=2)[0])


def test_the_only_file_of_a_folder_needs_no_name(pipe, tmp_path):
    saved(tmp_path, "mine.safetensors", {"<a>": vectors()})
    pipe.load_textual_inversion(tmp_path)
    assert torch.equal(row(pipe, "<a>"), vectors()[0])


def test_a_repository_of_the_hub_is_read_from_the_cache(pipe, tmp_path):
    repository = tmp_path / "models--owner--toy"
    folder = repository / "snapshots" / ("a" * 40)
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    saved(folder, "learned_embeds.safetensors", {"<toy>": vectors()})
    pipe.load_textual_inversion("owner/toy", cache_dir=tmp_path, local_files_only=True)
    assert torch.equal(row(pipe, "<toy>"), vectors()[0])
    with pytest.raises(MissingFile, match="owner/other"):
        pipe.load_textual_inversion("owner/other", cache_dir=tmp_path, local_files_only=True)


def test_a_pickle_is_read_when_it_is_named_or_asked_for_and_never_otherwise(pipe, tmp_path):
    path = saved(tmp_path, "learned_embeds.bin", {"<w>": vectors()})
    for refused in (dict(), dict(weight_name=path.name, use_safetensors=True)):
        with pytest.raises(UnsafeFile):
            pipe.load_textual_inversion(tmp_path, **refused)
    for number, taken in enumerate((dict(use_safetensors=False), dict(weight_name=path.name))):
        pipe.load_textual_inversion(tmp_path, token=f"<{number}>", **taken)
        assert torch.equal(row(pipe, f"<{number}>"), vectors()[0])


def test_lists_of_files_and_state_dicts_are_learnt_in_order_under_the_names_given(pipe, tmp_path):
    several = [saved(tmp_path, "a.safetensors", {"<a>": vectors(2, seed=1)}), {"<b>": vectors(seed=2)}, vectors(seed=3)]
    pipe.load_textual_inversion(several, token=["<x>", "<y>", "<z>"])
    assert [*pipe.tokenizer.added_tokens_encoder][-4:] == ["<x>", "<x>_1", "<y>", "<z>"]
    assert torch.equal(row(pipe, "<z>"), vectors(seed=3)[0])


def test_a_file_of_several_words_teaches_each(pipe):
    pipe.load_textual_inversion({"<a>": vectors(seed=1), "<b>": vectors(2, seed=2)})
    assert torch.equal(row(pipe, "<a>"), vectors(seed=1)[0])
    assert torch.equal(row(pipe, "<b>_1"), vectors(2, seed=2)[1])


def test_what_was_saved_is_learnt_again_to_the_bit(pipe, tmp_path):
    save_words(tmp_path / "learned_embeds.safetensors", {"<w>": vectors(3)})
    pipe.load_textual_inversion(tmp_path)
    assert torch.equal(torch.stack([row(pipe, token) for token in ("<w>", "<w>_1", "<w>_2")]), vectors(3))


# ---------------------------------------------------------------------------- prompts


def test_a_word_of_several_vectors_is_written_out_and_once_only(pipe):
    pipe.load_textual_inversion({"<w>": vectors(3), "toy": vectors(2)})
    convert = pipe.maybe_convert_prompt
    assert convert("a <w> and a Toy", pipe.tokenizer) == "a <w> <w>_1 <w>_2 and a Toy toy_1"
    assert convert(["toys", "my_toy", "x<w>s"], pipe.tokenizer) == ["toys", "my_toy", "x<w> <w>_1 <w>_2s"]
    assert pipe.tokenizer.tokenize("<w> <w>_1 <w>_2s")[:3] == ["<w>", "<w>_1", "<w>_2"]
    once = convert("<w> toy <w>", pipe.tokenizer)
    assert convert(once, pipe.tokenizer) == once


def test_prompts_and_negative_prompts_are_written_out_when_they_are_read(pipe):
    pipe.load_textual_inversion({"<w>": vectors(2)})
    short = pipe.encode_prompt("a <w>", None, 1, True, "<w>")
    long = pipe.encode_prompt("a <w> <w>_1", None, 1, True, "<w> <w>_1")
    assert all(torch.equal(one, other) for one, other in zip(short, long, strict=True))
    alone = pipe.tokenizer("a <w>", padding="max_length", return_tensors="pt").input_ids
    assert not torch.allclose(short[0], pipe.text_encoder(alone)[0], atol=1e-3)


def test_a_word_of_letters_is_not_read_inside_longer_ones(pipe):
    before = pipe.tokenizer.tokenize("ccatalog")
    pipe.load_textual_inversion({"ccat": vectors(2)})
    assert pipe.tokenizer.tokenize("ccatalog") == before
    assert pipe.tokenizer.tokenize("a ccat.") == ["a</w>", "ccat", ".</w>"]


# ---------------------------------------------------------------------------- unloading, saving


def test_unloading_restores_tokenizer_and_embedding_exactly(pipe):
    before = facts(pipe)
    pipe.load_textual_inversion({"<a>": vectors(2), "toy": vectors()})
    pipe.load_textual_inversion({"<b>": vectors()})
    assert not same(before, facts(pipe))
    pipe.unload_textual_inversion()
    assert same(before, facts(pipe))


def test_unloading_one_word_takes_all_of_its_vectors_and_leaves_the_others(pipe):
    pipe.load_textual_inversion({"<b>": vectors(seed=2), "<c>": vectors(2, seed=3)})
    after = facts(pipe)
    pipe.unload_textual_inversion()
    pipe.load_textual_inversion({"<a>": vectors(3), "<b>": vectors(seed=2), "<c>": vectors(2, seed=3)})
    pipe.unload_textual_inversion("<a>")
    assert same(after, facts(pipe))


def test_an_unloaded_word_can_be_learnt_again_with_another_meaning(pipe):
    pipe.load_textual_inversion({"<a>": vectors(2)})
    pipe.unload_textual_inversion("<a>")
    pipe.load_textual_inversion({"<a>": vectors(seed=5)})
    assert torch.equal(row(pipe, "<a>"), vectors(seed=5)[0])
    assert pipe.tokenizer.tokenize("<a>_1") != ["<a>_1"]


def test_more_vectors_than_a_prompt_holds_are_said(pipe, caplog):
    pipe.load_textual_inversion({"<few>": vectors(75)})
    assert not caplog.records
    pipe.load_textual_inversion({"<many>": vectors(76)})
    assert "'<many>' has 76 vectors, more than the encoder reads of a prompt" in caplog.text


def test_rows_that_pad_an_embedding_stay_where_they_were(pipe):
    encoder = tiny_text_encoder(vocab_size=len(pipe.tokenizer) + 7)
    pipe.register_modules(text_encoder=encoder)
    before = facts(pipe)
    pipe.load_textual_inversion({"<a>": vectors(2)})
    assert torch.equal(row(pipe, "<a>"), vectors(2)[0])
    pipe.unload_textual_inversion()
    assert same(before, facts(pipe))


def test_the_parameter_stays_the_same_object(pipe):
    weight = pipe.text_encoder.get_input_embeddings().weight
    pipe.load_textual_inversion({"<a>": vectors(2)})
    assert pipe.text_encoder.get_input_embeddings().weight is weight and weight.requires_grad


def test_words_are_saved_with_the_pipeline_and_can_be_unloaded_after(pipe, tmp_path):
    before = facts(pipe)
    pipe.load_textual_inversion({"<a>": vectors(2), "toy": vectors()})
    pipe.save_pretrained(tmp_path)
    again = StableDiffusionPipeline.from_pretrained(tmp_path)
    assert again.tokenizer.tokenize("a <a> <a>_1 Toys toy") == pipe.tokenizer.tokenize("a <a> <a>_1 Toys toy")
    assert same(facts(pipe), {"": (facts(pipe)[""][0], facts(pipe)[""][1], facts(again)[""][2])})
    again.unload_textual_inversion()
    assert torch.equal(
        again.text_encoder.get_input_embeddings().weight, before[""][2]["text_model.embeddings.token_embedding.weight"]
    )


def test_unloading_what_was_not_loaded_is_refused_with_the_words_there_are(pipe):
    pipe.load_textual_inversion({"<a>": vectors()})
    with pytest.raises(InvalidArgument, match=r"<a>.*'<b>'"):
        pipe.unload_textual_inversion(["<a>", "<b>"])
    assert "<a>" in pipe.tokenizer.added_tokens_encoder


# ---------------------------------------------------------------------------- two encoders


def test_a_pair_teaches_both_encoders_and_leaves_both(two, tmp_path):
    before = facts(two)
    pair = {"clip_l": vectors(2), "clip_g": vectors(2, 48)}
    two.load_textual_inversion(saved(tmp_path, "style.safetensors", pair))
    for tokenizer, encoder, part in (
        (two.tokenizer, two.text_encoder, "clip_l"),
        (two.tokenizer_2, two.text_encoder_2, "clip_g"),
    ):
        id = tokenizer.convert_tokens_to_ids("style_1")
        assert torch.equal(encoder.get_input_embeddings().weight[id], pair[part][1])
    two.unload_textual_inversion()
    assert same(before, facts(two))


def test_a_pair_changes_the_pictures_of_sdxl_until_it_is_unloaded():
    pipe = tiny_stable_diffusion_xl(StableDiffusionXLPipeline)
    given = dict(prompt="a <w>", height=32, width=32, num_inference_steps=2, output_type="pt", generator=0)
    before = pipe(**given).images
    pipe.load_textual_inversion({"clip_l": vectors(2, 16), "clip_g": vectors(2, 16)}, token="<w>")
    assert not torch.equal(pipe(**given).images, before)
    pipe.unload_textual_inversion("<w>")
    assert torch.equal(pipe(**given).images, before)


def test_a_pair_is_learnt_by_both_or_by_none(two):
    before = facts(two)
    with pytest.raises(IncompatibleWeights, match="width 48, as text_encoder_2"):
        two.load_textual_inversion({"clip_l": vectors(), "clip_g": vectors()}, token="<w>")
    assert same(before, facts(two))


def test_a_failure_midway_takes_back_what_was_learnt(two, monkeypatch):
    before = facts(two)
    monkeypatch.setattr(two.tokenizer_2, "add_tokens", lambda tokens: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        two.load_textual_inversion({"clip_l": vectors(), "clip_g": vectors(1, 48)}, token="<w>")
    monkeypatch.undo()
    assert same(before, facts(two))


def test_one_encoder_can_be_named(two):
    two.load_textual_inversion(vectors(1, 48), token="<w>", text_encoder=two.text_encoder_2, tokenizer=two.tokenizer_2)
    assert "<w>" in two.tokenizer_2.added_tokens_encoder and "<w>" not in two.tokenizer.added_tokens_encoder


def test_a_pair_is_refused_where_there_is_one_encoder(pipe):
    with pytest.raises(IncompatibleWeights, match="clip_l and clip_g"):
        pipe.load_textual_inversion({"clip_l": vectors(), "clip_g": vectors(1, 48)}, token="<w>")


# ---------------------------------------------------------------------------- bad input

BAD_VECTORS = {
    "width": ({"<w>": vectors(1, 48)}, IncompatibleWeights, "<w>.*width 32, as text_encoder.*width 48"),
    "no dimension": ({"<w>": torch.tensor(1.0)}, IncompatibleWeights, r"shape \(\)"),
    "three dimensions": ({"<w>": vectors()[None]}, IncompatibleWeights, r"shape \(1, 1, 32\)"),
    "no vector": ({"<w>": vectors(0)}, IncompatibleWeights, r"shape \(0, 32\)"),
    "not a number": ({"<w>": vectors() * torch.nan}, NotFinite, "32 NaN"),
    "whole numbers": ({"<w>": torch.ones(1, 32, dtype=torch.int64)}, IncompatibleWeights, "int64"),
    "a text": ({"<w>": "vectors"}, IncompatibleWeights, "found str"),
    "empty": ({}, CorruptFile, "words and their vectors"),
    "a number": (7, InvalidArgument, "state dict.*found int"),
    "A1111 without a star": ({"string_to_param": {}}, CorruptFile, r"'\*'"),
    "no name": (vectors(), InvalidArgument, "token"),
    "no such folder": ("./nowhere/at/all", MissingFile, "nowhere"),
    "second of two": ([{"<a>": vectors()}, {"<b>": vectors(1, 48)}], IncompatibleWeights, "<b>"),
    "twice": ([{"<a>": vectors()}, {"<A>": vectors()}], InvalidArgument, "does not know yet.*'<a>'"),
}
BAD_WORDS = {
    "nothing": ("", "without spaces"),
    "a space": (" ", "without spaces"),
    "a space behind": ("w ", "without spaces"),
    "a line": ("a\nb", "without spaces"),
    "a text": ("w" * 65, "64"),
    "a word": ("hello", "'hello'"),
    "a capital word": ("Hello", "'hello'"),
    "a piece": ("hell", "'hell'"),
    "a mark": ("<|endoftext|>", "endoftext"),
    "a known one": ("<known>", "<known>"),
    "its second vector": ("<known>_2", "<known>"),
    "a number": (7, "7"),
}


@pytest.mark.parametrize(("told", "error", "words"), BAD_VECTORS.values(), ids=BAD_VECTORS)
def test_vectors_that_do_not_fit_are_refused_and_nothing_changes(pipe, told, error, words):
    before = facts(pipe)
    with pytest.raises(error, match=words):
        pipe.load_textual_inversion(told)
    assert same(before, facts(pipe))


@pytest.mark.parametrize(("word", "words"), BAD_WORDS.values(), ids=BAD_WORDS)
def test_words_that_mean_something_or_nothing_are_refused(pipe, word, words):
    pipe.load_textual_inversion({"<known>": vectors(2)})
    before = facts(pipe)
    with pytest.raises(CalotypeError, match=re.escape(words)):
        pipe.load_textual_inversion({"<w>": vectors()}, token=[word])
    assert same(before, facts(pipe))


def test_a_word_that_would_run_into_a_known_one_is_refused(pipe):
    pipe.load_textual_inversion({"toy_1": vectors()})
    with pytest.raises(InvalidArgument, match="'toy_1'"):
        pipe.load_textual_inversion({"toy": vectors()})


def test_names_in_another_number_than_files_are_refused(pipe):
    with pytest.raises(InvalidArgument, match=r"2 words.*found 1"):
        pipe.load_textual_inversion([{"<a>": vectors()}, {"<b>": vectors()}], token="<c>")
    with pytest.raises(InvalidArgument, match="2 words of its own"):
        pipe.load_textual_inversion({"<a>": vectors(), "<b>": vectors()}, token="<c>")


def test_a_tokenizer_that_words_cannot_be_taken_out_of_is_refused(pipe):
    with pytest.raises(InvalidArgument, match=r"tokenizer: .*SimpleNamespace.*from_pretrained"):
        pipe.load_textual_inversion({"<a>": vectors()}, tokenizer=SimpleNamespace())


def test_unknown_keywords_are_refused(pipe):
    with pytest.raises(UnknownArgument, match="weight_name"):
        pipe.load_textual_inversion({"<a>": vectors()}, weigth_name="x")


def test_a_damaged_file_is_refused(pipe, tmp_path):
    whole = saved(tmp_path, "whole.safetensors", {"<a>": vectors()}).read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-9])
    with pytest.raises(CorruptFile, match=r"cut\.safetensors"):
        pipe.load_textual_inversion(tmp_path / "cut.safetensors")
