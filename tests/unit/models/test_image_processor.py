from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from calotype.core.errors import CalotypeError, InvalidArgument, NotFinite
from calotype.models.image_processor import CLIPImageProcessor

WHITE = Image.new("RGB", (8, 8), "white")


def plain_processor() -> CLIPImageProcessor:
    return CLIPImageProcessor(size=4, crop_size=4, do_normalize=False)


def test_alpha_is_laid_over_white() -> None:
    pixels = plain_processor()(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), return_tensors="pt").pixel_values
    assert torch.equal(pixels, torch.ones(1, 3, 4, 4))


def test_a_config_makes_the_same_processor_again() -> None:
    processor = CLIPImageProcessor(size={"shortest_edge": 6}, crop_size=5, image_std=(1.0, 2.0, 3.0))
    again = CLIPImageProcessor.from_config({**processor.config, "feature_extractor_type": "CLIPFeatureExtractor"})
    assert (again(WHITE, "np").pixel_values == processor(WHITE, "np").pixel_values).all()


@pytest.mark.parametrize("name", ["size", "crop_size"])
def test_a_size_in_other_words_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{name}: expected .*height and width.*longest"):
        CLIPImageProcessor(**{name: {"longest": 4}})


BAD: dict[str, tuple[object, type[CalotypeError], str]] = {
    "a path": (["x.png"], InvalidArgument, "images[0]"),
    "floats beyond one": (np.full((8, 8, 3), 2.0), InvalidArgument, "2 to 2"),
    "NaN": (np.full((8, 8, 3), np.nan), NotFinite, "images[0]"),
    "two dimensions": ([WHITE, np.zeros((8, 8))], InvalidArgument, "images[1]"),
    "channels first in an array": (np.zeros((3, 8, 8)), InvalidArgument, "shape (3, 8, 8)"),
}


@pytest.mark.parametrize(("images", "error", "word"), BAD.values(), ids=BAD)
def test_what_is_no_picture_is_refused(images: object, error: type[CalotypeError], word: str) -> None:
    with pytest.raises(error) as refusal:
        plain_processor()(images)
    assert word in str(refusal.value)
