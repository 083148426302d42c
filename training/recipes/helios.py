"""The transformer that draws chunks of films from captions and what came before, with its text encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from calotype import HeliosPipeline
from calotype.models.helios_transformer import HeliosTransformer3DModel
from calotype.models.t5_tokenizer import T5TokenizerFast
from calotype.models.wan_vae import AutoencoderKLWan
from calotype.pipelines.helios.past import Past, Window
from calotype.schedulers import HeliosScheduler
from training.film_words import read, tokenizer
from training.listening import ROWS, WIDTH, listener, states_of, told
from training.recipes import wan
from training.reels import FRAMES, Reels
from training.studio import Studio, halved, write_card
from training.trainer import Batch, Losses, Plan, Task
from training.world import SIDE

NAME = "pocket-helios"
SHARE = 0.5  # of the whole time
FILMS = 3000
PLAN = Plan(steps=80_000, batch=24, learning_rate=2e-3, warmup=100, averaging=0.999, orthogonal=True, bfloat16=True)
RATES = {"text": 0.5}  # how fast the text encoder learns, beside the transformer
LATENTS = SIDE // 8  # a side of a film's latents
WINDOW = Window((16, 2, 1), True, FRAMES)
BLURRED, BLUR = 0.5, 0.3  # of the pasts are under noise, of a share up to this: a past that was drawn is never true
ALONE = 0.4  # of the chunks are learnt as if a film began with them: what words mean is learnt where nothing else tells
GLIMPSED = 0.1  # of the pasts are their last frame alone, as where a film goes on from a picture
ESTRANGED = 0.15  # of the anchors are those of other films, as after a prompt that changed everything
SHIFT = 3.0  # how much oftener the noisier half of all noises is drawn
USUAL = {  # what calls mean that do not say
    "height": SIDE,
    "width": SIDE,
    "num_inference_steps": 16,
    "max_sequence_length": ROWS,
    "num_latent_frames_per_chunk": FRAMES,
}
ABOUT = """Helios's architecture, small: UMT5 text encoder, `AutoencoderKLWan`, `HeliosTransformer3DModel`, in the
style of Helios-Base (flow matching, one stage, guidance). It draws one coloured shape that moves over a plain ground,
64 x 64 pixels, 24 frames a second, and nothing else; what leaves the picture comes in again on the other side. The
world is simple: all things are of one size, begin at one of sixteen places, and stand still or go 8 or 16 pixels in
a chunk of 9 frames."""
TAGS = ["helios", "text-to-video", "pocket"]


def make(studio: Studio) -> None:
    """Train the text encoder, then both together; save the pipeline."""
    vae = AutoencoderKLWan.from_pretrained(studio.folder(wan.NAME)).to(studio.device).requires_grad_(False)
    words = tokenizer()
    text, reels = listener(studio, words), Reels(studio, vae, FILMS)
    networks = nn.ModuleDict({"transformer": transformer(studio.seed), "text": text})

    def draw(rng: np.random.Generator, size: int) -> Batch:
        return batch(reels, words, rng, *reels.draw(rng, size), alone=ALONE)

    save(studio, words, vae, studio.learn(Task("helios", networks, draw, losses, RATES), PLAN, SHARE))


def save(studio: Studio, words: T5TokenizerFast, vae: AutoencoderKLWan, networks: nn.ModuleDict) -> None:
    """The pipeline in the ordinary layout, in half precision; what it can do is measured by ``evaluate_films``."""
    pipe = HeliosPipeline(
        tokenizer=words,
        text_encoder=halved(networks["text"]),
        vae=halved(vae),
        scheduler=HeliosScheduler(stages=1, stage_range=[0, 1]),
        transformer=halved(networks["transformer"]),
    )
    pipe.register_to_config(_usual_arguments=USUAL)
    pipe.save_pretrained(studio.folder(NAME))
    write_card(studio.folder(NAME), NAME, ABOUT, {}, TAGS)


def transformer(seed: int) -> HeliosTransformer3DModel:
    torch.manual_seed(seed)
    network = HeliosTransformer3DModel(
        num_attention_heads=4,
        attention_head_dim=32,
        in_channels=wan.DEPTH,
        out_channels=wan.DEPTH,
        text_dim=WIDTH,
        freq_dim=64,
        ffn_dim=384,
        num_layers=5,
        rope_dim=(8, 12, 12),
        rope_theta=100.0,
    )
    nn.init.zeros_(network.proj_out.weight)  # a network that begins by saying nothing
    return network


def batch(
    reels: Reels,
    words: T5TokenizerFast,
    rng: np.random.Generator,
    rows: NDArray[np.int64],
    numbers: NDArray[np.int64],
    alone: float = 0.0,
) -> Batch:
    """Chunks of films, what came before them, unless they are to be alone, and a caption of what they show."""
    shown, before_them = (reels.takes(rows, each) for each in (numbers, np.maximum(numbers - 1, 0)))
    ids, counts = read(words, [told(now, rng, then) for now, then in zip(shown, before_them, strict=True)])
    films, size = reels.latents[torch.from_numpy(rows)].float(), len(rows)
    known = numbers * (rng.random(size) >= alone)  # how many chunks before it a chunk knows of
    past = torch.stack([before(*pair) for pair in zip(films, known.tolist(), strict=True)])
    past[torch.from_numpy(rng.random(size) < GLIMPSED), :, :-1] = 0
    return {
        "latents": films[torch.arange(size), torch.from_numpy(numbers)],
        "past": past,
        "anchor": films[:, 0, :, :1] * torch.from_numpy(known > 0).view(-1, 1, 1, 1, 1),
        "ids": ids,
        "counts": counts,
    }


def before(film: Tensor, number: int) -> Tensor:
    """The latents before a chunk of a film (chunks, channels, frames, height, width), and zeros before the first."""
    seen = film[:number].transpose(0, 1).flatten(1, 2)
    return F.pad(seen, (0, 0, 0, 0, max(0, WINDOW.frames - seen.shape[1]), 0))[:, -WINDOW.frames :]


def losses(networks: nn.ModuleDict, batch: Batch, generator: torch.Generator) -> Losses:
    """How far the velocity from clean latents to noise is from what the transformer says of a mixture of both."""
    latents, chance = batch["latents"], Chance(generator)
    noise, evenly = chance.normal(latents.shape), chance.even(len(latents))
    sigma = SHIFT * evenly / (1 + (SHIFT - 1) * evenly)
    share = sigma.view(-1, 1, 1, 1, 1)
    noisy = (1 - share) * latents + share * noise
    states = states_of(networks["text"], batch["ids"], batch["counts"])
    said = velocity(networks["transformer"], noisy, 1000 * sigma, states, remembered(batch, chance))
    return {"loss": F.mse_loss(said, noise - latents)}


def remembered(batch: Batch, chance: Chance) -> Past:
    """What came before, as it is when a film is made: never quite true, and now and then with a strange anchor."""
    return Past(WINDOW, chance.blurred(batch["past"]), chance.estranged(chance.blurred(batch["anchor"])))


def velocity(transformer: nn.Module, noisy: Tensor, times: Tensor, states: Tensor, past: Past) -> Tensor:
    """What the transformer says, in full precision."""
    places = {name: indices.to(noisy.device) for name, indices in WINDOW.indices.items()}
    with WideAttention():
        return transformer(noisy, times, states, **past.pieces(noisy.dtype), **places).sample.float()


class WideAttention(TorchFunctionMode):
    """Within it attention is in full precision on a CPU, where its way back takes half the time of bfloat16's."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.scaled_dot_product_attention or args[0].device.type != "cpu":
            return func(*args, **(kwargs or {}))
        with torch.autocast("cpu", enabled=False):
            return func(*(tensor.float() for tensor in args), **(kwargs or {})).to(args[0].dtype)


@dataclass(frozen=True)
class Chance:
    """What is drawn for a step."""

    generator: torch.Generator

    def normal(self, shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.generator.device)

    def even(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator, device=self.generator.device)

    def happens(self, often: float) -> bool:
        return bool(self.even(1) < often)

    def blurred(self, latents: Tensor) -> Tensor:
        """Some of the pasts under noise; nothing stays nothing."""
        share = BLUR * self.even(len(latents)) * (self.even(len(latents)) < BLURRED)
        share = share.view(-1, 1, 1, 1, 1) * (latents != 0)
        return (1 - share) * latents + share * self.normal(latents.shape)

    def estranged(self, anchors: Tensor) -> Tensor:
        """Some of the anchors exchanged for others that there are."""
        others = anchors.roll(1, 0)
        there = [(each != 0).flatten(1).any(1) for each in (anchors, others)]
        swapped = (self.even(len(anchors)) < ESTRANGED) & there[0] & there[1]
        return torch.where(swapped.view(-1, 1, 1, 1, 1), others, anchors)
