"""Our client and the peer's are one to a server: the same requests, and of the same answers the same results."""

from __future__ import annotations

from inspect import signature

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor as TheirImageProcessor
from diffusers.utils.remote_utils import remote_decode as their_decode
from diffusers.utils.remote_utils import remote_encode as their_encode
from diffusers.video_processor import VideoProcessor as TheirVideoProcessor
from PIL import Image

from calotype.generation.images import VaeImageProcessor
from calotype.generation.videos import VideoProcessor
from calotype.utils.remote_utils import remote_decode, remote_encode
from tests.endpoints import serving
from tests.tiny import tiny_vae

OURS = {"image": VaeImageProcessor, "video": VideoProcessor}
THEIRS = {"image": TheirImageProcessor, "video": TheirVideoProcessor}


@pytest.fixture(scope="module")
def endpoint():
    with serving(tiny_vae().eval()) as running:
        yield running


def both(endpoint, ours, theirs, *args, processor=None, **options):
    """What both clients make of one request; that they sent the same is seen on the way."""
    endpoint.asked.clear()
    mine = ours(f"{endpoint.url}?key=1", *args, **options, **({"processor": OURS[processor]()} if processor else {}))
    other = theirs(
        f"{endpoint.url}?key=1", *args, **options, **({"processor": THEIRS[processor]()} if processor else {})
    )
    sent, wanted = endpoint.asked
    assert (sent.path, sent.query, sent.body) == (wanted.path, wanted.query, wanted.body)
    for name in ("accept", "content-type", "content-length", "host"):
        assert sent.headers.get(name) == wanted.headers.get(name), name
    return mine, other


def plain(found):
    """Tensors and pictures as arrays, to be compared."""
    if isinstance(found, list):
        return [plain(each) for each in found]
    return found if isinstance(found, bytes) else np.asarray(found)


def check_same(mine, other):
    assert type(mine) is type(other) or isinstance(mine, Image.Image)
    np.testing.assert_equal(plain(mine), plain(other))


def latents(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "options",
    [
        {"output_type": "pil", "return_type": "pil", "image_format": "jpg"},
        {"output_type": "pil", "return_type": "pil", "image_format": "png"},
        {"output_type": "pil", "return_type": "pil", "image_format": "png", "partial_postprocess": True},
        {"output_type": "pt", "return_type": "pt"},
        {"output_type": "pt", "return_type": "pt", "partial_postprocess": True},
        {"output_type": "pt", "return_type": "pil", "partial_postprocess": True},
        {"output_type": "pt", "return_type": "pil", "processor": "image"},
        {"output_type": "pt", "return_type": "pil", "processor": "image", "partial_postprocess": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_pictures(endpoint, options, dtype):
    check_same(
        *both(endpoint, remote_decode, their_decode, latents(1, 4, 4, 6).to(dtype), scaling_factor=0.2, **options)
    )


@pytest.mark.parametrize(
    "options",
    [
        {"output_type": "mp4", "return_type": "mp4"},
        {"output_type": "pil", "return_type": "pil", "processor": "video"},
        {"output_type": "pil", "return_type": "pt", "processor": "video"},
        {"output_type": "pt", "return_type": "pil", "processor": "video"},
        {"output_type": "pt", "return_type": "pil", "partial_postprocess": True},
        {"output_type": "pt", "return_type": "pt"},
        {"output_type": "pt", "return_type": "pt", "partial_postprocess": True},
    ],
    ids=str,
)
def test_videos(endpoint, options):
    check_same(*both(endpoint, remote_decode, their_decode, latents(1, 4, 3, 4, 4), do_scaling=False, **options))


@pytest.mark.parametrize(
    "options",
    [
        {"do_scaling": True},
        {"do_scaling": False},
        {"do_scaling": None},
        {"scaling_factor": 0.3611, "shift_factor": 0.1159},
        {"scaling_factor": 1, "shift_factor": 0},
        {"shift_factor": 0.1159},
        {"do_scaling": False, "scaling_factor": 0.3611, "shift_factor": 0.1159},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore")
def test_factors(endpoint, options):
    options |= {"output_type": "pt", "return_type": "pt"}
    check_same(*both(endpoint, remote_decode, their_decode, latents(1, 4, 4, 4), **options))


def test_packed_latents(endpoint):
    options = {"output_type": "pt", "return_type": "pt", "scaling_factor": 0.2, "height": 16, "width": 24}
    check_same(*both(endpoint, remote_decode, their_decode, latents(2, 24, 16), **options))


def test_a_batch_of_bytes_is_a_list(endpoint):
    told = {"output_type": "pt", "return_type": "pil", "partial_postprocess": True, "scaling_factor": 0.2}
    check_same(*both(endpoint, remote_decode, their_decode, latents(2, 4, 4, 4), **told))


@pytest.mark.parametrize("factors", [{}, {"scaling_factor": 0.13}, {"scaling_factor": 0.36, "shift_factor": 0.12}])
@pytest.mark.parametrize("dtype", [None, torch.float32, torch.bfloat16])
def test_encoding(endpoint, factors, dtype):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 16, 3), dtype=np.uint8))
    image = picture if dtype is None else latents(1, 3, 8, 16).to(dtype)
    check_same(*both(endpoint, remote_encode, their_encode, image, **factors))


@pytest.mark.parametrize(("ours", "theirs"), [(remote_decode, their_decode), (remote_encode, their_encode)])
def test_arguments_have_the_peers_names_order_and_defaults(ours, theirs):
    mine, other = (signature(each).parameters.values() for each in (ours, theirs))
    positional = [(each.name, each.default) for each in mine if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert positional == [(each.name, each.default) for each in other]


@pytest.mark.parametrize("output_type", ["np", "pt", "pil"])
def test_frames_of_videos(output_type):
    video = latents(2, 3, 4, 8, 8)
    mine, other = (kind().postprocess_video(video, output_type) for kind in (VideoProcessor, TheirVideoProcessor))
    np.testing.assert_equal(plain(mine), plain(other))


@pytest.mark.parametrize(
    "video",
    [
        torch.rand(5, 3, 8, 8),
        torch.rand(2, 5, 3, 8, 8),
        [torch.rand(3, 8, 8)] * 3,
        [torch.rand(5, 3, 8, 8)] * 2,
        np.random.default_rng(0).random((5, 8, 8, 3)),
        np.random.default_rng(0).random((2, 5, 8, 8, 3)),
        [np.random.default_rng(0).random((5, 8, 8, 3))] * 2,
        [Image.new("RGB", (16, 8), "teal")] * 3,
        [[Image.new("RGB", (16, 8), "teal")] * 3] * 2,
        Image.new("RGB", (16, 8), "teal"),
    ],
    ids=lambda video: f"{type(video).__name__} of {getattr(video, 'shape', None) or type(video)}",
)
def test_videos_on_their_way_in(video):
    mine, other = (kind().preprocess_video(video, 8, 8) for kind in (VideoProcessor, TheirVideoProcessor))
    torch.testing.assert_close(mine, other)
