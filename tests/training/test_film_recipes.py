"""The recipes for films, run for a moment, leave files that the library reads; the exams judge what they film."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from calotype import AutoencoderKLWan, HeliosPipeline, HeliosPyramidPipeline
from calotype.models.helios_transformer import HeliosTransformer3DModel
from calotype.ops.pyramid import doubled
from calotype.pipelines.helios.past import Past
from calotype.schedulers import HeliosDMDScheduler
from calotype.schedulers.helios_stages import Stage
from training import film_exams, listening, reels
from training.film_captions import WORDS
from training.films import CHUNK, Take, film
from training.recipes import helios, helios_distilled, wan, wan_decoder
from training.studio import Studio, as_pixels
from training.trainer import Plan, Task
from training.world import SIDE


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A folder in which all stages have run for one step."""
    made = Studio(tmp_path_factory.mktemp("pocket"), torch.device("cpu"), minutes=1e-9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wan, "MEASURED", 1)
        patch.setattr(reels, "PART", 1)
        patch.setattr(helios, "FILMS", 2)
        patch.setattr(helios_distilled, "BEGINNINGS", 2)
        patch.setattr(helios_distilled, "PART", 1)
        for recipe in (wan, wan_decoder, helios, listening, helios_distilled):
            patch.setattr(recipe, "PLAN", Plan(steps=1, batch=4))
        for recipe in (wan, wan_decoder, helios, helios_distilled):
            recipe.make(made)
    return made


def test_the_film_pipeline_is_small_and_films_with_few_arguments(studio: Studio):
    files = list(studio.folder(helios.NAME).rglob("*.safetensors"))
    assert len(files) == 3
    assert sum(file.stat().st_size for file in files) < 7e6
    pipe = HeliosPipeline.from_pretrained(studio.folder(helios.NAME))
    pipe.set_progress_bar_config(disable=True)
    assert film_exams.filmed(pipe, 2, prompt="a red ball", num_inference_steps=1).shape == (1, 2 * CHUNK, SIDE, SIDE, 3)
    assert set(film_exams.prompts(pipe, 1, 1, num_inference_steps=1)) == {
        *("colour", "shape", "ground", "direction", "speed")
    }


@torch.no_grad()
def test_latents_of_films_are_as_wide_as_noise(studio: Studio):
    vae = AutoencoderKLWan.from_pretrained(studio.folder(wan.NAME))
    rng = np.random.default_rng(0)
    seen = torch.cat([wan.encoded(vae, as_pixels(film(rng).frames(0)[None])).sample() for _ in range(3)])
    assert 0.5 < float(reels.normalised(vae, seen).std()) < 2


def test_films_are_encoded_once(studio: Studio):
    files = sorted(studio.work.glob("reels-*.npy"))
    assert len(files) == 2
    before = [file.stat().st_mtime_ns for file in files]
    vae = AutoencoderKLWan.from_pretrained(studio.folder(wan.NAME))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reels, "PART", 1)
        again = reels.Reels(studio, vae, 2)
    assert [file.stat().st_mtime_ns for file in files] == before
    assert again.latents.shape == (2, reels.CHUNKS, wan.DEPTH, reels.FRAMES, 8, 8)


@pytest.mark.parametrize(("turning", "least", "most"), [(0.0, 0.05, 0.3), (0.5, 0.4, 0.7), (1.0, 1.0, 1.0)])
def test_chunks_at_which_something_changes_are_drawn_as_often_as_is_asked(turning: float, least: float, most: float):
    made = reels.Reels.__new__(reels.Reels)
    made.films = [film(np.random.default_rng(seed), reels.CHUNKS) for seed in range(30)]
    rows, numbers = made.draw(np.random.default_rng(1), 200, first=1, turning=turning)
    seen = [(made.films[row].chunks, number) for row, number in zip(rows, numbers, strict=True)]
    assert made.takes(rows, numbers) == [chunks[number] for chunks, number in seen]
    assert least <= np.mean([chunks[number] != chunks[number - 1] for chunks, number in seen]) <= most


def test_captions_never_hide_what_is_not_as_before():
    rng = np.random.default_rng(0)
    before, now = Take("circle", "red", "blue", "right", "fast"), Take("square", "red", "green", "up", "slow")
    for _ in range(100):
        text = listening.told(now, rng, before).lower()
        assert all(any(word in text for word in WORDS[name]) for name in ("square", "green", "up", "slow")), text
    usual = [listening.told(now, rng, now).lower() for _ in range(100)]
    assert "" in usual and any(text and not any(word in text for word in WORDS["green"]) for text in usual)


def test_the_past_of_a_chunk_is_what_came_before_it_and_nothing_before_the_first():
    latents = torch.arange(1, 1 + reels.CHUNKS * reels.FRAMES).view(reels.CHUNKS, 1, reels.FRAMES, 1, 1)
    seen = [helios.before(latents, number).flatten().tolist() for number in range(reels.CHUNKS)]
    assert seen[0] == [0] * 19
    assert seen[1] == [0] * 16 + [*range(1, 4)]
    assert seen[7] == [*range(3, 22)]


def test_the_way_back_is_learnt_alone(studio: Studio):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wan, "MEASURED", 1)
        patch.setattr(wan_decoder, "PLAN", wan_decoder.PLAN.__class__(steps=1, batch=4))
        before = AutoencoderKLWan.from_pretrained(studio.folder(wan.NAME)).state_dict()
        (studio.work / "wan_decoder.pt").unlink()
        wan_decoder.make(studio)
    after = AutoencoderKLWan.from_pretrained(studio.folder(wan.NAME)).state_dict()
    learnt = {name.partition(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert learnt == {"decoder", "post_quant_conv"}


def test_the_student_shares_all_but_the_transformer_and_films_in_three_sizes(studio: Studio):
    told = [studio.folder(recipe.NAME) for recipe in (helios, helios_distilled)]
    same = {
        part: len({next((folder / part).glob("*.safetensors")).read_bytes() for folder in told}) == 1
        for part in ("text_encoder", "vae", "transformer")
    }
    assert same == {"text_encoder": True, "vae": True, "transformer": False}
    pipe = HeliosPyramidPipeline.from_pretrained(told[1])
    pipe.set_progress_bar_config(disable=True)
    assert pipe.distilled
    assert film_exams.filmed(pipe, 2, prompt="a red ball").shape == (1, 2 * CHUNK, SIDE, SIDE, 3)
    assert len([*studio.work.glob("beginnings-*.npy")]) == 2


def test_the_student_goes_on_from_one_that_is_finished(studio: Studio, tmp_path: Path):
    shutil.copytree(studio.folder(helios.NAME), tmp_path / helios.NAME)
    begun = HeliosTransformer3DModel.from_pretrained(studio.folder(helios_distilled.NAME) / "transformer")
    learnt: list[torch.nn.Module] = []
    plans: list[Plan] = []

    def learn(_: Studio, task: Task, plan: Plan, share: float) -> torch.nn.ModuleDict:
        learnt.append(task.networks)
        plans.append(plan)
        return task.networks

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(helios_distilled, "Reels", lambda *_: None)
        patch.setattr(helios_distilled, "Beginnings", lambda *_: None)
        patch.setattr(Studio, "learn", learn)
        helios_distilled.make(Studio(tmp_path, torch.device("cpu"), before=studio.out))
    for name, weight in learnt[0]["transformer"].state_dict().items():
        assert torch.allclose(weight.float(), begun.state_dict()[name].float(), atol=1e-2), name
    assert plans[0].learning_rate < helios_distilled.PLAN.learning_rate
    saved = HeliosTransformer3DModel.from_pretrained(tmp_path / helios_distilled.NAME / "transformer").state_dict()
    assert all(torch.equal(saved[name], weight) for name, weight in begun.state_dict().items())


@pytest.mark.parametrize("place", [1, 2])
def test_a_stage_is_entered_from_the_end_of_the_one_before_with_the_noise_that_the_pipeline_adds(place: int):
    scheduler = HeliosDMDScheduler()
    clean, noise = torch.randn(2, 4, 16, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    _, before = helios_distilled.leg(scheduler.stages, place - 1, clean, noise)
    begin, _ = helios_distilled.leg(scheduler.stages, place, clean, noise)
    stage = scheduler.stages[place]
    added = (begin - stage.kept * doubled(before)) / stage.added
    blocks = added.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
    assert float(blocks.sum((-1, -3)).abs().max()) < 1e-4
    assert float(added.std()) == pytest.approx(1, abs=0.01)


def test_the_last_stage_ends_with_the_picture():
    scheduler = HeliosDMDScheduler()
    clean, noise = torch.randn(2, 1, 16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    begin, _ = helios_distilled.leg(scheduler.stages, 0, clean, noise)
    assert begin.shape[-2:] == (2, 2)
    assert torch.equal(helios_distilled.leg(scheduler.stages, 2, clean, noise)[1], clean)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_who_ends_each_stage_where_it_should_begins_the_next_where_it_should(place: int):
    climb, _ = climbing(Sure)
    assert climb.astray(place).abs().max() < 0.01


def test_who_stays_where_a_stage_begins_is_as_far_astray_as_the_next_one_sees_of_the_way():
    climb, (clean, noise) = climbing(Idle)
    first, second = climb.stages[:2]
    begin, end = helios_distilled.leg(climb.stages, 0, clean, noise)
    seen = (1 - second.start) / (1 - first.end)
    assert torch.allclose(climb.astray(1), seen * doubled(begin - end))


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_every_lesson_leads_to_where_the_stage_ends(place: int, seed: int):
    climb, _ = climbing(Idle)
    here, sigma, way = climb.lesson(place, helios.Chance(torch.Generator().manual_seed(seed)))
    assert torch.allclose(here - sigma.view(-1, 1, 1, 1, 1) * way, climb.leg(place)[1], atol=1e-5)


def test_who_knows_the_way_recalls_the_chunk_before_as_it_was(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(helios_distilled, "Climb", Sure)
    latents, noise, past = torch.randn(3, 4, 16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    anchor = latents[:, :, :1].clone()
    anchor[1] = 0
    past = past.repeat(1, 1, 7, 1, 1)[:, :, :19]
    past[2, :, -2] = 0
    former = {"latents": latents[:3], "noise": noise[:3], "past": past[:3], "anchor": anchor[:3]}
    made = helios_distilled.recalled(torch.nn.Identity(), HeliosDMDScheduler().stages, former, past)
    assert torch.allclose(made[0, :, -3:], latents[0], atol=0.01)
    assert torch.equal(made[:, :, :-3], past[:, :, :-3])
    assert torch.equal(made[[1, 3]], past[[1, 3]])
    assert not made[2, :, -2].any() and torch.allclose(made[2, :, -1], latents[2, :, -1], atol=0.01)


def test_some_captions_of_later_chunks_come_half_with_those_before_or_less_with_others():
    states, former = torch.eye(220)[:200, None], torch.eye(220)[20:, None]  # the first 200 and the last
    made = helios_distilled.blended(states, former[:180], helios.Chance(torch.Generator().manual_seed(0)))[:, 0]
    own, before, other = (
        torch.stack([made[row, column(row)] for row in range(200)])
        for column in (
            lambda row: row,
            lambda row: row + 20,
            lambda row: (row - 1) % 180,
        )
    )
    assert torch.allclose(own + before + other, torch.ones(200)) and bool((own >= 0.5).all())
    assert bool((own[180:] == 1).all())
    assert {*before.tolist()} == {0.0, 0.5} and 0.1 < float((before > 0).float().mean()) < 0.2
    assert 0.1 < float((other > 0).float().mean()) < 0.2 and float(other.max()) <= 0.4


class Sure(helios_distilled.Climb):
    """Knows the way."""

    def said(self, stage: Stage, on_it: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        begin, end = helios_distilled.leg(
            self.stages, self.stages.index(stage), self.batch["latents"], self.batch["noise"]
        )
        return begin - end


class Idle(helios_distilled.Climb):
    """Does not move."""

    def said(self, stage: Stage, on_it: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(on_it)


def climbing(kind: type[helios_distilled.Climb]) -> tuple[helios_distilled.Climb, torch.Tensor]:
    """A student of this kind, and the pictures and the noise between which it climbs."""
    pair = torch.randn(2, 1, 16, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    batch = {"latents": pair[0], "noise": pair[1]}
    nothing = Past.blank(helios.WINDOW, (1, 16, 3, 16, 16), torch.device("cpu"))
    return kind(torch.nn.Identity(), HeliosDMDScheduler().stages, batch, nothing), pair
