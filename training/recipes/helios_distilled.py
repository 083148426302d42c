"""A student of the transformer that draws films: few steps and no guidance, from a quarter of the size to the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from calotype import HeliosPipeline, HeliosPyramidPipeline
from calotype.core.digests import sha256_of
from calotype.models.helios_transformer import HeliosTransformer3DModel
from calotype.models.t5_tokenizer import T5TokenizerFast
from calotype.ops.pyramid import doubled, halved
from calotype.pipelines.helios.past import Past
from calotype.schedulers import HeliosDMDScheduler
from calotype.schedulers.helios_stages import TOP, Stage
from training.film_words import read
from training.films import CHUNK, take
from training.hoard import hoarded
from training.listening import states_of, told
from training.recipes import helios
from training.recipes.helios import TAGS, Chance, remembered, velocity
from training.reels import CHUNKS, Reels
from training.studio import Studio, write_card
from training.studio import halved as shipped
from training.trainer import Batch, Losses, Plan, Task

NAME = "pocket-helios-distilled"
SHARE = 0.1  # of the whole time
PLAN = Plan(steps=20_000, batch=24, learning_rate=1.5e-3, warmup=50, averaging=0.998, orthogonal=True, bfloat16=True)
AGAIN = 2 / 3  # of the learning rate where a student that is there goes on
BEGINNINGS, PART = 12_000, 50  # first chunks that the teacher draws; in a file
STEPS = 10  # in which it draws them
TURNING = 0.35  # of the later chunks are drawn from those at which something changes: no guidance makes up for few
AFTER = 0.3  # of them are those behind: what a chunk did not follow, the next one may
BLENDED = 0.3  # of the captions come mixed with others, as a prompt that comes in over several chunks
OWN = 0.5  # of the time stages begin where the student came to in the stages before
RECALLED = 0.3  # of the time the chunk before is one that the student drew
FORMER = "former "  # names what belongs to the chunk before
FIRST = 0.5  # of what is learnt is the first step of a stage, which is the longest
COARSE = 16  # steps within the deviation of its matrices: the shelf is small, and its films are no worse
USUAL = {name: value for name, value in helios.USUAL.items() if name != "num_inference_steps"} | {
    "pyramid_num_inference_steps_list": [4, 4, 4],
}
ABOUT = """`pocket-helios` in the style of Helios-Distilled: a student of its transformer that draws in three sizes,
four steps in each and twice as many for the first chunk, without guidance. Where a film begins it learnt what its
teacher makes of the same noise; where one goes on it learnt from films. The world is its teacher's, and as simple.
A speed that no prompt tells may change from chunk to chunk."""


def make(studio: Studio) -> None:
    """Let the teacher draw and the student learn to leap there; save the student's pipeline."""
    teacher = HeliosPipeline.from_pretrained(studio.folder(helios.NAME), torch_dtype=torch.float32).to(studio.device)
    teacher.set_progress_bar_config(disable=True)
    words, text, scheduler = teacher.tokenizer, teacher.text_encoder.requires_grad_(False), HeliosDMDScheduler()
    reels, beginnings = Reels(studio, teacher.vae, helios.FILMS), Beginnings(studio, teacher, BEGINNINGS)
    student = helios.transformer(studio.seed)
    known = studio.known(NAME)
    begun = HeliosTransformer3DModel.from_pretrained(known / "transformer") if known else teacher.transformer
    student.load_state_dict(begun.state_dict())

    def draw(rng: np.random.Generator, size: int) -> Batch:
        rows, numbers = reels.draw(rng, size, first=1, turning=TURNING)
        numbers = np.minimum(numbers + (rng.random(size) < AFTER), CHUNKS - 1)
        later, former = (helios.batch(reels, words, rng, rows, each) for each in (numbers, numbers - 1))
        for chunks in (later, former):
            chunks["noise"] = normal(rng, chunks["latents"].shape)
        named = {FORMER + name: rows for name, rows in former.items()}
        return stacked(later, beginnings.batch(words, rng, size)) | named

    def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
        (now, former), chance = parted(batch), Chance(generator)
        for chunks in (now, former):
            chunks["states"] = states_of(text, chunks["ids"], chunks["counts"])
        now["states"] = blended(now["states"], former["states"], chance)
        if chance.happens(RECALLED):
            now["past"] = recalled(networks["transformer"], scheduler.stages, former, now["past"])
        return leaps(networks["transformer"], scheduler.stages, now, chance)

    networks = nn.ModuleDict({"transformer": student})
    plan = replace(PLAN, learning_rate=AGAIN * PLAN.learning_rate) if known else PLAN
    learnt = studio.learn(Task("helios_distilled", networks, draw, losses), plan, SHARE)
    save(studio, teacher, scheduler, learnt["transformer"])


def save(studio: Studio, teacher: Any, scheduler: HeliosDMDScheduler, student: nn.Module) -> None:
    """The pipeline in the ordinary layout; the words, the text encoder and the autoencoder are the teacher's."""
    pipe = HeliosPyramidPipeline(
        tokenizer=teacher.tokenizer,
        text_encoder=teacher.text_encoder.half(),
        vae=teacher.vae.half(),
        scheduler=scheduler,
        transformer=shipped(student, COARSE),
        is_distilled=True,
    )
    pipe.register_to_config(_usual_arguments=USUAL)
    pipe.save_pretrained(studio.folder(NAME))
    write_card(studio.folder(NAME), NAME, ABOUT, {}, TAGS)


class Beginnings:
    """First chunks of films as the teacher draws them, each with the noise that it came of."""

    def __init__(self, studio: Studio, teacher: Any, count: int) -> None:
        rngs = [studio.rng(11, part) for part in range(-(-count // PART))]
        texts = [[told(take(rng), rng) for _ in range(PART)] for rng in rngs]
        config = teacher.transformer.config
        shape = (PART, config.in_channels, helios.FRAMES, helios.LATENTS, helios.LATENTS)
        noise = [normal(rng, shape) for rng in rngs]

        def drawn(part: int) -> NDArray[np.float16]:
            asked = {"num_frames": CHUNK, "num_inference_steps": STEPS, "output_type": "latent"}
            return teacher(texts[part], latents=noise[part], **asked).frames.cpu().numpy().astype(np.float16)

        weights = next((studio.folder(helios.NAME) / "transformer").glob("*.safetensors"))
        self.latents = hoarded(studio.work, f"beginnings-{sha256_of(weights)[:8]}", len(rngs), drawn)
        self.texts, self.noise = [text for part in texts for text in part], torch.cat(noise)

    def batch(self, words: T5TokenizerFast, rng: np.random.Generator, size: int) -> Batch:
        """Some of them."""
        rows = torch.from_numpy(rng.integers(len(self.texts), size=size))
        ids, counts = read(words, [self.texts[row] for row in rows])
        latents, noise = self.latents[rows].float(), self.noise[rows]
        past = latents.new_zeros(*latents.shape[:2], helios.WINDOW.frames, *latents.shape[3:])
        unseen = {"past": past, "anchor": past[:, :, :1]}
        return {"latents": latents, "noise": noise, "ids": ids, "counts": counts, **unseen}


def normal(rng: np.random.Generator, shape: Sequence[int]) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, np.float32))


def stacked(*batches: Batch) -> Batch:
    """One behind the other, shorter rows filled with zeros."""
    longest = {name: max(batch[name].shape[-1] for batch in batches) for name in batches[0]}
    return {
        name: torch.cat([F.pad(batch[name], (0, length - batch[name].shape[-1])) for batch in batches])
        for name, length in longest.items()
    }


def parted(batch: Batch) -> tuple[Batch, Batch]:
    """What belongs to the chunks to learn, and what to those before them."""
    former = {name.removeprefix(FORMER): rows for name, rows in batch.items() if name.startswith(FORMER)}
    return {name: rows for name, rows in batch.items() if not name.startswith(FORMER)}, former


def blended(states: Tensor, former: Tensor, chance: Chance) -> Tensor:
    """The captions of later chunks, which are the first, some mixed: with half of the one before, or less of any."""
    later = states[: len(former)]
    turning = chance.even(len(former)).view(-1, 1, 1) < 0.5
    share = torch.where(turning, 0.5, 0.4 * chance.even(len(former)).view(-1, 1, 1))
    share = share * (chance.even(len(former)).view(-1, 1, 1) < BLENDED)
    mixed = later.lerp(torch.where(turning, former, later.roll(1, 0)), share.to(later))
    return torch.cat([mixed, states[len(former) :]])


def leaps(transformer: nn.Module, stages: Sequence[Stage], batch: Batch, chance: Chance) -> Losses:
    """How far the velocity from where the student is to where the stage ends is from what the transformer says.

    Each stage is learnt from a share of the batch. Noise and picture belong together, so where a leap has to lead is
    plain, and the mean of all that it might lead to is what it should.
    """
    lost = dict[str, Tensor]()
    for place, stage in enumerate(stages):
        share = {name: rows[place :: len(stages)] for name, rows in batch.items()}
        climb = Climb(transformer, stages, share, remembered(share, chance))
        here, sigma, way = climb.lesson(place, chance)
        lost[f"stage {place}"] = F.mse_loss(climb.said(stage, here, sigma), way)
    return {"loss": torch.stack([*lost.values()]).mean(), **lost}


def recalled(transformer: nn.Module, stages: Sequence[Stage], former: Batch, past: Tensor) -> Tensor:
    """The past of chunks, as if the student had drawn those before them; but a film's first might lie anywhere."""
    climb = Climb(transformer, stages, former, Past(helios.WINDOW, former["past"], former["anchor"]))
    led = (former["anchor"] != 0).flatten(1).any(1).view(-1, 1, 1, 1, 1)
    known, last = past[: len(led)].split([past.shape[2] - helios.FRAMES, helios.FRAMES], 2)
    last = torch.where(led & (last != 0), climb.ended(len(stages) - 1), last)
    return torch.cat([torch.cat([known, last], 2), past[len(led) :]])


@dataclass(frozen=True)
class Climb:
    """The student on its way from the smallest size to the largest."""

    transformer: nn.Module
    stages: Sequence[Stage]
    batch: Batch
    past: Past

    def lesson(self, place: int, chance: Chance) -> tuple[Tensor, Tensor, Tensor]:
        """A place on the way through a stage, the height of it, and the velocity that leads to where the stage ends.

        Half of the time the stage begins where the student itself came to in those before: nobody else will mend what
        it did there.
        """
        begin, end = self.leg(place)
        if chance.happens(OWN):
            begin = begin + self.astray(place)
        sigma = TOP * torch.where(chance.even(len(begin)) < FIRST, 1.0, chance.even(len(begin)))
        way = begin - end
        return end + sigma.view(-1, 1, 1, 1, 1) * way, sigma, way

    def said(self, stage: Stage, on_it: Tensor, sigma: Tensor) -> Tensor:
        """The velocity at this height of a stage."""
        times = torch.from_numpy(stage.timesteps_at(sigma.cpu().double().numpy())).to(sigma).floor()
        return velocity(self.transformer, on_it, times, self.batch["states"], self.past)

    @torch.no_grad()
    def stepped(self, place: int, here: Tensor, height: float) -> Tensor:
        """Half of the way through a stage further."""
        return here - TOP / 2 * self.said(self.stages[place], here, here.new_full((len(here),), height))

    def ended(self, place: int) -> Tensor:
        """Where the student ends a stage in two steps, which it began where it had ended the one before."""
        halfway = self.stepped(place, self.leg(place)[0] + self.astray(place), TOP)
        return self.stepped(place, halfway, TOP / 2)

    def astray(self, place: int) -> Tensor:
        """How far from where it should a stage begins, as the student ended the one before."""
        if place == 0:
            return self.batch["latents"].new_zeros(())
        before, after = self.stages[place - 1], self.stages[place]
        missed = self.ended(place - 1) - self.leg(place - 1)[1]
        return (1 - after.start) / (1 - before.end) * doubled(missed)

    def leg(self, place: int) -> tuple[Tensor, Tensor]:
        """Where a stage should begin and end."""
        return leg(self.stages, place, self.batch["latents"], self.batch["noise"])


def leg(stages: Sequence[Stage], place: int, clean: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Where a stage begins and where it ends, of a picture and its noise, both at full size: at the stage's own."""
    for _ in stages[place + 1 :]:
        clean, noise = halved(clean) / 2, halved(noise)
    stage = stages[place]
    end = stage.end * noise + (1 - stage.end) * clean
    if place == 0:
        return noise, end
    blocks = doubled(halved(clean) / 2)  # what the stage before ended with
    return stage.start * noise + (1 - stage.start) * blocks, end
