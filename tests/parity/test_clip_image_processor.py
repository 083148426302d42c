"""Pictures reach CLIP as transformers (with PIL) brings them there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from calotype.models.image_processor import CLIPImageProcessor

CONFIGS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "old files": {"size": 20, "crop_size": 20},
    "crop larger than the picture": {"size": {"shortest_edge": 20}, "crop_size": {"height": 33, "width": 28}},
    "crop larger one way": {"size": {"height": 11, "width": 14}, "crop_size": {"height": 8, "width": 21}},
    "bilinear": {"size": 17, "crop_size": {"height": 12, "width": 11}, "resample": 2},
    "no crop": {"size": 16, "do_center_crop": False},
    "no resizing": {"do_resize": False, "crop_size": 20},
    "bytes": {"size": 16, "crop_size": 16, "do_normalize": False, "do_rescale": False},
    "other mean": {"size": 16, "crop_size": 16, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.1, 0.2, 0.3]},
}


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    values = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


@pytest.mark.parametrize("size", [(51, 33), (32, 65), (40, 40)], ids=str)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_same_pixels(config: dict[str, Any], size: tuple[int, int]) -> None:
    image = picture(*size)
    ours = CLIPImageProcessor(**config)(image, return_tensors="pt").pixel_values
    peer = CLIPImageProcessorPil(**config)(image, return_tensors="pt").pixel_values
    torch.testing.assert_close(ours, peer.float(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1"])
def test_same_pixels_of_other_modes(mode: str) -> None:
    image = picture(50, 40, mode)
    ours = CLIPImageProcessor(size=20, crop_size=20)(image, return_tensors="np").pixel_values
    peer = CLIPImageProcessorPil(size=20, crop_size=20)(image, return_tensors="np").pixel_values
    np.testing.assert_allclose(ours, peer, atol=1e-5)


def test_lists_arrays_and_tensors_are_the_pictures_they_hold() -> None:
    processor = CLIPImageProcessor(size=20, crop_size=20)
    images = [picture(30, 40), picture(41, 27)]
    expected = processor(images, return_tensors="pt").pixel_values
    assert expected.shape == (2, 3, 20, 20)
    arrays = [np.asarray(image) for image in images]
    tensors = [torch.from_numpy(array.copy()).movedim(-1, 0) for array in arrays]
    for others in (arrays, tensors, [array / 255 for array in arrays]):
        assert torch.equal(processor(others, return_tensors="pt").pixel_values, expected)
    peer = CLIPImageProcessorPil(size=20, crop_size=20)
    torch.testing.assert_close(peer(images, return_tensors="pt").pixel_values, expected, atol=1e-5, rtol=0)


def test_each_loads_what_the_other_saved(tmp_path: Path) -> None:
    image = picture(30, 40)
    ours, peer = CLIPImageProcessor(size=20, crop_size=20), CLIPImageProcessorPil(size=20, crop_size=20)
    expected = ours(image, return_tensors="pt").pixel_values
    ours.save_pretrained(tmp_path / "ours")
    peer.save_pretrained(tmp_path / "peer")
    again = CLIPImageProcessorPil.from_pretrained(tmp_path / "ours")
    torch.testing.assert_close(again(image, return_tensors="pt").pixel_values, expected, atol=1e-5, rtol=0)
    assert torch.equal(CLIPImageProcessor.from_pretrained(tmp_path / "peer")(image, "pt").pixel_values, expected)


def test_defaults_are_the_peers() -> None:
    told = json.loads(CLIPImageProcessorPil().to_json_string())
    assert {
        key: value for key, value in json.loads(CLIPImageProcessor().to_json_string()).items() if key in told
    } == told
