"""A prompt's spelling says what is strong, weak, apart and when; what it says is what the network is told."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
import torch

import calotype
from calotype import DDIMScheduler, HeunDiscreteScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from calotype.core.errors import InvalidArgument
from calotype.generation import a1111, compel
from tests.tiny import tiny_inputs, tiny_pipeline, tiny_stable_diffusion, tiny_stable_diffusion_xl

PIPELINES = [name for name in calotype.__all__ if name.startswith("StableDiffusion") and name.endswith("Pipeline")]
GIVEN = dict(height=32, width=32, num_inference_steps=4, output_type="pt", generator=0)


@pytest.fixture(scope="module")
def pipe():
    """Its encoder has states with a mean, as trained ones have."""
    made = tiny_stable_diffusion(StableDiffusionPipeline)
    torch.nn.init.normal_(made.text_encoder.text_model.final_layer_norm.bias)
    return made


def spelt(text):
    return [[(piece.text, round(piece.weight, 4)) for piece in pieces] for pieces in a1111.sections(text)]


def states(pipe, text, syntax="a1111", **options):
    call = pipe.for_one_call()
    call._prompt_syntax = syntax
    with torch.no_grad():
        return call.encode_prompt(text, None, 1, False, **options)[0]


# ---------------------------------------------------------------------------- a1111: weights

WEIGHTS = {
    "plain": ("a cat", [("a cat", 1)]),
    "round": ("a (cat) b", [("a ", 1), ("cat", 1.1), (" b", 1)]),
    "twice": ("((cat))", [("cat", 1.21)]),
    "square": ("[cat]", [("cat", 0.9091)]),
    "square twice": ("[[cat]]", [("cat", 0.8264)]),
    "number": ("(cat:1.3)", [("cat", 1.3)]),
    "number with spaces": ("(a cat : 0.25 )", [("a cat ", 0.25)]),
    "number within": ("(a (cat:1.5) b:2)", [("a ", 2), ("cat", 3), (" b", 2)]),
    "square within round": ("(a [cat] b)", [("a ", 1.1), ("cat", 1), (" b", 1.1)]),
    "a colon is text": ("(time: noon)", [("time: noon", 1.1)]),
    "the last colon counts": ("(a: b:1.5)", [("a: b", 1.5)]),
    "no number in square ones": ("[cat: dog]", [("cat: dog", 0.9091)]),
    "escaped": (r"a \(b\) \[c\] (d\:1)", [("a (b) [c] ", 1), ("d:1", 1.1)]),
    "a backslash is text": (r"a\b", [(r"a\b", 1)]),
    "empty brackets": ("a ()b", [("a b", 1)]),
    "empty": ("", [("", 1)]),
    "neighbours": ("(a)(b)", [("ab", 1.1)]),
}


@pytest.mark.parametrize(("text", "pieces"), WEIGHTS.values(), ids=WEIGHTS)
def test_brackets_weigh_what_is_in_them(text, pieces):
    assert spelt(text) == [pieces]


def test_a_break_starts_anew_also_within_brackets():
    assert spelt("a BREAK (b BREAK c:2) BREAKING") == [[("a ", 1)], [("b ", 2)], [(" c", 2), (" BREAKING", 1)]]


# ---------------------------------------------------------------------------- a1111: times

TURNS = {
    "after a step": ("[a:b:2] c", ["a c", "a c", "b c", "b c"]),
    "after a share": ("[a:b:0.25] c", ["a c", "b c", "b c", "b c"]),
    "from a step on": ("x[b:3]", ["x", "x", "x", "xb"]),
    "until a step": ("[a::1]x", ["ax", "x", "x", "x"]),
    "never, and from the start": ("[a:b:0][c:d:9]", ["bc"] * 4),
    "the whole of it": ("[a:b:1.0]", ["a"] * 4),
    "by turns": ("[a|b|]", ["a", "b", "", "a"]),
    "within each other": ("[a:[b|c]:2]", ["a", "a", "b", "c"]),
    "within weights": ("([a:b:2]:1.5)", ["(a:1.5)", "(a:1.5)", "(b:1.5)", "(b:1.5)"]),
    "with weights in it": ("[(a:1.2):b:2]", ["(a:1.2)", "(a:1.2)", "b", "b"]),
    "weights alone": ("(a) [b] (c:2)", ["(a) [b] (c:2)"] * 4),
    "bars in round brackets": ("(a|b:1.2)", ["(a|b:1.2)"] * 4),
    "escaped": (r"[a\|b]", [r"[a\|b]"] * 4),
}


@pytest.mark.parametrize(("text", "steps"), TURNS.values(), ids=TURNS)
def test_each_step_reads_what_holds_then(text, steps):
    assert a1111.turns(text, 4) == steps


# ---------------------------------------------------------------------------- a1111: states


def test_states_are_weighted_and_keep_their_mean(pipe):
    with torch.no_grad():
        plain = pipe.encode_prompt("a cat, hello", None, 1, False)[0]
    weights = torch.ones(77)
    weights[2] = 1.3  # after the start and "a"
    expected = plain * weights[:, None]
    expected = expected * (plain.mean() / expected.mean())
    assert (states(pipe, "a (cat:1.3), hello") - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("syntax", ["a1111", "compel"])
def test_a_text_without_signs_is_read_as_ever(pipe, syntax):
    with torch.no_grad():
        assert torch.equal(
            states(pipe, "a cat, hello!", syntax), pipe.encode_prompt("a cat, hello!", None, 1, False)[0]
        )


def test_long_texts_are_read_in_chunks_each_on_its_own(pipe):
    first, second = " ".join(["cat"] * 75), " ".join(["hello"] * 10)
    whole = states(pipe, f"{first} {second}")
    assert whole.shape[1] == 2 * 77
    assert torch.allclose(whole, torch.cat([states(pipe, first), states(pipe, second)], 1), atol=1e-6)


def test_a_full_chunk_ends_after_a_comma_that_is_near(pipe):
    near, far = "cat " * 60 + ", ", "cat " * 40 + ", "
    after = "hello " * 50
    assert torch.allclose(states(pipe, near + after)[:, :77], states(pipe, near), atol=1e-6)
    assert torch.allclose(states(pipe, far + after)[:, :77], states(pipe, far + "hello " * 34), atol=1e-6)


def test_a_break_fills_the_chunk(pipe):
    assert torch.allclose(
        states(pipe, "a cat BREAK hello"), torch.cat([states(pipe, "a cat"), states(pipe, "hello")], 1), atol=1e-6
    )


def test_texts_of_different_lengths_are_filled_up_with_nothing(pipe):
    nothing, short = states(pipe, ""), states(pipe, "a cat")
    both = states(pipe, ["a cat", "a cat BREAK hello"])
    assert torch.allclose(both[:1], torch.cat([short, nothing], 1), atol=1e-6)
    call = pipe.for_one_call()
    call._prompt_syntax = "a1111"
    with torch.no_grad():
        positive, negative = call.encode_prompt("a cat", None, 1, True, "a BREAK b BREAK c")
    assert positive.shape == negative.shape == (1, 3 * 77, 32)
    assert torch.allclose(positive, torch.cat([short, nothing, nothing], 1), atol=1e-6)


def test_states_whose_mean_is_rounding_are_not_scaled_by_it():
    plain = tiny_stable_diffusion(StableDiffusionPipeline)  # ends in a norm without a bias
    with torch.no_grad():
        expected = plain.encode_prompt("a cat", None, 1, False)[0]
    expected[:, 1:3] *= 1.5
    assert torch.allclose(states(plain, "(a cat:1.5)"), expected, atol=1e-5)


def test_embeddings_that_a_text_cannot_stand_beside_are_refused(pipe):
    given = dict(GIVEN, prompt_syntax="a1111")
    with pytest.raises(InvalidArgument, match=r"prompt_embeds.*chunks of 77.*100"):
        pipe(prompt_embeds=torch.zeros(1, 100, 32), negative_prompt="a", **given)
    with pytest.raises(InvalidArgument, match=r"negative_prompt.*at most 77.*154"):
        pipe(prompt_embeds=torch.zeros(1, 77, 32), negative_prompt="a BREAK b", **given)


def test_a_learnt_word_of_several_vectors_has_its_weight_on_all_of_them(pipe):
    pipe.load_textual_inversion({"<w>": torch.ones(2, 32)})
    short, long = states(pipe, "a (<w>:1.4)"), states(pipe, "a (<w> <w>_1:1.4)")
    pipe.unload_textual_inversion()
    assert torch.equal(short, long)


# ---------------------------------------------------------------------------- calls


def test_it_is_off_unless_asked_for(pipe):
    plain, strong = (pipe(text, **GIVEN).images for text in ("a ((cat))", "a \\(\\(cat\\)\\)"))
    assert not torch.equal(plain, strong)
    assert torch.equal(pipe("a \\(\\(cat\\)\\)", prompt_syntax="a1111", **GIVEN).images, plain)


@pytest.mark.parametrize("kind", PIPELINES)
@pytest.mark.parametrize("syntax", ["a1111", "compel"])
def test_every_pipeline_takes_it(kind, syntax):
    text = {"a1111": "a (cat:1.5)", "compel": "a (cat)1.5"}[syntax]
    pipe = tiny_pipeline(getattr(calotype, kind))
    given = dict(tiny_inputs(kind), num_inference_steps=2, output_type="pt", generator=0)
    told = pipe(text, prompt_syntax=syntax, **given).images
    assert torch.isfinite(told).all() and not torch.equal(told, pipe("a cat", **given).images)


def test_two_encoders_read_texts_of_different_lengths_side_by_side():
    pipe = tiny_stable_diffusion_xl(StableDiffusionXLPipeline)
    call = pipe.for_one_call()
    call._prompt_syntax = "a1111"
    with torch.no_grad():
        states, unwanted, pooled, _ = call.encode_prompt(
            "a BREAK (b:1.4)", "hello", negative_prompt="a BREAK b BREAK c"
        )
        plain, _, plain_pooled, _ = pipe.encode_prompt("a", "hello", do_classifier_free_guidance=False)
    assert states.shape == unwanted.shape == (1, 3 * 77, 32)
    assert torch.allclose(states[:, :77], plain, atol=1e-6) and torch.allclose(pooled, plain_pooled, atol=1e-6)


def test_what_is_pooled_changes_with_the_prompt():
    pipe = tiny_stable_diffusion_xl(StableDiffusionXLPipeline)
    given = dict(GIVEN, guidance_scale=1.0)
    plain = pipe("cat", **given).images
    assert torch.equal(pipe("[cat:hello:4]", prompt_syntax="a1111", **given).images, plain)
    assert not torch.equal(pipe("[cat:hello:3]", prompt_syntax="a1111", **given).images, plain)


@pytest.mark.parametrize(("scheduler", "evaluations"), [(DDIMScheduler, [2, 2]), (HeunDiscreteScheduler, [4, 3])])
def test_a_prompt_that_changes_is_told_step_by_step(pipe, scheduler, evaluations):
    """Heun asks the network twice in each step but the last."""
    seen = []
    pipe = StableDiffusionPipeline.from_pipe(pipe, scheduler=scheduler.from_config(pipe.scheduler.config))
    pipe.set_progress_bar_config(disable=True)

    def note(call, i, t, tensors):
        seen.append(tensors["prompt_embeds"][-1])
        return {}

    pipe(
        "[cat:hello:2] a", prompt_syntax="a1111", callback_on_step_end=note,
        callback_on_step_end_tensor_inputs=["prompt_embeds"], **GIVEN,
    )  # fmt: skip
    cat, hello = states(pipe, "cat a")[0], states(pipe, "hello a")[0]
    assert [sum(torch.equal(one, told) for one in seen) for told in (cat, hello)] == evaluations
    assert torch.equal(seen[0], cat) and torch.equal(seen[-1], hello)


def test_a_change_that_comes_too_late_changes_nothing_and_one_in_time_does(pipe):
    plain = pipe("cat", **GIVEN).images
    assert torch.equal(pipe("[cat:hello:4]", prompt_syntax="a1111", **GIVEN).images, plain)
    assert not torch.equal(pipe("[cat:hello:3]", prompt_syntax="a1111", **GIVEN).images, plain)


def test_a_negative_prompt_changes_too(pipe):
    told = pipe("cat", negative_prompt="[a:b:4]", prompt_syntax="a1111", **GIVEN).images
    assert torch.equal(told, pipe("cat", negative_prompt="a", **GIVEN).images)


def test_a_call_goes_on_with_its_syntax_and_its_turns(pipe, tmp_path):
    given = dict(prompt="a [cat|(hello:1.5)]", prompt_syntax="a1111", **GIVEN)
    whole = pipe(**given).images
    stream = pipe.stream(**given, state_file=tmp_path / "state")
    next(stream)
    stream.cancel()
    assert torch.equal(pipe.resume(tmp_path / "state").output.images, whole)


def test_an_unknown_syntax_is_refused(pipe):
    with pytest.raises(InvalidArgument, match=r"prompt_syntax.*a1111, compel"):
        pipe("a cat", prompt_syntax="comfy", **GIVEN)


# ---------------------------------------------------------------------------- what does not close

UNCLOSED = {
    "round": ("a1111", "a (cat", "prompt, character 3: expected ')' for it"),
    "square": ("a1111", "a [cat (b)", "prompt, character 3: expected ']' for it"),
    "inner": ("a1111", "(a (b)", "prompt, character 1"),
    "crossed": ("a1111", "(a [b)]", "prompt, character 6: expected ']' for character 4, found ')'"),
    "never opened": ("a1111", "a cat :)", "prompt, character 8"),
    "too deep": ("a1111", "(" * 60 + ")" * 60, "at most 50"),
    "three colons": ("a1111", "[a:b:c:2]", "[from:to:when], found 3 colons"),
    "a share above one": ("a1111", "[a:b:1.5]", "prompt, character 6: expected a step, or a share"),
    "before the start": ("a1111", "[a:b:-1]", "a step, or a share"),
    "scenes": ("a1111", "a cat AND a dog", "character 7"),
    "networks": ("a1111", "a <lora:x:1>", "load_lora_weights"),
    "round, compel": ("compel", "a (cat", "prompt, character 3: expected ')' for it"),
    "never opened, compel": ("compel", "a cat)", "prompt, character 6"),
    "quotation": ("compel", 'a "cat', "prompt, character 3: expected '\"' for it"),
    "in a word": ("compel", "cat(s", "prompt, character 4"),
    "in a blend": ("compel", '("a (cat", "b").blend(1, 1)', "prompt, text 1, character 3"),
    "weights of a blend": ("compel", '("a", "b").blend(1)', ".blend: expected 2 weights"),
    "blend of nothing": ("compel", '("a", "b").blend(1, -1)', "whose sum is not 0"),
    "a blend among words": ("compel", 'c ("a", "b").blend(1, 1)', "character 13"),
    "too deep, compel": ("compel", "(" * 60 + ")" * 60, "at most 50"),
}


@pytest.mark.parametrize(("syntax", "text", "told"), UNCLOSED.values(), ids=UNCLOSED)
def test_what_does_not_close_is_refused_with_its_place(pipe, syntax, text, told):
    with pytest.raises(InvalidArgument, match=re.escape(told)):
        pipe(text, prompt_syntax=syntax, **GIVEN)


def test_the_argument_that_is_wrong_is_named(pipe):
    with pytest.raises(InvalidArgument, match=r"negative_prompt\[1\], character 1"):
        pipe(["a", "b"], negative_prompt=["c", "(d"], prompt_syntax="a1111", **GIVEN)


def test_no_text_of_brackets_fails_in_another_way():
    letters = 'a ()[]:|\\+-,."1'
    generator = torch.Generator().manual_seed(0)
    for length in [5, 12, 30] * 150:
        text = "".join(letters[i] for i in torch.randint(len(letters), (length,), generator=generator))
        for read in (lambda text: [a1111.sections(turn) for turn in a1111.turns(text, 3)], compel.clauses):
            with suppress(InvalidArgument):
                assert read(text)
