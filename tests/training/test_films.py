"""The world of films: deterministic, even in its motion, endless, and with combinations that training never sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.film_captions import EVERYTHING, WORDS, Told, caption, plain
from training.film_words import read, tokenizer
from training.films import CHUNK, DIRECTIONS, NAMED, SPEEDS, STILL, Film, Take, changed, film, new, playing, take
from training.world import COLOURS, PALETTE, SIDE

RED = Take("circle", "red", "white", "right", "slow")


def takes(count: int, unseen: bool = False) -> list[Take]:
    rng = np.random.default_rng(0)
    return [take(rng, unseen) for _ in range(count)]


def test_the_same_seed_draws_the_same_films():
    first, second = (film(np.random.default_rng(5), 3) for _ in range(2))
    assert first == second
    assert np.array_equal(first.frames(20, 30), second.frames(20, 30))
    assert film(np.random.default_rng(6), 3) != first


def test_frames_do_not_depend_on_which_others_are_asked_for():
    one = film(np.random.default_rng(1), 3, change=1.0)
    whole = one.frames(0, 3 * CHUNK)
    assert whole.shape == (3 * CHUNK, SIDE, SIDE, 3)
    assert np.array_equal(one.frames(12, 7), whole[12:19])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_thing_goes_its_way_evenly_and_comes_in_again_on_the_other_side(direction: str):
    speed = STILL if direction == STILL else "fast"
    one = Film((60.0, 3.0), (replace(RED, direction=direction, speed=speed),))
    steps = np.diff(one.places(0, 200), axis=0)
    way = np.array(DIRECTIONS[direction]) * SPEEDS[speed]
    assert np.allclose((steps - way + SIDE / 2) % SIDE, SIDE / 2)
    around = 5 * 4 * CHUNK  # frames in which fast things go round five times
    assert np.array_equal(one.frames(0, 4), one.frames(around, 4))


def test_motion_is_finer_than_pixels():
    one = Film((30.2, 31.7), (RED,))
    weight = np.abs(one.frames(0, 9).astype(float) - PALETTE["white"]).sum(-1)
    middles = (weight * (np.arange(SIDE) + 0.5)).sum((1, 2)) / weight.sum((1, 2))
    assert np.allclose(np.diff(middles), SPEEDS["slow"], atol=0.05)


def test_a_change_keeps_the_place():
    after = replace(RED, colour="blue", shape="star", direction="up")
    one = Film((20.0, 30.0), (RED, after))
    places = one.places(0, 2 * CHUNK)
    assert np.allclose(places[CHUNK - 1 :: CHUNK][0], [20 + SPEEDS["slow"] * (CHUNK - 1), 30])
    assert np.allclose(places[CHUNK], places[CHUNK - 1] + [0, -SPEEDS["slow"]])
    assert np.array_equal(one.frames(CHUNK, 1)[0, 0, 0], PALETTE["white"])


def test_films_change_as_often_as_told_and_only_at_chunks():
    rng = np.random.default_rng(2)
    assert all(len(set(film(rng, 4, change=0).chunks)) == 1 for _ in range(20))
    assert all(len(set(film(rng, 4, change=1).chunks)) > 1 for _ in range(20))


def test_a_change_is_one_and_keeps_to_what_may_be_shown():
    rng = np.random.default_rng(3)
    for one in takes(100):
        other = changed(one, rng)
        assert other != one
        assert not other.held_out
        assert other.colour != other.ground
        assert (other.direction == STILL) == (other.speed == STILL)


def test_training_never_sees_what_is_new_and_the_exam_nothing_else():
    assert not any(one.held_out for one in takes(500))
    asked = takes(300, unseen=True)
    assert all(new(one) for one in asked)
    assert {one.shape for one in asked} == set(NAMED)
    assert {one.direction for one in asked} == set(DIRECTIONS)
    assert {one.colour for one in asked} == set(COLOURS)


def test_every_pair_of_colour_shape_and_direction_is_trained():
    seen = takes(4000)
    for first, second, count in (
        ("colour", "shape", len(COLOURS) * len(NAMED)),
        ("colour", "direction", len(COLOURS) * len(DIRECTIONS)),
        ("shape", "direction", len(NAMED) * len(DIRECTIONS)),
    ):
        assert len({(getattr(one, first), getattr(one, second)) for one in seen}) == count


def test_captions_tell_what_is_so_and_nothing_else():
    rng = np.random.default_rng(4)
    for one in takes(300):
        text = caption(one, rng, EVERYTHING)
        for fact in (one.colour, one.shape, one.ground, one.direction):
            assert any(word in text for word in WORDS[fact]), text
        quiet = caption(one, rng, Told(0, 0, 0, 0))
        assert not any(f" {word}" in f" {quiet} " for name in (*NAMED, *DIRECTIONS) for word in WORDS[name]), quiet


def test_plain_captions_are_short_and_true():
    assert plain(RED) == "a red circle moving right"
    assert plain(RED, ground=True, speed=True) == "a red circle moving right slowly on a white background"
    assert plain(replace(RED, direction=STILL, speed=STILL)) == "a red circle standing still"


def test_the_tokenizer_reads_each_word_as_one_piece_and_any_other_text_in_letters():
    words, rng = tokenizer(), np.random.default_rng(6)
    for one in takes(200):
        text = caption(one, rng)
        assert len(words.tokenize(text)) == len(text.replace(",", " ,").replace("-", " - ").split()), text
    ids, counts = read(words, ["a red ball", "zebra"])
    assert ids.shape == counts.shape
    assert words.decode(ids[1][counts[1] == 1].tolist(), skip_special_tokens=True) == "zebra"


def test_playing_shows_each_take_for_a_chunk():
    shown = takes(3)
    one = playing(shown, np.random.default_rng(7))
    assert [*one.chunks] == shown
