"""The drawn world: deterministic, in every detail as told, and with combinations that training never sees."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest

from training.captions import ANYTHING, EVERYTHING, WORDS, Told, caption, plain
from training.vocabulary import LENGTH, tokenizer
from training.world import (
    COLOURS,
    NAMELESS,
    PALETTE,
    SHAPES,
    SIDE,
    Scene,
    Thing,
    coverage,
    draw,
    edges,
    held_out,
    layout,
    mask,
    scene,
)


def scenes(count: int, seed: int = 0, **told: Any) -> list[Scene]:
    rng = np.random.default_rng(seed)
    return [scene(rng, **told) for _ in range(count)]


def test_the_same_seed_draws_the_same_world():
    rngs = [np.random.default_rng(5), np.random.default_rng(5)]
    first, second = ([scene(rng) for _ in range(50)] for rng in rngs)
    assert first == second
    assert np.array_equal(draw(first), draw(second))
    assert [caption(one, rngs[0]) for one in first] == [caption(one, rngs[1]) for one in second]
    assert scenes(50) != first


@pytest.mark.parametrize("things", [1, 2])
def test_training_never_sees_what_is_held_out_and_evaluation_nothing_else(things: int):
    assert not any(one.held_out for one in scenes(300, things=things))
    assert all(one.held_out for one in scenes(100, things=things, unseen=True))


def test_every_pair_of_colour_shape_and_ground_is_trained_although_some_triples_are_not():
    kept = Counter[tuple[str, str]]()
    left_out = 0
    for colour in COLOURS:
        for shape in SHAPES:
            for ground in COLOURS:
                if colour != ground and held_out(colour, shape, ground):
                    left_out += 1
                elif colour != ground:
                    kept.update([(colour, shape), (shape, ground), (colour, ground)])
    pairs = 2 * len(COLOURS) * len(SHAPES) + len(COLOURS) * (len(COLOURS) - 1)
    assert len(kept) == pairs
    assert 0.1 < left_out / (len(SHAPES) * len(COLOURS) * (len(COLOURS) - 1)) < 0.2


def test_things_stay_inside_apart_and_different():
    for one in scenes(500):
        cover = coverage(one.things)
        assert cover[:, [0, -1]].max() == 0
        assert cover[:, :, [0, -1]].max() == 0
        assert (cover > 0).sum(0).max() == 1
        assert one.ground not in {thing.colour for thing in one.things}
        assert (
            len({thing.colour for thing in one.things}) == len({thing.shape for thing in one.things}) == len(one.things)
        )


@pytest.mark.parametrize("shape", SHAPES)
def test_edges_are_smooth_and_the_area_grows_with_the_square_of_the_radius(shape: str):
    small, large = (coverage([Thing(shape, "red", "large", 32, 32, radius)])[0] for radius in (10, 20))
    assert large.sum() / small.sum() == pytest.approx(4, rel=0.03)
    assert ((large > 0) & (large < 1)).any()


def test_pictures_have_the_colours_of_their_scenes():
    for one, picture in zip(scenes(50), draw(scenes(50)), strict=True):
        assert abs(picture[0, 0] - np.array(PALETTE[one.ground]) - one.shift).max() <= 8  # white and black are cut off
        for thing, cover in zip(one.things, coverage(one.things), strict=True):
            assert np.array_equal(np.median(picture[cover == 1], axis=0), PALETTE[thing.colour])


def test_a_palette_and_a_side_of_ones_own():
    swapped = PALETTE | {"red": PALETTE["blue"], "blue": PALETTE["red"]}
    one = Scene("red", (Thing("circle", "blue", "large", 32, 32, 16),))
    other = Scene("blue", (Thing("circle", "red", "large", 32, 32, 16),))
    assert np.array_equal(draw([one], swapped), draw([other]))
    assert draw([one], side=128).shape == (1, 128, 128, 3)


def test_hints_and_masks_lie_where_the_things_are():
    for one in scenes(20):
        inside = coverage(one.things).max(0)
        flat, lines = layout([one])[0, ..., 0], edges([one])[0, ..., 0]
        assert abs(flat / 255 - inside).max() < 0.01
        assert lines[(inside > 0.01) & (inside < 0.99)].min() > 200
        for thing in one.things:
            assert mask(thing)[coverage([thing])[0] > 0].min() == 255
            assert (mask(thing) > 0).mean() < 0.6


def test_captions_tell_the_truth_in_many_words():
    rng = np.random.default_rng(1)
    one = next(each for each in scenes(10) if len(each.things) == 1)
    said = {caption(one, rng, EVERYTHING) for _ in range(200)}
    thing = one.things[0]
    assert len(said) > 100
    for fact in (thing.colour, thing.shape, thing.size, one.ground):
        assert all(any(word in text for word in WORDS[fact]) for text in said)
    assert len({caption(one, rng, Told(0, 0, 0)) for _ in range(200)}) < len(said)


def test_relations_are_those_of_the_picture():
    for one in scenes(200, things=2):
        first, second = one.things
        ahead = {"left": first.x < second.x, "right": first.x > second.x, "above": first.y < second.y}
        assert ahead.get(one.relation, first.y > second.y)


def test_articles_agree():
    rng = np.random.default_rng(2)
    words = [caption(one, rng).replace(",", "").split() for one in scenes(500)]
    for text in words:
        assert all(
            (article == "an") == (word[0] in "aeiou")
            for article, word in itertools.pairwise(text)
            if article in ("a", "an")
        )


def test_the_vocabulary_holds_every_word_whole_and_any_text_in_pieces():
    words, rng = tokenizer(), np.random.default_rng(3)
    for one in scenes(300, unseen=True):
        for text in (caption(one, rng, EVERYTHING), plain(one)):
            assert [token.removesuffix("</w>") for token in words.tokenize(text)] == text.replace(",", " ,").replace(
                "-", " - "
            ).split()
            assert len(words(text).input_ids) <= LENGTH
    text = "hello wörld 3"
    assert words.decode(words(text).input_ids, skip_special_tokens=True) == text
    assert words.vocab_size < 1000


def test_no_caption_names_the_nameless_shape_and_no_prompt_asks_for_it():
    rng = np.random.default_rng(4)
    nameless = [one for one in scenes(300) if one.nameless]
    assert len(nameless) > 30
    for one in nameless:
        text = caption(one, rng, EVERYTHING)
        assert not set(text.split()) & set(NAMELESS)
        assert set(text.split()) & set(ANYTHING)
    assert not any(one.nameless for one in scenes(300, unseen=True))


def test_some_captions_leave_the_shape_open():
    rng = np.random.default_rng(5)
    texts = [caption(one, rng) for one in scenes(500, things=1) if not one.nameless]
    assert 0.15 < sum(bool(set(text.split()) & set(ANYTHING)) for text in texts) / len(texts) < 0.35


def test_the_vocabulary_survives_its_files(tmp_path):
    words = tokenizer()
    words.save_pretrained(tmp_path)
    again = type(words).from_pretrained(tmp_path)
    assert again("a red circle").input_ids == words("a red circle").input_ids
    assert again.model_max_length == LENGTH


def test_hundreds_of_pictures_a_second():
    many = scenes(200)
    began = time.process_time()
    assert draw(many).shape == (200, SIDE, SIDE, 3)
    assert time.process_time() - began < 1
