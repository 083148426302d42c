"""Films go through the server as pictures do, and are sent while they are made."""

from __future__ import annotations

import http.client
import threading
from contextlib import closing, contextmanager
from urllib.parse import urlencode

import numpy as np
import pytest
import torch

from calotype.core.films.reader import FilmReader
from calotype.generation.videos import VideoProcessor
from calotype.models.wan_vae import AutoencoderKLWan
from calotype.remote.faults import RemoteError
from calotype.remote.vae import RemoteVAE
from calotype.server.limits import Limits
from calotype.utils import remote_decode, remote_encode
from tests import tiny_helios
from tests.server.asking import ask, body_of, described, read
from tests.server.serving import server, shelf, soon

PATH = "/vaes/wan/decode"


def latents(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


SENT = latents(1, 4, 4, 2, 3)
FRAMES, HEIGHT, WIDTH = 13, 16, 24


@torch.no_grad()
def decoded(sent):
    return tiny_helios.vae().decode(sent).sample


@pytest.fixture(scope="module")
def running():
    with server(books=shelf(Limits(pass_pixels=2000, max_frames=40), ("wan",))) as running:
        running.until_ready()
        yield running


@pytest.fixture(scope="module")
def peer():
    return pytest.importorskip("diffusers.utils.remote_utils")


@pytest.fixture(params=["ours", "peer"])
def clients(request, peer):
    """Decode, encode, and what makes frames of tensors, of one library."""
    if request.param == "ours":
        return remote_decode, remote_encode, VideoProcessor
    theirs = pytest.importorskip("diffusers.video_processor").VideoProcessor
    return peer.remote_decode, peer.remote_encode, theirs


def levels(video):
    return ((video[0] / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 3, 0)


def test_frames_of_every_type_for_both_clients(running, clients):
    decode, processor, wanted = clients[0], clients[2](), decoded(SENT)
    url, told = running.url + PATH, {"do_scaling": False}
    whole = decode(url, SENT, output_type="pt", return_type="pt", **told)
    torch.testing.assert_close(whole, wanted, atol=1e-5, rtol=1e-5)
    ready = decode(url, SENT, output_type="pt", return_type="pt", partial_postprocess=True, **told)
    assert ready.shape == (FRAMES, HEIGHT, WIDTH, 3) and (ready.int() - levels(wanted).int()).abs().max() <= 1
    unit = decode(url, SENT, output_type="pil", return_type="pt", processor=processor, **told)
    torch.testing.assert_close(unit, (wanted[0] / 2 + 0.5).clamp(0, 1).transpose(0, 1), atol=1e-5, rtol=1e-5)
    for more in (
        {"output_type": "pil", "processor": processor},
        {"output_type": "pt", "processor": processor},
        {"output_type": "pt", "partial_postprocess": True},
    ):
        images = decode(url, SENT, return_type="pil", **told, **more)
        assert np.abs(np.stack(images).astype(int) - levels(wanted).numpy()).max() <= 1


def test_a_file_is_a_film_of_all_frames(running, clients, tmp_path):
    told = {"do_scaling": False, "output_type": "mp4", "return_type": "mp4"}
    for query, fps in (("", 24), ("?fps=10", 10)):
        file = clients[0](running.url + PATH + query, SENT, **told)
        (tmp_path / "film.mp4").write_bytes(file)
        with FilmReader(tmp_path / "film.mp4") as film:
            frames = np.stack([np.asarray(frame) for frame in film])
            assert (frames.shape, round(film.fps)) == ((FRAMES, HEIGHT, WIDTH, 3), fps)
        assert np.abs(frames.astype(float) - levels(decoded(SENT)).numpy()).mean() < 25  # noise, and compressed


@pytest.mark.filterwarnings("ignore")
def test_factors_are_those_that_are_sent_or_the_vaes_own(running, clients):
    told = {"output_type": "pt", "return_type": "pt"}
    scaled = clients[0](running.url + PATH, SENT, scaling_factor=0.5, shift_factor=0.1, **told)
    torch.testing.assert_close(scaled, decoded(SENT / 0.5 + 0.1), atol=1e-5, rtol=1e-5)
    mean, std = (torch.tensor(tiny_helios.VAE[f"latents_{name}"]).reshape(1, 4, 1, 1, 1) for name in ("mean", "std"))
    own = clients[0](running.url + PATH, SENT, do_scaling=True, **told)
    torch.testing.assert_close(own, decoded(SENT * std + mean), atol=1e-5, rtol=1e-5)


def test_films_become_latents(running, clients):
    film = latents(1, 3, 9, 16, 24).clamp(-1, 1)
    with torch.no_grad():
        wanted = tiny_helios.vae().encode(film).latent_dist.mode()
    found = clients[1](f"{running.url}/vaes/wan/encode", film, scaling_factor=2.0)
    torch.testing.assert_close(found, 2 * wanted, atol=1e-5, rtol=1e-5)
    picture = VideoProcessor().postprocess_video(film[:, :, :1], "pil")[0][0]
    assert clients[1](f"{running.url}/vaes/wan/encode", picture).shape == (1, 4, 1, 2, 3)


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        ({"output_type": "mp4", "fps": 0.5}, 422, "fps"),
        ({"output_type": "mp4", "fps": "nan"}, 422, "fps"),
        ({"output_type": "pt", "shape": (1, 5, 2, 2, 2)}, 422, "shape"),
        ({"output_type": "pt", "shape": (1, 4, 2, 2)}, 422, "shape"),
        ({"output_type": "pt", "shape": (1, 4, 11, 2, 2)}, 413, "shape"),
        ({"output_type": "pt", "shape": (5, 4, 3, 2, 2)}, 413, "shape"),
        ({"output_type": "pt", "shape": (1, 4, 1, 2, 600)}, 413, "shape"),
        ({"output_type": "pt", "shape": (1, 4, 10, 500, 500)}, 413, "shape"),
        ({"output_type": "mp4", "shape": (2, 4, 1, 2, 2)}, 422, "shape"),
        ({"output_type": "pil", "shape": (1, 4, 1, 2, 2), "accept": "image/png"}, 422, "header 'accept'"),
        ({"output_type": "pt", "height": 17}, 422, "height"),
    ],
    ids=str,
)
def test_what_makes_no_film_is_refused_by_the_name_of_the_field(running, query, status, param):
    shape, accept = query.pop("shape", SENT.shape), query.pop("accept", "*/*")
    pairs = [*(("shape", side) for side in shape), ("dtype", "float32"), *query.items()]
    said = ask(running.address, PATH, pairs, b"", {"Content-Type": "tensor/binary", "Accept": accept})
    assert (said.status, said.error["param"]) == (status, param)


@pytest.mark.parametrize("shape", [(1, 3, 8, 16, 16), (1, 3, 9, 12, 16), (3, 9, 16, 16), (1, 3, 41, 16, 16)])
def test_films_that_make_no_latents_are_refused(running, shape):
    pairs = [*(("shape", side) for side in shape), ("dtype", "float32")]
    assert ask(running.address, "/vaes/wan/encode", pairs, b"").error["param"] == "shape"


@torch.inference_mode()
def test_what_overflows_half_way_in_half_precision_goes_on_in_full():
    from calotype.server.asked_films import FilmDecoding
    from calotype.server.film_vae import FilmVae

    limits, sent = Limits(pass_pixels=1), SENT.clone()
    sent[:, :, 2:] *= 1e6
    vae = FilmVae("wan", tiny_helios.vae().to(torch.bfloat16), limits)
    calls = []

    def broken(z, at_once):  # as half precision does: the later groups overflow
        for number, frames in enumerate(AutoencoderKLWan.decode_frames(vae.network, z, at_once)):
            calls.append(number)
            yield frames if number < 2 else frames * torch.inf

    task = FilmDecoding.read(described(SENT, partial_postprocess=True), {}, vae.facts, limits)
    task.take(bytearray(body_of(SENT)), limits)
    vars(vae.network)["decode_frames"] = broken
    [made] = vae.work([task], lambda: True)
    first = next(made)
    vars(vae.network).pop("decode_frames")
    assert sum(map(len, [first, *made])) == FRAMES and calls == [0, 1, 2]


@contextmanager
def slowly():
    """A server that waits for leave after each group of frames, and what it has made."""
    with server(books=shelf(Limits(pass_pixels=1), ("wan",))) as running:
        running.until_ready()
        network, leave, made = running.hall.shelf.vaes["wan"].network, threading.Event(), []

        def frames(z, at_once):
            for group in AutoencoderKLWan.decode_frames(network, z, at_once):
                made.append(group)
                yield group
                assert leave.wait(20)

        vars(network)["decode_frames"] = frames
        yield running, leave, made


def begun(running, sent, **told):
    """A request that is answered, and the answer."""
    connection = http.client.HTTPConnection(*running.address, timeout=20)
    connection.request(
        "POST", f"{PATH}?{urlencode(described(sent, **told))}", body_of(sent), {"Content-Type": "tensor/binary"}
    )
    return connection, connection.getresponse()


def test_the_first_frames_come_before_the_last_are_made():
    with slowly() as (running, leave, made):
        connection, answer = begun(running, SENT, partial_postprocess=True)
        with closing(connection), answer:
            first = answer.read(HEIGHT * WIDTH * 3)
            assert (len(first), len(made)) == (HEIGHT * WIDTH * 3, 1)
            leave.set()
            assert len(answer.read()) == (FRAMES - 1) * HEIGHT * WIDTH * 3


def test_a_client_that_leaves_ends_the_work_for_it():
    with slowly() as (running, leave, made):
        connection, answer = begun(running, latents(1, 4, 9, 2, 3), output_type="mp4")
        answer.close()
        connection.close()
        soon(lambda: not running.hall.gate.admitted)
        leave.set()
        soon(lambda: running.hall.engine._since is None)
        assert len(made) < 9
        found = read(ask(running.address, PATH, described(SENT), body_of(SENT)))
        assert found.shape == (1, 3, FRAMES, HEIGHT, WIDTH)


def test_a_film_that_breaks_off_is_not_taken_for_whole():
    with server(books=shelf(Limits(pass_pixels=1), ("wan",))) as running:
        running.until_ready()
        network = running.hall.shelf.vaes["wan"].network

        def broken(z, at_once):
            yield next(AutoencoderKLWan.decode_frames(network, z, at_once))
            raise ValueError("half way")

        vars(network)["decode_frames"] = broken
        for kind in ("mp4", "pil"):
            told = {"output_type": kind, "return_type": kind, "do_scaling": False, "retries": 0}
            with pytest.raises(RemoteError, match="IncompleteRead"):
                remote_decode(running.url + PATH, SENT, processor=VideoProcessor(), **told)


def test_a_films_pipeline_has_its_vae_elsewhere(running):
    pipe = tiny_helios.pipeline()
    told = {"prompt": "a", "num_frames": 33, "output_type": "pt", **tiny_helios.SHORT["base"]}
    local = pipe(**told, generator=torch.Generator().manual_seed(0)).frames
    pipe.vae = RemoteVAE(f"{running.url}{PATH}", f"{running.url}/vaes/wan/encode", config=pipe.vae.config)
    pipe.enable_vae_tiling()
    elsewhere = pipe(**told, generator=torch.Generator().manual_seed(0)).frames
    torch.testing.assert_close(elsewhere, local, atol=1e-4, rtol=1e-4)
