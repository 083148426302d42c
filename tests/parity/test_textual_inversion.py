"""Words taught to both libraries make the same pictures, and are saved and read by either."""

from __future__ import annotations

import diffusers
import pytest
import torch

import calotype
from tests.parity.pairs import pair, save_peer
from tests.parity.test_signatures import assert_takes_what_the_peer_takes
from tests.parity.test_stable_diffusion import compare

KIND = "StableDiffusionPipeline"


def vectors(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 32, generator=torch.Generator().manual_seed(seed))


SOURCES = {
    "one vector": ({"<w>": vectors(1)[0]}, {}),
    "several": ({"<w>": vectors(3)}, {}),
    "A1111": ({"string_to_param": {"*": vectors(2)}, "name": "<w>"}, {}),
    "renamed": ({"<other>": vectors(2)}, {"token": "<w>"}),
    "a tensor": (vectors(2), {"token": "<w>"}),
    "a list": ([{"<w>": vectors(2)}, {"<v>": vectors(1, 1)}], {}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_peer(tmp_path_factory.mktemp("sd"))


@pytest.fixture
def pipes(folder):
    return pair(folder, KIND)


@pytest.mark.parametrize(("source", "options"), SOURCES.values(), ids=SOURCES)
def test_the_same_words_make_the_same_picture(pipes, source, options):
    for pipe in pipes:
        pipe.load_textual_inversion(source, **options)
    compare(pipes, prompt="a <w> on a <v>, hello", negative_prompt="<w>s, blue", height=32, width=32)


def test_the_same_ids_and_prompts(pipes):
    texts = ["a <w>", "<w><w>x <w>s", "A <W>", "<w>_1", "no word"]
    for pipe in pipes:
        pipe.load_textual_inversion({"<w>": vectors(3)})
    theirs, ours = pipes
    assert ours.maybe_convert_prompt(texts[:2], ours.tokenizer) == theirs.maybe_convert_prompt(
        texts[:2], theirs.tokenizer
    )
    assert ours.tokenizer(texts).input_ids == theirs.tokenizer(texts).input_ids


def test_an_encoder_of_transformers_learns_too(pipes, folder):
    theirs, ours = pipes
    other = calotype.StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    other.set_progress_bar_config(disable=True)
    ours.register_modules(text_encoder=theirs.text_encoder)
    before = theirs.text_encoder.get_input_embeddings().weight.clone()
    for pipe in (ours, other):
        pipe.load_textual_inversion({"<w>": vectors(2)})
    assert theirs.text_encoder.config.vocab_size == len(before) + 2
    compare([ours, other], prompt="a <w>", height=32, width=32)
    ours.unload_textual_inversion()
    assert torch.equal(theirs.text_encoder.get_input_embeddings().weight, before)


@pytest.mark.parametrize("name", ["load_textual_inversion", "unload_textual_inversion", "maybe_convert_prompt"])
def test_methods_take_what_the_peers_take(name):
    assert_takes_what_the_peer_takes(
        getattr(calotype.StableDiffusionPipeline, name), getattr(diffusers.StableDiffusionPipeline, name)
    )


def test_after_unloading_the_picture_is_as_before(pipes):
    theirs, ours = pipes
    ours.load_textual_inversion({"<w>": vectors(3)})
    ours.unload_textual_inversion("<w>")
    compare([theirs, ours], prompt="a <w> on a table", height=32, width=32)


@pytest.mark.parametrize(("writer", "reader"), [(0, calotype), (1, diffusers)], ids=["peer to us", "us to the peer"])
def test_a_saved_pipeline_keeps_its_words(pipes, tmp_path, writer, reader):
    pipes[writer].load_textual_inversion({"<w>": vectors(2)})
    pipes[writer].save_pretrained(tmp_path)
    again = getattr(reader, KIND).from_pretrained(tmp_path, safety_checker=None)
    again.set_progress_bar_config(disable=True)
    compare([pipes[writer], again], prompt="a <w> on a table", height=32, width=32)


def test_what_we_save_the_peer_learns(pipes, tmp_path):
    from calotype.adapters.textual_inversion_files import save_words

    save_words(tmp_path / "learned_embeds.safetensors", {"<w>": vectors(2)})
    for pipe in pipes:
        pipe.load_textual_inversion(str(tmp_path))
    compare(pipes, prompt="a <w>", height=32, width=32)
