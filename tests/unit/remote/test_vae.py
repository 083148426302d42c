"""A pipeline whose VAE is elsewhere draws the picture that it draws with the VAE at hand."""

from __future__ import annotations

import copy

import pytest
import torch

import calotype
from calotype.core.errors import InvalidArgument
from calotype.remote.faults import RemoteError, RemoteUnavailable
from calotype.remote.session import RemoteSession
from calotype.remote.vae import RemoteVAE
from calotype.server.limits import Limits
from calotype.server.picture_vae import PictureVae
from tests.endpoints import serving
from tests.server.serving import server, shelf
from tests.tiny import tiny_inputs, tiny_pipeline
from tests.tiny_kandinsky import WIDTH, kandinsky_inputs, tiny_kandinsky

IMAGES = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(3))
KINDS = {
    "StableDiffusionPipeline": {"height": 16, "width": 16},
    "StableDiffusionXLPipeline": {"height": 16, "width": 16},
    "StableDiffusionImg2ImgPipeline": {"image": IMAGES, "strength": 0.6},
    "StableDiffusionInpaintPipeline": {"image": IMAGES, "mask_image": IMAGES[:, :1].round(), "height": 16, "width": 16},
}


@pytest.fixture
def endpoint():
    with serving() as running:
        yield running


def drawn(pipe, options):
    generator = torch.Generator().manual_seed(0)
    return pipe("a cat", num_inference_steps=2, generator=generator, output_type="pt", **options).images


@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_is_that_of_the_local_vae(endpoint, kind, monkeypatch):
    pipe = tiny_pipeline(getattr(calotype, kind))
    local = endpoint.vae = pipe.vae
    pipe.vae = RemoteVAE(endpoint.url, config=local.config)
    elsewhere = drawn(pipe, KINDS[kind])
    assert endpoint.asked
    pipe.vae = local
    encode = local.encode

    def certain(x, return_dict=True):
        found = encode(x)
        found.latent_dist.deterministic = True  # an endpoint sends the likeliest latents: no spread is left
        return found

    monkeypatch.setattr(local, "encode", certain)
    torch.testing.assert_close(elsewhere, drawn(pipe, KINDS[kind]))


def both(pipe, part, inputs):
    """What a pipeline draws with its VAE at hand, and with that served."""
    name = {"vae": "sd", "movq": "movq"}[part]
    local = getattr(pipe, part)
    books = shelf(Limits(), (name,))
    with server(books=books) as running:
        running.until_ready()
        books.vaes[name] = PictureVae(name, copy.deepcopy(local), books.limits)
        at_hand = pipe(**inputs, output_type="pt", generator=torch.Generator().manual_seed(0)).images
        address = f"{running.url}/vaes/{name}"
        setattr(pipe, part, RemoteVAE(f"{address}/decode", f"{address}/encode", config=local.config))
        elsewhere = pipe(**inputs, output_type="pt", generator=torch.Generator().manual_seed(0)).images
    # an answer is counted after it was sent: by now it is
    assert any(status == 200 for _, status in running.hall.metrics.requests)
    return at_hand, elsewhere


KANDINSKY = (
    "KandinskyPipeline", "KandinskyImg2ImgPipeline", "KandinskyInpaintPipeline", "KandinskyV22Pipeline",
    "KandinskyV22Img2ImgPipeline", "KandinskyV22InpaintPipeline", "KandinskyV22ControlnetPipeline",
)  # fmt: skip


@pytest.mark.parametrize("kind", KANDINSKY)
def test_a_movq_elsewhere_makes_the_pictures_of_that_at_hand(kind):
    pipe, inputs = tiny_kandinsky(getattr(calotype, kind)), kandinsky_inputs(kind)
    if "KandinskyV22" not in kind:
        drawn = torch.randn(2, 1, WIDTH, generator=torch.Generator().manual_seed(0))
        inputs |= {"image_embeds": drawn[0], "negative_image_embeds": drawn[1]}
    at_hand, elsewhere = both(pipe, "movq", inputs)  # no layout travels: convolutions round otherwise
    torch.testing.assert_close(elsewhere, at_hand, atol=3e-4, rtol=1e-4)


DRAWN = ("StableDiffusionControlNetPipeline", "StableDiffusionXLControlNetPipeline", "StableDiffusionXLPipeline")


@pytest.mark.parametrize("kind", DRAWN)
def test_a_served_vae_makes_the_pictures_of_that_at_hand(kind):
    pipe = tiny_pipeline(getattr(calotype, kind))
    inputs = {"prompt": "a cat", "num_inference_steps": 2, **tiny_inputs(kind)}
    at_hand, elsewhere = both(pipe, "vae", inputs)
    torch.testing.assert_close(elsewhere, at_hand, atol=1e-4, rtol=1e-4)


def test_tiling_and_slicing_are_the_endpoints_own_affair_and_that_is_said(caplog):
    pipe = tiny_pipeline(calotype.StableDiffusionPipeline)
    pipe.vae = RemoteVAE("http://127.0.0.1:9")
    with caplog.at_level("INFO", "calotype.remote.vae"):
        for switch in (
            pipe.enable_vae_tiling,
            pipe.disable_vae_tiling,
            pipe.enable_vae_slicing,
            pipe.disable_vae_slicing,
        ):
            switch()
    assert caplog.text.count("tiles and slices by itself") == 4


def test_half_of_the_bytes_travel_when_asked(endpoint):
    pipe = tiny_pipeline(calotype.StableDiffusionPipeline)
    endpoint.vae = pipe.vae
    whole, half = (
        RemoteVAE(endpoint.url, transfer=dtype).decode(torch.zeros(1, 4, 4, 4)) for dtype in ("float32", "float16")
    )
    assert [len(request.body) for request in endpoint.asked] == [256, 128]
    assert half.sample.dtype == whole.sample.dtype


def test_a_local_vae_takes_over_while_the_endpoint_is_out_of_reach(endpoint, caplog):
    pipe = tiny_pipeline(calotype.StableDiffusionPipeline)
    local, made = pipe.vae, []
    pipe.vae = RemoteVAE(
        endpoint.url,
        config=local.config,
        fallback=lambda: made.append(local) or local,
        session=RemoteSession(retries=0),
    )
    endpoint.faults = [(503, {}, b"later")] * 2
    two = drawn(pipe, KINDS["StableDiffusionPipeline"]), drawn(pipe, KINDS["StableDiffusionPipeline"])
    pipe.vae = local
    for images in two:
        torch.testing.assert_close(images, drawn(pipe, KINDS["StableDiffusionPipeline"]))
    assert made == [local]
    assert "working with the local VAE" in caplog.text


def test_without_a_local_vae_the_fault_is_told(endpoint):
    endpoint.faults = [(503, {}, b"later")]
    with pytest.raises(RemoteUnavailable, match="later"):
        RemoteVAE(endpoint.url, session=RemoteSession(retries=0)).decode(torch.zeros(1, 4, 4, 4))


def test_a_refusal_is_no_reason_to_work_here(endpoint):
    endpoint.faults = [(422, {}, b"wrong channels")]
    local = tiny_pipeline(calotype.StableDiffusionPipeline).vae
    with pytest.raises(RemoteError, match="wrong channels"):
        RemoteVAE(endpoint.url, fallback=local).decode(torch.zeros(1, 4, 4, 4))


def test_a_pipeline_is_not_saved_with_an_address_for_its_vae(tmp_path):
    pipe = tiny_pipeline(calotype.StableDiffusionPipeline)
    pipe.vae = RemoteVAE("http://127.0.0.1:9")
    with pytest.raises(InvalidArgument, match="local one first"):
        pipe.save_pretrained(tmp_path / "saved")


def test_pipelines_move_without_it(endpoint):
    pipe = tiny_pipeline(calotype.StableDiffusionPipeline)
    pipe.vae = RemoteVAE(endpoint.url)
    assert pipe.to("cpu", torch.float32) is pipe
    assert not endpoint.asked


def test_a_vector_quantised_vae_is_stood_in_for_too(endpoint):
    """Kandinsky's decoders read latents without a distribution, and ask for no quantising."""
    endpoint.vae = tiny_pipeline(calotype.StableDiffusionPipeline).vae
    vae = RemoteVAE(endpoint.url)
    latents = vae.encode(IMAGES).latents
    assert torch.equal(latents, endpoint.vae.encode(IMAGES).latent_dist.mode())
    assert vae.decode(latents, force_not_quantize=True, return_dict=False)[0].shape == IMAGES.shape
