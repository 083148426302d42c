"""How long does a chunk of a film take, how much memory does a long film, and how fast is a GPU at true size?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.memory import Peak
from benchmarks.question import LIBRARIES, Goal, Place, Question, fresh, library
from benchmarks.side_by_side import race

STAGES: dict[str, Any] = {"stages": 3, "stage_range": [0, 1 / 3, 2 / 3, 1], "use_dynamic_shifting": True}
WORDS = 64
FRAMES = 33  # of a chunk


@dataclass(frozen=True, eq=False)
class Scale:
    """How large a film and what makes it are."""

    name: str
    transformer: dict[str, Any]
    vae: dict[str, Any]
    size: tuple[int, int]


TINY = Scale(
    "tiny",
    {"num_attention_heads": 2, "attention_head_dim": 12, "rope_dim": (4, 4, 4), "num_layers": 2, "ffn_dim": 32}
    | {"text_dim": 16, "freq_dim": 16},
    {"base_dim": 4, "num_res_blocks": 1},
    (64, 64),
)
# the 14B in every proportion but its width, its depth and its text's
SMALL = Scale(
    "a 14B of 4 heads and 4 layers",
    {"num_attention_heads": 4, "num_layers": 4, "ffn_dim": 1382, "text_dim": 512},
    {"base_dim": 16},
    (128, 192),
)
TRUE = Scale("the 14B", {}, {}, (384, 640))


def questions(place: Place) -> Iterator[Question]:
    for scale in (TINY,) if place.quick else (TINY, SMALL):
        for steps in ([1, 1, 1],) if place.quick else ([1, 1, 1], [2, 2, 2]):
            work = {side: partial(_chunk, pipeline(side, scale), scale, steps) for side in LIBRARIES}
            yield race(f"a chunk, {scale.name}, {steps}", work, rounds=3)
    apart: Callable[..., Callable[[], float]] = partial if place.quick else fresh
    short, long = ("1", "2") if place.quick else ("4", "400")
    sides = {"ours": apart(resident, "ours", long), f"{short} chunks": apart(resident, "ours", short)}
    yield Question(f"memory of {long} chunks as they come", "MB", sides, Goal(1.02), rounds=1, warm=0)
    whole = "2" if place.quick else "40"  # the peer takes some seconds for each
    sides = {side: apart(resident, side, whole) for side in LIBRARIES}
    yield Question(f"memory of a film of {whole} chunks", "MB", sides, Goal(), rounds=1, warm=0)
    if torch.cuda.is_available() and not place.quick:
        yield from on_a_gpu()


# ---------------------------------------------------------------------- against the peer


@cache
def pipeline(side: str, scale: Scale) -> Any:
    """The distilled pipeline of this scale with random weights, which are the same on both sides."""
    torch.manual_seed(0)
    parts = {"vae": library("ours").AutoencoderKLWan(**scale.vae)}
    parts["transformer"] = library("ours").HeliosTransformer3DModel(**scale.transformer)
    with TemporaryDirectory() as folder:
        for name, part in parts.items():
            part.save_pretrained(Path(folder, name))
        return _loaded(side, Path(folder))


def _loaded(side: str, folder: Path) -> Any:
    made = library(side)
    if side == "peer":  # it factors a singular matrix in float32, which may fail
        from tests.parity.helios import robust_cholesky

        torch.linalg.cholesky = robust_cholesky
    parts = {
        "vae": made.AutoencoderKLWan.from_pretrained(folder / "vae"),
        "transformer": made.HeliosTransformer3DModel.from_pretrained(folder / "transformer"),
        "scheduler": made.HeliosDMDScheduler(**STAGES),
    }
    return _quiet(made.HeliosPyramidPipeline(tokenizer=None, text_encoder=None, is_distilled=True, **parts))


def _quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _told(pipe: Any, scale: Scale, steps: list[int]) -> dict[str, Any]:
    network, (height, width) = pipe.transformer, scale.size
    states = torch.randn(1, WORDS, network.config.text_dim, generator=torch.manual_seed(1))
    return {
        "prompt_embeds": states.to(network.device, network.dtype),
        "height": height,
        "width": width,
        "guidance_scale": 1.0,
        "pyramid_num_inference_steps_list": steps,
        "is_amplify_first_chunk": False,
        "generator": torch.Generator().manual_seed(2),
    }


def _chunk(pipe: Any, scale: Scale, steps: list[int]) -> Tensor:
    return pipe(num_frames=FRAMES, output_type="pt", **_told(pipe, scale, steps)).frames


def resident(side: str, chunks: str) -> float:
    """The most MB that a process holds, all in all, while it makes a tiny film.

    Ours hands out chunks, which are forgotten here; the peer can only return the whole.
    """
    pipe = pipeline(side, TINY)
    _chunk(pipe, TINY, [1, 1, 1])
    with Peak() as peak, torch.inference_mode():
        frames, told = int(chunks) * FRAMES, _told(pipe, TINY, [1, 1, 1])
        if side == "ours":
            for chunk in pipe.stream(num_frames=frames, output_type="np", **told):
                del chunk
        else:
            pipe(num_frames=frames, output_type="np", **told)
    return peak.whole


# ---------------------------------------------------------------------- at true size


def on_a_gpu() -> Iterator[Question]:
    """Seconds for the frames of a chunk, from noise to bytes in main memory, against 20 and 30 of them per second."""
    ways: dict[str, Callable[[Any], Any]] = {
        "as it is": lambda pipe: None,
        "compiled": lambda pipe: pipe.compile(),
        "compiled, in float8": lambda pipe: pipe.quantize("fp8"),
    }
    pipe = at_true_size()
    for way, make in ways.items():
        make(pipe)
        for steps, rate in (([2, 2, 2], 20), ([1, 1, 1], 30)):
            goal = {f"{rate} frames/s": partial(float, FRAMES / rate)}
            sides = {"ours": partial(seconds_per_chunk, pipe, steps)} | goal
            yield Question(f"{FRAMES} frames at 384x640, {TRUE.name}, {steps}, {way}", "s", sides, Goal(), rounds=3)


def at_true_size() -> Any:
    """The distilled pipeline at its true size in bfloat16, with random weights that were never in main memory."""
    made = library("ours")
    with torch.device("meta"):
        networks = {"vae": made.AutoencoderKLWan(), "transformer": made.HeliosTransformer3DModel()}
    for network in networks.values():
        filled(network.to(torch.bfloat16).to_empty(device="cuda"))
    scheduler = made.HeliosDMDScheduler(**STAGES, time_shift_type="linear")
    return _quiet(made.HeliosPyramidPipeline(None, None, scheduler=scheduler, is_distilled=True, **networks))


def filled(network: nn.Module) -> None:
    """Weights that keep what goes through them within bounds."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0, weight[0].numel() ** -0.5) if weight.ndim > 1 else weight.fill_(0.1)


def seconds_per_chunk(pipe: Any, steps: list[int], chunks: int = 5) -> float:
    """Of a film without end, once it runs."""
    with pipe.stream(num_frames=None, output_type="uint8", **_told(pipe, TRUE, steps)) as film:
        for _ in range(2):
            next(film)
        start = perf_counter()
        for _ in range(chunks):
            next(film)
        return (perf_counter() - start) / chunks
