"""What pocket models are asked, and how often they are right, by the judge: for their cards and for the tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from training.captions import ANYTHING, EVERYTHING, PLACES, caption, plain, with_article
from training.judge import Verdict, judge, read
from training.recipes.inversion import WORD
from training.recipes.lora import OPPOSITE
from training.world import Scene, Thing, draw, edges, mask, scene

AT_ONCE = 25  # pictures in one call
Marks = dict[str, float]
Pictures = NDArray[np.uint8]


def unseen(count: int, things: int = 1, seed: int = 0) -> list[Scene]:
    """Scenes whose combinations were kept from training."""
    rng = np.random.default_rng([seed, things])
    return [scene(rng, things, unseen=True) for _ in range(count)]


def drawn(
    pipe: Any, prompts: Sequence[str], more: Callable[[int], dict[str, Any]] | None = None, **options: Any
) -> Pictures:
    """Pictures of prompts; picture i is the picture of seed i. ``more(i)`` is what the call needs for each of them."""
    pictures = list[Pictures]()
    for first in range(0, len(prompts), AT_ONCE):
        part = list(prompts[first : first + AT_ONCE])
        seeds = list(range(first, first + len(part)))
        own = [more(place) for place in seeds] if more else []
        listed = {name: [each[name] for each in own] for name in (own[0] if own else ())}
        if "ip_adapter_image" in listed:  # of the one adapter there is, a list for each prompt
            listed["ip_adapter_image"] = [listed["ip_adapter_image"]]
        images = pipe(part, seeds=seeds, output_type="np", **listed, **options).images
        pictures.append((np.asarray(images) * 255).round().astype(np.uint8))
    return np.concatenate(pictures)


def shares(verdicts: Sequence[Verdict]) -> Marks:
    """How often each fact was right, from 0 to 1."""
    facts = ("count", "colour", "shape", "place", "ground", "size", "bound")
    return {fact: float(np.mean([getattr(one, fact) for one in verdicts])) for fact in facts}


def judged(pictures: Pictures, scenes: Sequence[Scene]) -> Marks:
    return shares([judge(*pair) for pair in zip(pictures, scenes, strict=True)])


def prompts(pipe: Any, count: int, things: int = 1, **options: Any) -> Marks:
    """Whether pictures show what their prompts tell, in combinations never trained."""
    scenes = unseen(count, things)
    return judged(drawn(pipe, [plain(one) for one in scenes], **options), scenes)


def negatives(pipe: Any, count: int, **options: Any) -> Marks:
    """Grounds that no prompt tells, and that a negative prompt then names: how often they go, at which cost."""
    scenes = unseen(count)
    asked = [with_article(f"{one.things[0].colour} {one.things[0].shape}") for one in scenes]
    plainly = drawn(pipe, asked, **options)
    grounds = [read(picture).ground for picture in plainly]
    unwanted = [f"on {with_article(ground)} background" for ground in grounds]
    against = drawn(pipe, asked, lambda place: {"negative_prompt": unwanted[place]}, **options)
    gone = [read(picture).ground != ground for picture, ground in zip(against, grounds, strict=True)]
    before, after = judged(plainly, scenes), judged(against, scenes)
    things = {fact: after[fact] for fact in ("colour", "shape")} | {
        f"{fact} without it": before[fact] for fact in ("colour", "shape")
    }
    return {"gone": float(np.mean(gone)), **things}


def strengths(pipe: Any, count: int, strength: float, **options: Any) -> Marks:
    """Pictures drawn anew to prompts that tell nothing, and to prompts of other scenes: what is left, what is new."""
    before, after = unseen(count, seed=1), unseen(count, seed=2)
    given = draw(before)

    def anew(asked: Sequence[str]) -> Pictures:
        shown = [Image.fromarray(picture) for picture in given]
        return drawn(pipe, asked, lambda place: {"image": shown[place]}, strength=strength, **options)

    untold, told = anew([""] * count), anew([plain(one) for one in after])
    return {
        "kept": judged(untold, before)["bound"],
        "ground kept against the prompt": judged(told, before)["ground"],
        "followed": judged(told, after)["bound"],
    }


def repainted(pipe: Any, count: int, **options: Any) -> Marks:
    """One of two things repainted as another: whether it is there, and how far all else moved, in levels of 255."""
    rng = np.random.default_rng(3)
    before = [scene(rng, 2) for _ in range(count)]
    after = [_with_other(one, rng) for one in before]
    given = draw(before)
    holes = np.stack([mask(one.things[0], grow=5) for one in before])

    def shown(place: int) -> dict[str, Any]:
        return {"image": Image.fromarray(given[place]), "mask_image": Image.fromarray(holes[place])}

    pictures = drawn(pipe, [plain(one) for one in after], shown, **options)
    moved = abs(pictures.astype(np.int16) - given)[holes == 0]
    return {"there": judged(pictures, after)["bound"], "moved": float(moved.mean())}


def _with_other(one: Scene, rng: np.random.Generator) -> Scene:
    """The scene with another first thing in the same place, of another colour and shape."""
    while True:
        other = scene(rng, 1)
        made = replace(other.things[0], x=one.things[0].x, y=one.things[0].y, size=one.things[0].size)
        made = replace(made, radius=one.things[0].radius)
        taken = {one.ground, *(name for thing in one.things for name in (thing.colour, thing.shape))}
        if not other.nameless and not taken & {made.colour, made.shape}:
            return replace(one, things=(made, one.things[1]))


def hints(pipe: Any, count: int, **options: Any) -> Marks:
    """Whether shape, size and place are those of an outline, where the prompt tells colours alone."""
    scenes = unseen(count)
    outlines = edges(scenes)
    asked = [_colours(one.things[0], one.ground, "thing") for one in scenes]
    pictures = drawn(pipe, asked, lambda place: {"image": Image.fromarray(outlines[place])}, **options)
    return judged(pictures, scenes)


def opposites(pipe: Any, count: int, **options: Any) -> Marks:
    """Whether things and grounds have the colours opposite to those that prompts tell."""
    scenes = unseen(count)
    turned = [
        replace(
            one,
            ground=OPPOSITE[one.ground],
            things=tuple(replace(thing, colour=OPPOSITE[thing.colour]) for thing in one.things),
        )
        for one in scenes
    ]
    return judged(drawn(pipe, [plain(one) for one in scenes], **options), turned)


def pictured(pipe: Any, count: int, **options: Any) -> Marks:
    """Whether pictures show what other pictures show, where the prompt tells nothing."""
    scenes = unseen(count, seed=6)
    shown = [Image.fromarray(picture) for picture in draw(scenes)]
    asked = [with_article(ANYTHING[0])] * count
    return judged(drawn(pipe, asked, lambda place: {"ip_adapter_image": [shown[place]]}, **options), scenes)


def mixed(pipe: Any, count: int, share: float, pictured: bool = False, **options: Any) -> Marks:
    """A scene's prompt mixed with this share of another's, or of its picture: of which scene the facts are."""
    pool = unseen(8 * count, seed=8)
    pairs = [(one, other) for one, other in zip(pool[::2], pool[1::2], strict=True) if _apart(one, other)][:count]
    shown = [Image.fromarray(picture) for picture in draw([other for _, other in pairs])]
    prior, decoder = pipe.prior_pipe, pipe.decoder_pipe
    prior.set_progress_bar_config(disable=True)
    told, scale = list[Any](), prior.usual_arguments.get("guidance_scale", 4.0)
    for place, (one, other) in enumerate(pairs):
        second = shown[place] if pictured else plain(other)
        told.append(prior.interpolate([plain(one), second], [1 - share, share], generator=place, guidance_scale=scale))
    embeds = {name: torch.cat([each[name] for each in told]) for name, _ in told[0].items()}
    images = decoder(**embeds, seeds=range(count), output_type="np", **options).images
    pictures = (images * 255).round().astype(np.uint8)
    marks = {
        "first": judged(pictures, [one for one, _ in pairs]),
        "second": judged(pictures, [one for _, one in pairs]),
    }
    facts = ("colour", "shape", "ground")
    return {f"{fact} of the {which}": mark[fact] for which, mark in marks.items() for fact in facts}


@torch.no_grad()
def imagined(prior: Any, count: int, **options: Any) -> Marks:
    """How like what CLIP sees in a picture is what the prior imagines of its prompt: cosines."""
    scenes = unseen(count)
    told = prior([plain(one) for one in scenes], generator=0, **options).image_embeds
    seen = prior.embedded("image", [Image.fromarray(picture) for picture in draw(scenes)])
    pairs = {"its picture": seen, "another's": seen.roll(1, 0)}
    return {name: float(torch.cosine_similarity(told, each).mean()) for name, each in pairs.items()}


def _apart(one: Scene, other: Scene) -> bool:
    """Whether two scenes of one thing share neither ground nor colour nor shape."""
    first, second = one.things[0], other.things[0]
    return one.ground != other.ground and first.colour != second.colour and first.shape != second.shape


def moons(pipe: Any, count: int, word: str = WORD, **options: Any) -> Marks:
    """Whether a word draws the shape that has no name."""
    scenes = [
        replace(one, things=tuple(replace(thing, shape="moon") for thing in one.things))
        for one in unseen(count, seed=4)
    ]
    asked = [_colours(one.things[0], one.ground, word, one.things[0].place) for one in scenes]
    return judged(drawn(pipe, asked, **options), scenes)


def _colours(thing: Thing, ground: str, name: str, place: tuple[str, str] | None = None) -> str:
    text = f"{with_article(f'{thing.colour} {name}')} on {with_article(ground)} background"
    return f"{text}, {PLACES[place][0]}" if place else text


@torch.no_grad()
def alike(text: Any, image: Any, tokenizer: Any, processor: Any, count: int) -> float:
    """How often a caption finds its own picture among all of them by the two towers."""
    rng = np.random.default_rng(5)
    scenes = [scene(rng, unseen=True) for _ in range(count)]
    told = tokenizer(
        [caption(one, rng, EVERYTHING) for one in scenes], padding="max_length", truncation=True, return_tensors="pt"
    )
    seen = processor([Image.fromarray(picture) for picture in draw(scenes)], return_tensors="pt").pixel_values
    texts, images = text(told.input_ids).text_embeds, image(seen).image_embeds
    likeness = torch.nn.functional.normalize(texts, dim=-1) @ torch.nn.functional.normalize(images, dim=-1).T
    return float((likeness.argmax(-1) == torch.arange(count)).float().mean())
