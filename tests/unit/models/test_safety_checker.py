"""The checker fails closed: a picture that cannot be judged is not shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from calotype.models.safety_checker import StableDiffusionSafetyChecker
from calotype.models.vision import CLIPVisionModelWithProjection
from tests.tiny import VISION_CONFIG, tiny_safety_checker

INPUTS = torch.linspace(-1, 1, 3 * 3 * 30 * 30).reshape(3, 3, 30, 30)


def checker_with(threshold: float) -> StableDiffusionSafetyChecker:
    checker = tiny_safety_checker()
    for parameter in (checker.concept_embeds_weights, checker.special_care_embeds_weights):
        torch.nn.init.constant_(parameter, threshold)
    return checker


def pictures() -> torch.Tensor:
    return torch.full((3, 3, 4, 4), 0.5)


def test_harmless_pictures_are_handed_on_untouched() -> None:
    images = pictures()
    seen, flags = checker_with(2.0)(INPUTS, images)
    assert seen is images
    assert flags == [False, False, False]


@pytest.mark.parametrize("form", ["tensor", "array", "list of arrays"])
def test_flagged_pictures_are_black_and_what_was_given_stays(form: str) -> None:
    images = {"tensor": pictures(), "array": pictures().numpy(), "list of arrays": list(pictures().numpy())}[form]
    seen, flags = checker_with(-2.0)(INPUTS, images)
    assert flags == [True, True, True]
    assert type(seen) is type(images)
    assert all(float(image.max()) == 0 for image in seen)
    assert all(float(image.min()) == 0.5 for image in images)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_an_input_that_is_not_a_number_blocks_its_own_picture_only(value: float) -> None:
    inputs = INPUTS.clone()
    inputs[1, 0, 3, 3] = value
    assert checker_with(2.0)(inputs, pictures())[1] == [False, True, False]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_picture_that_is_not_a_number_is_black(value: float) -> None:
    images = pictures().numpy()
    images[2, 0, 0, 0] = value
    seen, flags = checker_with(2.0)(INPUTS, images)
    assert flags == [False, False, True]
    assert np.array_equal(seen[2], np.zeros_like(seen[2]))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_any_weight_that_is_not_a_number_blocks_every_picture(value: float) -> None:
    checker = checker_with(2.0)
    for name, parameter in checker.named_parameters():
        first = parameter.detach().view(-1)[0]
        before, first[...] = first.clone(), value
        assert checker(INPUTS, pictures())[1] == [True, True, True], name
        first[...] = before
    assert checker(INPUTS, pictures())[1] == [False, False, False]


def test_an_overflow_in_half_precision_blocks() -> None:
    checker = checker_with(2.0).half()
    with torch.no_grad():
        checker.visual_projection.weight.sign_().mul_(6e4)
    assert checker(INPUTS.half(), pictures())[1] == [True, True, True]


def test_an_encoder_that_sees_nothing_blocks() -> None:
    checker = checker_with(2.0)
    with torch.no_grad():
        checker.visual_projection.weight.zero_()
    assert checker(INPUTS, pictures())[1] == [True, True, True]


def test_pictures_without_an_input_of_their_own_are_an_error() -> None:
    with pytest.raises(ValueError):
        checker_with(2.0)(INPUTS[:1], pictures())


def test_special_care_makes_the_check_stricter() -> None:
    checker = checker_with(2.0)
    embeds = torch.nn.functional.normalize(torch.randn(1, VISION_CONFIG["projection_dim"])).double()
    with torch.no_grad():
        checker.concept_embeds.copy_(embeds.expand_as(checker.concept_embeds))
        checker.concept_embeds_weights.fill_(1.005)
        assert not checker.too_close(embeds).any()
        checker.special_care_embeds[0] = embeds
        checker.special_care_embeds_weights[0] = 0.9
        assert checker.too_close(embeds).all()


def test_the_older_spelling_of_the_config_is_read() -> None:
    config = {"text_config": {"hidden_size": 7}, "vision_config": {"hidden_size": 64, "torch_dtype": "float32"}}
    old = config | {"vision_config_dict": VISION_CONFIG, "projection_dim": 24, "architectures": ["x"]}
    checker = StableDiffusionSafetyChecker.from_config(old)
    encoder = CLIPVisionModelWithProjection(**VISION_CONFIG)
    assert checker.visual_projection.weight.shape == encoder.visual_projection.weight.shape
