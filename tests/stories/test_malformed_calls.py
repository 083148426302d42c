"""Malformed calls: each is refused before any network runs, by an error that names the argument, what came and what would do.

The table is one for all families: later ones add rows. A row is (which pipelines, changed arguments, error, words of its text).
"""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

import calotype
from calotype.core.errors import CalotypeError, CorruptFile, InvalidArgument, NotFinite, UnknownArgument
from tests.tiny import tiny_inputs, tiny_pipeline

NAN, INF = float("nan"), float("inf")
TEXT2IMG, IMG2IMG, INPAINT = (
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
)
CONTROLLED = (HINTED, HINTED_IMG2IMG, HINTED_INPAINT, *HINTED_XL) = (
    "StableDiffusionControlNetPipeline",
    "StableDiffusionControlNetImg2ImgPipeline",
    "StableDiffusionControlNetInpaintPipeline",
    "StableDiffusionXLControlNetPipeline",
    "StableDiffusionXLControlNetImg2ImgPipeline",
    "StableDiffusionXLControlNetInpaintPipeline",
)
HINTED_XL_TEXT2IMG, HINTED_XL_IMG2IMG, HINTED_XL_INPAINT = HINTED_XL
XL = (XL_TEXT2IMG, XL_IMG2IMG, XL_INPAINT) = (
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline",
)
EVERY_XL = (*XL, *HINTED_XL)
EVERY = (TEXT2IMG, IMG2IMG, INPAINT, *CONTROLLED, *XL)
PLANNED = (TEXT2IMG, IMG2IMG, INPAINT, HINTED, HINTED_XL_TEXT2IMG, *XL)
FROM_MASK = (INPAINT, HINTED_INPAINT, XL_INPAINT, HINTED_XL_INPAINT)
FROM_IMAGE = (IMG2IMG, HINTED_IMG2IMG, XL_IMG2IMG, HINTED_XL_IMG2IMG, *FROM_MASK)
SIZED = (TEXT2IMG, INPAINT, *CONTROLLED, XL_TEXT2IMG, XL_INPAINT)
SCORED = (XL_IMG2IMG, XL_INPAINT, HINTED_XL_IMG2IMG, HINTED_XL_INPAINT)
BESIDE_IMAGE = (HINTED_IMG2IMG, HINTED_INPAINT, HINTED_XL_IMG2IMG, HINTED_XL_INPAINT)
UNLIKE = (*XL, HINTED_XL_TEXT2IMG, HINTED_XL_IMG2IMG)  # the half to steer away from may be told other sizes
LATE = (XL_IMG2IMG, XL_INPAINT, HINTED_XL_INPAINT)


def rgb(width=32, height=32, mode="RGB"):
    return Image.new(mode, (width, height))


def cut_short():
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)).save(whole, "PNG")
    return Image.open(io.BytesIO(whole.getvalue()[:-900]))


def embeds(*shape, value=0.0):
    return torch.full(shape, value)


def wrong(name, values, kinds=EVERY, error=InvalidArgument):
    return [(kinds, {name: value}, error, [name]) for value in values]


BOTH = {"prompt_embeds": embeds(1, 77, 32), "pooled_prompt_embeds": embeds(1, 16)}
ROWS = [
    (EVERY, {"negativ_prompt": "x"}, UnknownArgument, ["negativ_prompt", "negative_prompt"]),
    (EVERY, {"quality": 3}, UnknownArgument, ["quality"]),
    *wrong("height", [0, -64, 15, "64", 2**40, 64.5, NAN, True, [64]], SIZED),
    *wrong("width", [0, -8, 33, "32", 2**40, {}], SIZED),
    *wrong("num_inference_steps", [0, -3, 2.5, None, "20", True, 1001, 10**9, NAN]),
    *wrong("guidance_scale", [NAN, INF, -INF, "7.5", None, [7.5]]),
    *wrong("guidance_rescale", [NAN, -0.1, 1.5, "1"], (TEXT2IMG, *XL, HINTED_XL_INPAINT)),
    *wrong("num_images_per_prompt", [0, -1, 1.5, "2", None]),
    *wrong("eta", [NAN, INF, -1, "0"]),
    *wrong("strength", [NAN, -0.1, 1.01, "0.5", None, INF], FROM_IMAGE),
    *wrong("strength", [0, 1e-9], FROM_IMAGE),
    *wrong("output_type", ["bogus", None, 3, "PIL"]),
    *wrong("clip_skip", [-1, 99, 1.5, "1"]),
    *wrong("prompt", [[], [1], ["a", None], b"bytes", 3, {"a": 1}, "\ud800", ["ok", "\udfff"], "x" * 32_769]),
    (EVERY, {"prompt": ["a", None]}, InvalidArgument, ["prompt[1]", "NoneType"]),
    (EVERY, {"prompt": None}, InvalidArgument, ["prompt", "prompt_embeds", "neither"]),
    (EVERY, {"prompt_embeds": embeds(1, 77, 32)}, InvalidArgument, ["prompt", "prompt_embeds", "both"]),
    *wrong("negative_prompt", [3, [1], ["a", "b", "c"], b"x", []]),
    (EVERY, {"prompt": None, "prompt_embeds": embeds(1, 77, 31)}, InvalidArgument, ["prompt_embeds", "32", "31"]),
    (EVERY, {"prompt": None, "prompt_embeds": embeds(77, 32)}, InvalidArgument, ["prompt_embeds", "(77, 32)"]),
    (EVERY, {"prompt": None, "prompt_embeds": "words"}, InvalidArgument, ["prompt_embeds", "str"]),
    (EVERY, {"prompt": None, "prompt_embeds": embeds(1, 77, 32, value=NAN)}, NotFinite, ["prompt_embeds"]),
    (EVERY, {"negative_prompt": None, "negative_prompt_embeds": embeds(1, 77, 32, value=INF)}, NotFinite, ["negative_prompt_embeds"]),
    (EVERY, {"negative_prompt_embeds": embeds(3, 77, 32)}, InvalidArgument, ["negative_prompt_embeds", "3"]),
    (EVERY, {"prompt": None, "prompt_embeds": embeds(1, 77, 32), "negative_prompt_embeds": embeds(1, 50, 32)}, InvalidArgument, ["negative_prompt_embeds", "50"]),
    *wrong("latents", [embeds(1, 4, 5, 5), embeds(1, 3, 16, 16), embeds(2, 4, 16, 16), np.zeros((1, 4, 16, 16)), torch.zeros(1, 4, 16, 16, dtype=torch.long), 3], SIZED),
    (SIZED, {"latents": embeds(1, 4, 16, 16, value=NAN)}, NotFinite, ["latents"]),
    *wrong("generator", [[], [torch.Generator()] * 3, "0", 1.5, -1, 2**64, True]),
    *wrong("timesteps", [[1, 500, 900], [], [5000], [-1], [NAN]], PLANNED),
    *wrong("callback_on_step_end_tensor_inputs", [["noise"], ["latents", "x"]]),
    *wrong("callback_on_step_end", [3]),
    *wrong("callback", ["print"]),
    *wrong("callback_steps", [0, -1, 1.5]),
    *wrong("cross_attention_kwargs", [{"scale": NAN}, 3]),
    *wrong("cross_attention_kwargs", [{"scal": 1.0}], error=UnknownArgument),
    *wrong("ip_adapter_image", [rgb()]),
    *wrong("ip_adapter_image_embeds", [[embeds(1, 1, 32)]]),
    *wrong("image", [None, [], "picture.png", 3, [rgb(), None], [rgb(), np.zeros((32, 32, 3))]], FROM_IMAGE),
    *wrong("image", [cut_short(), [rgb(), cut_short()]], FROM_IMAGE, CorruptFile),
    ((IMG2IMG,), {"image": [rgb(), rgb(48, 40)]}, InvalidArgument, ["image[1]", "32x32", "48x40"]),
    *wrong("image", [rgb(20_000, 8)], (IMG2IMG,)),
    *wrong("image", [rgb(1, 1), rgb(1, 40), [rgb(), rgb(48, 48)]], (IMG2IMG,)),
    *wrong("image", [np.full((32, 32, 3), 7.0), np.zeros((32, 32, 5)), torch.zeros(5, 32, 32), np.zeros((0, 32, 3)), torch.zeros(3), [rgb()] * 2], FROM_IMAGE),
    *wrong("image", [np.full((32, 32, 3), NAN), torch.full((3, 32, 32), INF)], FROM_IMAGE, NotFinite),
    *wrong("mask_image", [None, [], "mask.png", [rgb(mode="L")] * 2, np.full((32, 32), 7.0)], FROM_MASK),
    *wrong("mask_image", [cut_short()], FROM_MASK, CorruptFile),
    *wrong("mask_image", [np.full((32, 32), NAN, np.float32)], FROM_MASK, NotFinite),
    *wrong("padding_mask_crop", [-1, 1.5, "4"], FROM_MASK),
    (FROM_MASK, {"padding_mask_crop": 4, "image": np.zeros((32, 32, 3)), "output_type": "pil"}, InvalidArgument, ["image", "PIL"]),
    (FROM_MASK, {"padding_mask_crop": 4, "output_type": "np"}, InvalidArgument, ["output_type", "pil"]),
    (FROM_MASK, {"padding_mask_crop": 4, "output_type": "pil", "mask_image": rgb(40, 40, "L")}, InvalidArgument, ["mask_image", "40x40"]),
    *wrong("masked_image_latents", [embeds(1, 4, 3, 3), embeds(3, 4, 16, 16), "x"], (INPAINT,)),
    *(
        row
        for name, kinds in (("image", (HINTED, HINTED_XL_TEXT2IMG)), ("control_image", BESIDE_IMAGE))
        for row in [
            *wrong(name, [None, [], "hint.png", 3, [rgb(), None], [rgb()] * 2, torch.zeros(1, 4, 32, 32), np.full((32, 32, 3), 7.0)], kinds),
            *wrong(name, [cut_short()], kinds, CorruptFile),
            *wrong(name, [torch.full((1, 3, 32, 32), NAN)], kinds, NotFinite),
        ]
    ),
    ((HINTED, HINTED_XL_TEXT2IMG), {"image": rgb(1, 1), "height": None, "width": None}, InvalidArgument, ["image", "1x1"]),
    (BESIDE_IMAGE, {"control_image": rgb(48, 40), "height": None, "width": None}, InvalidArgument, ["control_image", "32x32", "48x40"]),
    ((HINTED_INPAINT, HINTED_XL_INPAINT), {"control_image": rgb(48, 40), "padding_mask_crop": 4, "output_type": "pil"}, InvalidArgument, ["control_image", "32x32", "48x40"]),
    ((HINTED_INPAINT, HINTED_XL_INPAINT), {"control_image": torch.zeros(1, 3, 32, 32), "padding_mask_crop": 4, "output_type": "pil"}, InvalidArgument, ["control_image", "PIL", "Tensor"]),
    *wrong("controlnet_conditioning_scale", [NAN, INF, "1", None, [], [1.0, 0.5], [NAN], [[1.0]], True], CONTROLLED),
    *wrong("control_guidance_start", [NAN, -0.1, 1.1, 1.0, "0", None, [], [0.0, 0.5], [None]], CONTROLLED),
    *wrong("control_guidance_end", [NAN, -0.1, 1.1, 0.0, "1", None, [], [0.5, 1.0], [None]], CONTROLLED),
    (CONTROLLED, {"control_guidance_start": 0.6, "control_guidance_end": 0.4}, InvalidArgument, ["control_guidance_start", "0.6", "control_guidance_end", "0.4"]),
    *wrong("guess_mode", [1, "yes", None], CONTROLLED),
    *wrong("prompt_2", [[], 3, [1], ["a", "b"], b"x", "\ud800"], EVERY_XL),
    *wrong("negative_prompt_2", [[], 3, [1], ["a", "b"], b"x"], EVERY_XL),
    (EVERY_XL, {"prompt": None, "prompt_2": "x"}, InvalidArgument, ["prompt", "neither"]),
    (EVERY_XL, {"prompt": None, "prompt_2": "x", **BOTH}, InvalidArgument, ["prompt_2", "prompt_embeds", "both"]),
    (EVERY_XL, {"prompt": None, "prompt_embeds": embeds(1, 77, 32)}, InvalidArgument, ["pooled_prompt_embeds"]),
    (EVERY_XL, {"pooled_prompt_embeds": embeds(1, 16)}, InvalidArgument, ["prompt_embeds", "pooled_prompt_embeds"]),
    (EVERY_XL, {"negative_prompt_embeds": embeds(1, 77, 32)}, InvalidArgument, ["negative_pooled_prompt_embeds"]),
    *[(EVERY_XL, {"prompt": None, **BOTH, "pooled_prompt_embeds": pooled}, InvalidArgument, ["pooled_prompt_embeds"]) for pooled in (embeds(1, 15), embeds(2, 16), embeds(16), "x")],
    (EVERY_XL, {"prompt": None, **BOTH, "pooled_prompt_embeds": embeds(1, 16, value=NAN)}, NotFinite, ["pooled_prompt_embeds"]),
    *wrong("denoising_end", [NAN, -0.1, 1.1, "0.5", True, 0], (*XL, HINTED_XL_TEXT2IMG, HINTED_XL_INPAINT)),
    *wrong("denoising_start", [NAN, -0.1, 1.1, "0.5", True, 1], LATE),
    (LATE, {"denoising_start": 0.8, "denoising_end": 0.2}, InvalidArgument, ["denoising_start", "0.8", "denoising_end", "0.2"]),
    *[row for name in ("original_size", "target_size") for row in wrong(name, [3, (1,), (1, 2, 3), ("a", "b"), (NAN, 1), (-1, 5), "64"], EVERY_XL)],
    *[row for name in ("negative_original_size", "negative_target_size") for row in wrong(name, [3, (1,), (1, 2, 3), ("a", "b"), (NAN, 1), (-1, 5), "64"], UNLIKE)],
    *wrong("crops_coords_top_left", [None, 3, (1,), ("a", "b"), (INF, 1)], EVERY_XL),
    *wrong("negative_crops_coords_top_left", [None, 3, (1,), ("a", "b"), (INF, 1)], UNLIKE),
    *wrong("aesthetic_score", [NAN, "6", None], SCORED),
    *wrong("negative_aesthetic_score", [NAN, "6", None], SCORED),
    *wrong("latents", [embeds(1, 3, 16, 16), embeds(2, 4, 16, 16), embeds(4), np.zeros((1, 4, 16, 16)), 3], (XL_IMG2IMG,)),
]  # fmt: skip


@pytest.fixture(scope="module")
def pipes():
    return {kind: tiny_pipeline(getattr(calotype, kind)) for kind in EVERY}


def refusal(pipe, monkeypatch, changes):
    """What is said to a call with these arguments, or that its denoiser ran."""

    def run(*_, **__):
        raise AssertionError("the denoiser ran")

    monkeypatch.setattr(pipe.unet, "forward", run)
    inputs = tiny_inputs(type(pipe).__name__)
    given = {"prompt": "a cube", "num_inference_steps": 4, "output_type": "np", **inputs, **changes}
    with pytest.raises((CalotypeError, AssertionError)) as caught:
        pipe(**given)
    return caught.value


@pytest.mark.parametrize(("kinds", "changes", "error", "words"), ROWS)
def test_it_is_refused_before_any_network_runs(pipes, monkeypatch, kinds, changes, error, words):
    said = {kind: refusal(pipes[kind], monkeypatch, changes) for kind in kinds}
    assert {kind: one for kind, one in said.items() if not isinstance(one, error)} == {}
    assert {kind: str(one) for kind, one in said.items() if not all(word in str(one) for word in words)} == {}
    assert not re.search("0x[0-9a-f]{6}", " ".join(map(str, said.values())))  # no addresses


GRIDS = [
    {"timesteps": [1, 500, 900]},
    {"timesteps": []},
    {"timesteps": [5000, 10]},
    {"timesteps": [500, -1]},
    {"timesteps": [NAN]},
    {"timesteps": [500, 500]},
    {"sigmas": [1.0, 2.0]},
    {"sigmas": []},
    {"sigmas": [NAN, 1.0]},
    {"sigmas": [INF, 1.0]},
    {"sigmas": [1.0, -1.0]},
    {"timesteps": [900, 500], "sigmas": [2.0, 1.0]},
]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("kind", PLANNED)
def test_grids_that_lead_nowhere_are_refused(pipes, kind, grid):
    pipe = type(pipes[kind]).from_pipe(pipes[kind], scheduler=calotype.EulerDiscreteScheduler())
    with pytest.raises(InvalidArgument, match="|".join(grid)):
        pipe("a cube", output_type="latent", **tiny_inputs(kind), **grid)


READABLE = {
    "L": rgb(mode="L"),
    "LA": rgb(mode="LA"),
    "P": rgb(mode="P"),
    "1": rgb(mode="1"),
    "RGBA": rgb(mode="RGBA"),
    "CMYK": rgb(mode="CMYK"),
    "HSV": rgb(mode="HSV"),
    "YCbCr": rgb(mode="YCbCr"),
    "I;16": Image.fromarray(np.full((32, 32), 40_000, np.uint16)),
    "I": rgb(mode="I"),
    "F": rgb(mode="F"),
    "bytes": np.zeros((32, 32, 3), np.uint8),
    "byte tensor": torch.zeros(3, 32, 32, dtype=torch.uint8),
    "alpha array": np.zeros((32, 32, 4), np.uint8),
}


@pytest.mark.parametrize("mode", READABLE)
@pytest.mark.parametrize("kind", FROM_IMAGE)
def test_pictures_of_every_mode_are_read(pipes, kind, mode):
    given = {
        "prompt": "a cube",
        "num_inference_steps": 2,
        "output_type": "np",
        **tiny_inputs(kind),
        "image": READABLE[mode],
    }
    assert pipes[kind](generator=0, **given).images.shape == (1, 32, 32, 3)


def test_transparency_is_laid_over_white(pipes):
    given = {"prompt": "a cube", "num_inference_steps": 4, "output_type": "np", "generator": 0}
    white, clear = Image.new("RGB", (32, 32), "white"), Image.new("RGBA", (32, 32), (9, 9, 9, 0))
    assert np.array_equal(*(pipes[IMG2IMG](image=image, **given).images for image in (white, clear)))


def test_orientation_is_honoured(pipes):
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 32, 3), np.uint8))
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # to be seen turned by a quarter
    wide.save(file, "PNG", exif=exif)
    given = {"prompt": "a cube", "num_inference_steps": 4, "output_type": "np", "generator": 0}
    turned = pipes[IMG2IMG](image=Image.open(file), **given).images
    assert turned.shape == (1, 32, 16, 3)
    assert np.array_equal(turned, pipes[IMG2IMG](image=wide.transpose(Image.Transpose.ROTATE_270), **given).images)


def test_words_that_fall_off_are_said(pipes, caplog):
    with caplog.at_level("WARNING", "calotype"):
        pipes[TEXT2IMG]("cat " * 90 + "hello", height=32, width=32, num_inference_steps=1, output_type="latent")
    assert "77" in caplog.text and "cat hello" in caplog.text


def test_a_size_that_is_rounded_is_said(pipes, caplog):
    with caplog.at_level("WARNING", "calotype"):
        pipes[IMG2IMG]("a cube", image=rgb(33, 34), num_inference_steps=2, output_type="latent", generator=0)
    assert "33x34 becomes 32x34" in caplog.text


def test_an_empty_mask_is_said(pipes, caplog):
    with caplog.at_level("WARNING", "calotype"):
        pipes[INPAINT](
            "a cube",
            **{**tiny_inputs(INPAINT), "mask_image": rgb(mode="L")},
            num_inference_steps=2,
            output_type="latent",
        )
    assert "nothing is repainted" in caplog.text
