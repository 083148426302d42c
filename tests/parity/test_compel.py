"""Prompts in compel's syntax give compel's embeddings; embeddings that compel makes with our parts are ours to use."""

from __future__ import annotations

import pytest
import torch
from compel import Compel, CompelForSDXL, DiffusersTextualInversionManager

from calotype import StableDiffusionPipeline, StableDiffusionXLPipeline
from tests.tiny import tiny_stable_diffusion, tiny_stable_diffusion_xl

CAT, FIFTY = "cat hello ", "hello cat " * 25
TEXTS = {
    "plain": "a cat, and hello",
    "empty": "",
    "strong": "a cat++ hello",
    "strongest": "a cat+++++ and hello+",
    "weak": "a cat- hello",
    "weaker": "a hello--- cat",
    "words": "a (cat and hello)1.4 cat",
    "weak words": "a (cat and hello)0.4 cat",
    "nothing": "a (cat)0 hello",
    "nested": "a (cat (hello)1.2 and)1.3 b",
    "nested both ways": "a (cat (hello)1.5 and-)0.6 b",
    "two weak ones": "a cat- and hello-- b",
    "weak neighbours": "(a cat)- (and hello)- b",
    "weak within strong": "(a cat- and)1.5",
    "quoted": '"a cat"+ and hello',
    "escaped": r"a \(cat\)+ and \(hello\)",
    "commas": "cat++, hello+, and, (a, b)-, c",
    "signs that are letters": "sci-fi cat - and + b, 3-4 a--b c+++d",
    "brackets in a word": "cat(s) and hello(s)+",
    "brackets beside each other": "(a)(b)+(c)0.5",
    "numbers behind brackets": "(a b)1.3. (c)2,d (e) 1.3",
    "capitals and spaces": "A  Cat\n\n(HELLO\tand)1.2",
    "clauses": '("a cat+", "hello").and()',
    "weighed clauses": '("a cat+", "hello", "b").and(1, 0.5, 1.7)',
    "blend": '("a cat+", "hello").blend(1, 0.5)',
    "blend that subtracts": '("a cat", "hello-").blend(1, -0.4)',
    "blend as it stands": '("a cat", "hello").blend(1, 0.5, no_normalize)',
    "long": CAT * 60,
    "long, sentences": ("a cat and hello, hello a cat. " * 13).strip(),
    "long, one sentence": FIFTY + "cat, " + FIFTY + "a; " + FIFTY,
    "long, long words": "catalog hello " * 40,
    "long, strong": FIFTY + "(cat hello)1.4 " + FIFTY + "cat++",
    "long, weak": FIFTY + "(cat hello)0.6 " + FIFTY + "cat-",
    "long, weak across": CAT * 36 + "(cat hello cat hello cat and a hello)0.6 " + FIFTY,
    "blend of long and short": f'("{FIFTY} {FIFTY}", "cat").blend(1, 0.5)',
}


@pytest.fixture(scope="module")
def pipe():
    return tiny_stable_diffusion(StableDiffusionPipeline)


@pytest.fixture(scope="module")
def compel(pipe):
    return Compel(tokenizer=pipe.tokenizer, text_encoder=pipe.text_encoder, truncate_long_prompts=False)


def ours(pipe, *texts):
    call = pipe.for_one_call()
    call._prompt_syntax = "compel"
    return call.encode_prompt(list(texts), None, 1, False)[0]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@torch.no_grad()
def test_embeddings_are_compels(pipe, compel, text):
    theirs, made = compel(text), ours(pipe, text)
    assert theirs.shape == made.shape
    assert (theirs - made).abs().max() <= 1e-5


@torch.no_grad()
def test_learnt_words_are_read_as_compel_reads_them_from_our_pipeline(pipe):
    pipe.load_textual_inversion({"<w>": torch.randn(3, 32, generator=torch.Generator().manual_seed(0))})
    compel = Compel(pipe.tokenizer, pipe.text_encoder, DiffusersTextualInversionManager(pipe))
    pairs = [(compel(text), ours(pipe, text)) for text in ("a <w>", "a <w>+ cat", "a (cat <w>)0.6 hello")]
    pipe.unload_textual_inversion()
    assert max((theirs - made).abs().max() for theirs, made in pairs) <= 1e-5


@torch.no_grad()
def test_a_batch_of_texts_of_several_lengths_is_compels(pipe, compel):
    texts = ["a cat+", FIFTY + FIFTY, "hello-"]
    assert (compel(texts) - ours(pipe, *texts)).abs().max() <= 1e-5


@torch.no_grad()
def test_embeddings_of_compel_make_the_same_picture_as_the_syntax(pipe, compel):
    prompt, unwanted = "a (cat)1.4 and hello-", "b+"
    given = dict(height=32, width=32, num_inference_steps=2, output_type="pt")
    read = pipe(prompt, negative_prompt=unwanted, prompt_syntax="compel", generator=0, **given).images
    embeds = dict(prompt_embeds=compel(prompt), negative_prompt_embeds=compel(unwanted))
    assert (pipe(**embeds, generator=0, **given).images - read).abs().max() <= 1e-5


# .and() with weights fails in compel's own class for SDXL
XL = [
    "plain",
    "strong",
    "weaker",
    "nested both ways",
    "clauses",
    "blend",
    "long, strong",
    "long, weak",
]


@pytest.mark.parametrize("name", XL)
@torch.no_grad()
def test_embeddings_and_what_is_pooled_of_two_encoders_are_compels(name):
    pipe = tiny_stable_diffusion_xl(StableDiffusionXLPipeline)
    compel = CompelForSDXL(pipe)
    call = pipe.for_one_call()
    call._prompt_syntax = "compel"
    states, _, pooled, _ = call.encode_prompt(TEXTS[name], do_classifier_free_guidance=False)
    theirs = compel(TEXTS[name])
    assert theirs.embeds.shape == states.shape
    assert (theirs.embeds - states).abs().max() <= 1e-5
    assert (theirs.pooled_embeds - pooled).abs().max() <= 1e-5


@torch.no_grad()
def test_embeddings_of_compel_for_two_encoders_make_the_same_picture_as_the_syntax():
    pipe = tiny_stable_diffusion_xl(StableDiffusionXLPipeline)
    prompt, unwanted = "a (cat)1.4 and hello-", "b+"
    given = dict(height=32, width=32, num_inference_steps=2, output_type="pt", generator=0)
    read = pipe(prompt, negative_prompt=unwanted, prompt_syntax="compel", **given).images
    made = CompelForSDXL(pipe)(prompt, negative_prompt=unwanted)
    embeds = dict(
        prompt_embeds=made.embeds,
        pooled_prompt_embeds=made.pooled_embeds,
        negative_prompt_embeds=made.negative_embeds,
        negative_pooled_prompt_embeds=made.negative_pooled_embeds,
    )
    assert (pipe(**embeds, **given).images - read).abs().max() <= 1e-5
