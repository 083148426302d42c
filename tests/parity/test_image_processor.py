"""The image processor against the peer's, over every kind of picture both read."""

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor as Peer
from PIL import Image, ImageDraw

from calotype.generation.images import VaeImageProcessor

FACTOR = 8


def picture(size=(40, 24), mode="RGB"):
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def mask(size=(60, 52), box=(20, 8, 31, 30), level=255):
    drawn = Image.new("L", size)
    ImageDraw.Draw(drawn).rectangle(box, fill=level)
    return drawn


OPTIONS = [
    {},
    {"do_normalize": False},
    {"do_normalize": False, "do_binarize": True, "do_convert_grayscale": True},
    {"resample": "bicubic"},
]
INPUTS = {
    "pil": picture(),
    "pil list": [picture(), picture().rotate(180)],
    "array": np.random.default_rng(1).random((24, 40, 3), dtype=np.float32),
    "array batch": np.random.default_rng(1).random((2, 24, 40, 3), dtype=np.float32),
    "tensor": torch.rand(3, 24, 40, generator=torch.Generator().manual_seed(0)),
    "tensor batch": torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(0)),
    "tensor list": [torch.rand(3, 24, 40, generator=torch.Generator().manual_seed(i)) for i in range(2)],
    "signed tensor": torch.rand(1, 3, 24, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1,
    "latents": torch.randn(2, 4, 24, 40, generator=torch.Generator().manual_seed(0)),
}


def reads(options, kind):
    """Colour values are no mask, but pictures of PIL can be made one."""
    return kind.startswith("pil") or not options.get("do_convert_grayscale")


@pytest.mark.parametrize(("options", "kind"), [(o, k) for o in OPTIONS for k in INPUTS if reads(o, k)], ids=str)
@pytest.mark.parametrize("size", [(None, None), (16, 48)])
def test_preprocess_equals_the_peer(options, kind, size):
    args = dict(vae_scale_factor=FACTOR, **options)
    ours = VaeImageProcessor(**args).preprocess(INPUTS[kind], *size)
    theirs = Peer(**args).preprocess(INPUTS[kind], *size)
    assert ours.shape == theirs.shape
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("shape", [(24, 40), (2, 24, 40), (1, 24, 40)])
@pytest.mark.parametrize("kind", ["tensor", "array"])
def test_a_mask_without_channels_equals_the_peer(shape, kind):
    values = torch.rand(*shape, generator=torch.Generator().manual_seed(0))
    given = values if kind == "tensor" else values.numpy()
    args = dict(vae_scale_factor=FACTOR, do_normalize=False, do_binarize=True, do_convert_grayscale=True)
    ours = VaeImageProcessor(**args).preprocess(given)
    if kind == "array" and shape == (24, 40):
        assert ours.shape == (1, 1, 24, 40)  # the peer cannot read it
        return
    assert torch.equal(ours, Peer(**args).preprocess(given))


@pytest.mark.parametrize("mode", ["fill", "crop"])
@pytest.mark.parametrize("size", [(64, 32), (32, 64), (48, 48), (40, 24)])
def test_resize_modes_equal_the_peer(mode, size):
    ours, theirs = (
        p(vae_scale_factor=FACTOR).resize(picture(), *size, resize_mode=mode) for p in (VaeImageProcessor, Peer)
    )
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("box", [(20, 8, 31, 30), (0, 0, 10, 51), (50, 40, 59, 51), (0, 0, 59, 3), (5, 5, 5, 5)])
@pytest.mark.parametrize("ratio", [(64, 64), (64, 32), (24, 96)])
@pytest.mark.parametrize("pad", [0, 4, 40])
def test_crop_regions_equal_the_peer(box, ratio, pad):
    assert VaeImageProcessor.get_crop_region(mask(box=box), *ratio, pad=pad) == Peer.get_crop_region(
        mask(box=box), *ratio, pad=pad
    )


@pytest.mark.parametrize("level", [255, 128])
@pytest.mark.parametrize("box", [None, (10, 4, 50, 44)])
def test_overlays_equal_the_peer(level, box):
    args = mask(level=level), picture((60, 52)), picture((40, 40)) if box else picture((60, 52)).rotate(180), box
    ours, theirs = (p(vae_scale_factor=FACTOR).apply_overlay(*args) for p in (VaeImageProcessor, Peer))
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("output_type", ["pil", "np", "pt", "latent"])
@pytest.mark.parametrize("chosen", [None, [True, False]])
def test_postprocess_equals_the_peer(output_type, chosen):
    decoded = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
    if chosen:
        decoded[1] = decoded[1].abs().clamp(0, 1)
    ours, theirs = (p().postprocess(decoded.clone(), output_type, chosen) for p in (VaeImageProcessor, Peer))
    assert np.array_equal(np.stack([np.asarray(x) for x in ours]), np.stack([np.asarray(x) for x in theirs]))
