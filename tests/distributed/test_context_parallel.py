"""One film made by several processes is the film that one makes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from calotype.core.errors import InvalidArgument
from calotype.distributed import context_parallel
from calotype.distributed.sequence import shares
from tests.distributed.together import films, made_by
from tests.stories.test_helios import base


@pytest.fixture(scope="module", params=[2, 3], ids=["heads_dealt_out", "more_processes_than_heads"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return made_by(request.param, tmp_path_factory.mktemp("together"))


@pytest.mark.parametrize("pipe", ["base", "pyramid"])
def test_together_they_make_what_one_makes(found: list[dict[str, Any]], pipe: str) -> None:
    alone = films()[pipe]
    for each in found:
        assert (each["seeded"][pipe] - alone).abs().max() < 1e-5


@pytest.mark.parametrize("pipe", ["base", "pyramid"])
def test_without_a_seed_they_draw_alike(found: list[dict[str, Any]], pipe: str) -> None:
    first, *others = (each["unseeded"][pipe] for each in found)
    assert all(torch.equal(first, other) for other in others)
    assert not torch.equal(first, found[0]["seeded"][pipe])


def test_afterwards_each_works_alone_again(found: list[dict[str, Any]]) -> None:
    alone = films()
    for each in found:
        assert all(torch.equal(each["afterwards"][pipe], alone[pipe]) for pipe in alone)


@pytest.mark.parametrize("kept", ["session", "state file"])
def test_without_a_seed_films_that_can_be_resumed_are_drawn_alike(found: list[dict[str, Any]], kept: str) -> None:
    first, *others = (each[kept] for each in found)
    assert all(torch.equal(first, other) for other in others)


def test_calls_that_differ_are_refused_by_all_whatever_was_made_before(found: list[dict[str, Any]]) -> None:
    for each in found:
        assert {what for what, told in each["other"].items() if "the same call in every process" not in told} == set()


def test_fewer_tokens_than_processes_are_refused(found: list[dict[str, Any]]) -> None:
    for each in found:
        assert "at most 1 processes" in each["too small"]


def test_processes_have_to_know_of_each_other() -> None:
    with pytest.raises(InvalidArgument, match="torchrun"), context_parallel(base()):
        pass


def test_only_networks_with_a_sequence_can_be_shared() -> None:
    with pytest.raises(InvalidArgument, match="HeliosTransformer3DModel"), context_parallel(base().vae):
        pass


@pytest.mark.parametrize(("total", "size"), [(10, 2), (10, 3), (7, 4), (3, 3)])
def test_shares_differ_by_one_at_most_and_are_all_there_is(total: int, size: int) -> None:
    dealt = shares(total, size)
    assert sum(dealt) == total and len(dealt) == size and max(dealt) - min(dealt) <= 1
