"""Each recipe, run for a moment, leaves files that the library reads; the judge finds what the evaluation draws."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from calotype import ControlNetModel, StableDiffusionControlNetPipeline, StableDiffusionPipeline
from calotype.models.image_processor import CLIPImageProcessor
from calotype.models.vision import CLIPVisionModelWithProjection
from training import evaluate as evaluation
from training import exams
from training.recipes import RECIPES, clip, controlnet, diffusion, inversion, ip_adapter, kandinsky, lora, prior, vae
from training.recipes.clip import pixels, twin
from training.recipes.vae import CUT, cut
from training.studio import STEPS, Studio, as_pictures, as_pixels, halved
from training.world import COLOURS, SHAPES, SIDE, draw, scene

FILMS = ("wan", "wan_decoder", "helios", "helios_distilled")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A folder in which every stage has run for one step."""
    made = Studio(tmp_path_factory.mktemp("pocket"), torch.device("cpu"), minutes=1e-9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vae, "MEASURED", 20)
        patch.setattr(exams, "drawn", partial(exams.drawn, num_inference_steps=4))
        for name in ("PROMPTS", "FEWER"):
            patch.setattr(evaluation, name, 1)
        for recipe in (diffusion, controlnet, lora, inversion, ip_adapter, prior, kandinsky):
            patch.setattr(recipe, "SCENES", 40)
        for recipe in (clip, diffusion, controlnet, lora, inversion, ip_adapter, prior, kandinsky):
            patch.setattr(recipe, "PLAN", recipe.PLAN.__class__(steps=1, batch=4))
        stills = [make for name, make in RECIPES.items() if name not in FILMS]
        for make in (*stills, evaluation.evaluate):
            make(made)
    return made


def test_the_pipeline_loads_and_draws_with_all_defaults(studio: Studio):
    pipe = StableDiffusionPipeline.from_pretrained(studio.folder("pocket-sd"))
    pipe.set_progress_bar_config(disable=True)
    image = pipe("a red circle on a blue background", num_inference_steps=2, generator=0).images[0]
    assert image.size == (SIDE, SIDE)
    assert pipe.vae.config.scaling_factor != 0.18215


def test_weights_are_small_and_in_half_precision(studio: Studio):
    files = list(studio.folder("pocket-sd").rglob("*.safetensors"))
    assert len(files) == 3
    assert sum(file.stat().st_size for file in files) < 12e6
    loaded = StableDiffusionPipeline.from_pretrained(studio.folder("pocket-sd"), torch_dtype="auto")
    assert {network.dtype for network in loaded.networks.values()} == {torch.float16}


def test_cards_tell_what_was_measured(studio: Studio):
    for name, fact in (
        ("pocket-clip", "among 100"),
        ("vae", "dB"),
        ("pocket-sd", "one thing: colour, shape and place"),
    ):
        assert fact in (studio.folder(name) / "README.md").read_text()


def test_adapters_are_small_and_load_into_the_pipeline(studio: Studio):
    pipe = StableDiffusionPipeline.from_pretrained(studio.folder("pocket-sd"))
    pipe.load_lora_weights(studio.folder(lora.NAME))
    pipe.load_textual_inversion(studio.folder(inversion.NAME))
    assert (
        pipe.maybe_convert_prompt(f"a red {inversion.WORD}", pipe.tokenizer).count(inversion.WORD[:-1])
        == inversion.VECTORS
    )
    pipe.load_ip_adapter(studio.folder(ip_adapter.NAME))
    assert pipe.image_encoder is not None
    hinted = StableDiffusionControlNetPipeline.from_pipe(
        pipe, controlnet=ControlNetModel.from_pretrained(studio.folder(controlnet.NAME))
    )
    assert hinted.controlnet.config.conditioning_embedding_out_channels == controlnet.WIDTHS
    sizes = {
        name: sum(file.stat().st_size for file in studio.folder(name).glob("*.safetensors"))
        for name in (controlnet.NAME, lora.NAME, inversion.NAME)
    }
    assert sizes[controlnet.NAME] < 5e6 and sizes[lora.NAME] < 5e5 and sizes[inversion.NAME] < 1e4


def test_the_vision_tower_loads_beside_its_processor(studio: Studio):
    tower = CLIPVisionModelWithProjection.from_pretrained(studio.folder("pocket-clip") / "image_encoder")
    processor = CLIPImageProcessor.from_pretrained(studio.folder("pocket-clip") / "feature_extractor")
    one = scene(np.random.default_rng(0))
    seen = processor(draw([one])[0], return_tensors="pt").pixel_values
    assert torch.allclose(seen, pixels([one]), atol=1e-5)
    assert tower(seen).image_embeds.shape == (1, clip.WIDTH["projection_dim"])


def test_pixels_come_back_as_pictures():
    pictures = draw([scene(np.random.default_rng(1)) for _ in range(3)])
    assert np.array_equal(as_pictures(as_pixels(pictures)), pictures)


def test_a_twin_differs_in_one_shape_or_in_which_thing_has_which_colour():
    rng = np.random.default_rng(2)
    pairs = [(one, other) for one in (scene(rng) for _ in range(200)) if (other := twin(one, rng)) is not None]
    kinds = {"shape": 0, "colours": 0}
    for one, other in pairs:
        shapes, colours = (
            [[getattr(t, fact) for t in each.things] for each in (one, other)] for fact in ("shape", "colour")
        )
        kind = "colours" if shapes[0] == shapes[1] else "shape"
        kinds[kind] += 1
        assert colours[1] == (colours[0][::-1] if kind == "colours" else colours[0])
        assert not other.held_out and other.ground == one.ground
    assert min(kinds.values()) > 20


def test_facts_tell_what_there_is():
    one = next(each for each in (scene(np.random.default_rng(5), 2) for _ in range(9)))
    told = clip.facts([one])
    there = {thing.shape for thing in one.things} | {thing.colour for thing in one.things}
    assert {name for name, here in zip([*SHAPES, *COLOURS], told["there"][0], strict=True) if here} == there
    assert COLOURS[int(told["ground"])] == one.ground
    assert told["where"][0, 0] == pytest.approx(np.mean([thing.x for thing in one.things]) / 64 - 0.5)


def test_cut_outs_show_an_edge_of_a_thing():
    rng = np.random.default_rng(3)
    scenes = [scene(rng) for _ in range(100)]
    cuts = [cut(picture, one, rng) for picture, one in zip(draw(scenes), scenes, strict=True)]
    assert all(piece.shape == (CUT, CUT, 3) for piece in cuts)
    assert np.mean([np.ptp(piece.reshape(-1, 3), axis=0).max() > 60 for piece in cuts]) > 0.95


def test_a_stage_that_is_finished_is_not_run_again(studio: Studio, tmp_path: Path):
    before = (studio.work / "vae.pt").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vae, "MEASURED", 2)
        vae.make(studio)
    assert (studio.work / "vae.pt").read_bytes() == before


def test_what_ships_is_rounded_to_even_steps_of_which_there_are_enough():
    network = torch.nn.Linear(256, 256)
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    after = halved(network)
    assert torch.equal(after.bias, before["bias"].half())
    error = after.weight.detach().float() - before["weight"]
    spread = before["weight"].square().mean().sqrt()
    assert float(error.abs().max()) <= 0.501 * spread / STEPS
    assert after.weight.unique().numel() < 10 * STEPS
    assert after.weight.dtype is torch.float16


def test_a_matrix_of_zeros_ships_as_zeros():
    network = torch.nn.Linear(4, 4)
    torch.nn.init.zeros_(network.weight)
    assert torch.equal(halved(network).weight, torch.zeros(4, 4, dtype=torch.float16))
