"""The peer's own client is understood: whatever it may ask of an image model, our server answers rightly."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("diffusers")

from diffusers.image_processor import VaeImageProcessor
from diffusers.utils.remote_utils import remote_decode, remote_encode
from diffusers.video_processor import VideoProcessor

from calotype.server.limits import Limits
from calotype.utils import remote_decode as our_decode
from calotype.utils import remote_encode as our_encode
from tests.server.serving import server, shelf
from tests.tiny import tiny_movq, tiny_vae


@pytest.fixture(scope="module")
def running():
    with server() as running:
        yield running


def latents(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def levels(pixels):
    return ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().permute(0, 2, 3, 1).to(torch.uint8)


def decoded(latents):
    with torch.no_grad():
        return tiny_vae().decode(latents.float()).sample


def test_files(running):
    sent = latents(1, 4, 4, 6)
    wanted = levels(decoded(sent / 0.2))[0].numpy()
    for decode in (remote_decode, our_decode):
        told = {"scaling_factor": 0.2, "output_type": "pil", "return_type": "pil"}
        png = decode(f"{running.url}/vaes/sd/decode", sent, image_format="png", **told)
        assert png.format.upper() == "PNG" and np.abs(np.asarray(png).astype(int) - wanted).max() <= 1
        jpg = decode(f"{running.url}/vaes/sd/decode", sent, image_format="jpg", **told)
        assert jpg.format.upper() in ("JPG", "JPEG")
        file = io.BytesIO()
        Image.fromarray(wanted).save(file, "JPEG", quality=95)
        assert np.abs(np.asarray(jpg).astype(float) - np.asarray(Image.open(file))).mean() < 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("decode", [remote_decode, our_decode], ids=["peer", "ours"])
def test_tensors(running, decode, dtype):
    sent = latents(2, 4, 4, 6).to(dtype)
    told = {"scaling_factor": 0.2, "shift_factor": 0.1, "output_type": "pt"}
    wanted = decoded(sent.float() / 0.2 + 0.1)
    pixels = decode(f"{running.url}/vaes/sd/decode", sent, return_type="pt", **told)
    torch.testing.assert_close(pixels, wanted)
    ready = decode(f"{running.url}/vaes/sd/decode", sent, return_type="pt", partial_postprocess=True, **told)
    assert (ready.int() - levels(wanted).int()).abs().max() <= 1 and ready.dtype == torch.uint8
    for more in ({"partial_postprocess": True}, {"processor": VaeImageProcessor()}):
        images = decode(f"{running.url}/vaes/sd/decode", sent, return_type="pil", **told, **more)
        images = images if isinstance(images, list) else [images]  # the peer keeps the first that a processor makes
        assert np.abs(np.stack(images).astype(int) - levels(wanted).numpy()[: len(images)]).max() <= 1


@pytest.mark.parametrize("decode", [remote_decode, our_decode], ids=["peer", "ours"])
def test_tensors_in_the_unit_range_for_a_processor(running, decode):
    sent = latents(3, 4, 4, 6)
    told = {"do_scaling": False, "output_type": "pil", "return_type": "pt", "processor": VideoProcessor()}
    found = decode(f"{running.url}/vaes/sd/decode", sent, **told)
    torch.testing.assert_close(found, (decoded(sent) / 2 + 0.5).clamp(0, 1))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("decode", [remote_decode, our_decode], ids=["peer", "ours"])
def test_the_servers_own_factor(running, decode):
    sent = latents(1, 4, 4, 4)
    found = decode(f"{running.url}/vaes/sd/decode", sent, do_scaling=True, output_type="pt", return_type="pt")
    torch.testing.assert_close(found, decoded(sent / 0.18215))


@pytest.mark.parametrize("decode", [remote_decode, our_decode], ids=["peer", "ours"])
def test_packed_latents(running, decode):
    sent = latents(1, 4, 8, 12)
    packed = sent.unflatten(2, (4, 2)).unflatten(4, (6, 2)).permute(0, 2, 4, 1, 3, 5).reshape(1, 24, 16)
    told = {"do_scaling": False, "output_type": "pt", "return_type": "pt", "height": 16, "width": 24}
    found = decode(f"{running.url}/vaes/sd/decode", packed, **told)
    torch.testing.assert_close(found, decoded(sent))


@pytest.mark.parametrize("encode", [remote_encode, our_encode], ids=["peer", "ours"])
def test_pictures_become_latents(running, encode):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 16, 3), dtype=np.uint8))
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].contiguous() / 127.5 - 1
    with torch.no_grad():
        wanted = tiny_vae().encode(pixels).latent_dist.mode()
    for image in (picture, pixels):
        found = encode(f"{running.url}/vaes/sd/encode", image)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
        factors = {"scaling_factor": 0.36, "shift_factor": 0.12}
        found = encode(f"{running.url}/vaes/sd/encode", image, **factors)
        torch.testing.assert_close(found, (wanted - 0.12) * 0.36, atol=1e-5, rtol=1e-5)


def test_a_vector_quantised_vae():
    movq, sent = tiny_movq(), latents(1, 4, 4, 4)
    with server(books=shelf(Limits(), ("movq",))) as running, torch.no_grad():
        running.until_ready()
        found = remote_decode(
            f"{running.url}/vaes/movq/decode", sent, do_scaling=False, output_type="pt", return_type="pt"
        )
        torch.testing.assert_close(found, movq.decode(sent, force_not_quantize=True).sample)
        latent = remote_encode(f"{running.url}/vaes/movq/encode", found.clamp(-1, 1))
        torch.testing.assert_close(latent, movq.encode(found.clamp(-1, 1)).latents)
