"""What is asked of an endpoint is checked before it is sent; what comes back is believed only where it fits."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys

import pytest
import torch
from PIL import Image

from calotype.core.errors import InvalidArgument
from calotype.generation.images import VaeImageProcessor
from calotype.generation.videos import VideoProcessor
from calotype.remote.answers import MOST_BYTES, Asked, Encoded
from calotype.remote.heads import Head
from calotype.remote.wire import DecodeQuery
from calotype.utils import aremote_decode, aremote_encode, remote_decode, remote_encode
from calotype.utils.remote_utils import RemoteError, RemoteSession
from tests.endpoints import described, serving
from tests.tiny import tiny_vae

LATENTS = torch.zeros(1, 4, 4, 4)
TENSORS = {"output_type": "pt", "return_type": "pt", "do_scaling": False}


@pytest.fixture
def endpoint():
    with serving(tiny_vae()) as running:
        yield running


def test_importing_the_client_loads_no_torch():
    script = "import sys, calotype.utils.remote_utils; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "PIL"} & {*loaded}


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"output_type": "mp4", "return_type": "pil"}, "return_type"),
        ({"output_type": "mp4", "return_type": "pt"}, "return_type"),
        ({"output_type": "pil", "return_type": "mp4"}, "return_type"),
        ({"output_type": "pt", "return_type": "mp4"}, "return_type"),
        ({"output_type": "pil", "return_type": "pt"}, "processor"),
        ({"output_type": "pt", "return_type": "pil"}, "processor"),
        ({"output_type": "gif"}, "output_type"),
        ({"image_format": "webp"}, "image_format"),
        ({"input_tensor_type": "base64"}, "input_tensor_type"),
        ({"output_tensor_type": "base64"}, "output_tensor_type"),
        ({"scaling_factor": 0}, "scaling_factor"),
        ({"scaling_factor": float("nan")}, "scaling_factor"),
        ({"tensor": torch.zeros(1, 16, 64)}, "height"),
        ({"tensor": torch.zeros(1, 16, 64), "height": 64}, "width"),
        ({"tensor": torch.zeros(1, 4, 4, 4, dtype=torch.float64)}, "dtype"),
        ({"tensor": torch.zeros(1, 4, 4, 4, dtype=torch.uint8)}, "dtype"),
        ({"tensor": torch.zeros(4, 4)}, "shape"),
        ({"tensor": [0.0]}, "tensor"),
        ({"token": "two words"}, "token"),
        ({"token": "a\r\nb"}, "token"),
        ({"retries": -1}, "retries"),
        ({"timeout": 0}, "timeout"),
        ({"endpoint": "file:///etc/hosts"}, "endpoint"),
        ({"endpoint": "http://name:word@127.0.0.1/"}, "endpoint"),
        ({"endpoint": "127.0.0.1:80"}, "endpoint"),
        ({"endpoint": "http://127.0.0.1/a b"}, "endpoint"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_before_it_is_sent(endpoint, options, argument):
    told = {"endpoint": endpoint.url, "tensor": LATENTS, "do_scaling": None, "scaling_factor": 1.0, **options}
    with pytest.raises(InvalidArgument) as refused:
        remote_decode(**{**told, "do_scaling": True})
    assert refused.value.where == argument
    assert not endpoint.asked


def test_latents_that_do_not_lie_in_order_are_sent_in_order(endpoint):
    turned = torch.arange(64.0).reshape(1, 4, 2, 8).transpose(2, 3)
    remote_decode(endpoint.url, turned, **TENSORS)
    assert endpoint.asked[0].body == turned.contiguous().numpy().tobytes()


def test_the_scaling_of_the_server_is_deprecated(endpoint):
    with pytest.warns(FutureWarning, match="scaling_factor"):
        remote_decode(endpoint.url, LATENTS)
    assert ("do_scaling", "True") in endpoint.asked[0].query


def test_several_pictures_are_a_list_and_one_is_a_picture(endpoint):
    told = {"output_type": "pt", "scaling_factor": 0.2}
    for options in ({"processor": VaeImageProcessor()}, {"partial_postprocess": True}):
        assert isinstance(remote_decode(endpoint.url, LATENTS, **told, **options), Image.Image)
        several = remote_decode(endpoint.url, LATENTS.repeat(3, 1, 1, 1), **told, **options)
        assert [picture.size for picture in several] == [(8, 8)] * 3


def test_several_videos_are_lists_of_frames(endpoint):
    videos = remote_decode(
        endpoint.url, torch.zeros(2, 4, 3, 4, 4), VideoProcessor(), scaling_factor=1.0, output_type="pt"
    )
    assert [len(frames) for frames in videos] == [3, 3]


def test_awaited_requests_run_side_by_side(endpoint):
    async def both():
        return await asyncio.gather(
            aremote_decode(endpoint.url, LATENTS, **TENSORS), aremote_encode(endpoint.url, torch.zeros(1, 3, 8, 8))
        )

    pixels, latents = asyncio.run(both())
    assert pixels.shape == (1, 3, 8, 8)
    assert latents.shape == LATENTS.shape


def test_a_session_keeps_its_connection_and_sends_its_token(endpoint):
    with RemoteSession(token="secret") as session:
        for _ in range(3):
            remote_decode(endpoint.url, LATENTS, session=session, **TENSORS)
    assert {request.headers["authorization"] for request in endpoint.asked} == {"Bearer secret"}
    assert len({request.connection for request in endpoint.asked}) == 1
    assert "secret" not in repr(session)


def test_a_connection_that_the_server_closed_meanwhile_is_no_fault(endpoint):
    with RemoteSession(retries=0) as session:
        remote_decode(endpoint.url, LATENTS, session=session, **TENSORS)
        endpoint.faults = [None]
        remote_decode(endpoint.url, LATENTS, session=session, **TENSORS)
    assert len(endpoint.asked) == 3


def changed(answer, body=None, **headers):
    status, told, data = answer
    return status, {**told, **headers}, data if body is None else body


PIXELS = described(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (changed(PIXELS, PIXELS[2][:-4]), "bytes"),
        (changed(PIXELS, shape=""), "shape"),
        (changed(PIXELS, shape="[-1]"), "shape"),
        (changed(PIXELS, shape="[1, 3, 64]"), "shape"),
        (changed(PIXELS, shape="[1, 8, 3, 8]"), "shape"),
        (changed(PIXELS, shape="[1, 3, 4, 16]"), "shape"),
        (changed(PIXELS, shape=json.dumps([10**11] * 4)), "at most"),
        (changed(PIXELS, dtype="float16"), "bytes"),
        (changed(PIXELS, dtype="int4"), "dtype"),
        (described(torch.zeros(2, 3, 8, 8)), "shape"),
        (described(torch.full((1, 3, 8, 8), torch.nan)), "finite"),
        (changed(PIXELS, **{"Content-Encoding": "gzip"}), "gzip"),
        (changed(PIXELS, **{"Content-Length": str(1 << 40)}), "at most"),
    ],
    ids=lambda told: told if isinstance(told, str) else str(told[1]),
)
def test_an_answer_that_does_not_fit_is_refused(endpoint, answer, found):
    endpoint.faults = [answer]
    with pytest.raises(RemoteError, match=found):
        remote_decode(endpoint.url, LATENTS, retries=0, **TENSORS)


@pytest.mark.parametrize("shape", [(1, 4, 2048, 2048), (1, 4, 1024, 64, 64)])
def test_no_request_lets_an_answer_fill_the_machine(shape):
    asked = Asked(DecodeQuery(Head(shape, "float16"), "pt"), encoded=False)
    assert asked.limit == Encoded((1, 3, 4096, 1024)).limit == MOST_BYTES


@pytest.mark.parametrize("body", [b"", b"GIF89a", b"<html>", b"\x89PNG\r\n\x1a\n"])
def test_a_picture_that_is_none_is_refused_without_an_address(endpoint, body):
    endpoint.faults = [(200, {"Content-Type": "image/png"}, body)]
    with pytest.raises(RemoteError, match="picture") as told:
        remote_decode(endpoint.url, LATENTS, scaling_factor=1.0)
    assert not re.search("0x[0-9a-f]{6}", str(told.value))


def test_latents_larger_than_their_picture_are_refused(endpoint):
    endpoint.faults = [described(torch.zeros(1, 4, 16, 16))]
    with pytest.raises(RemoteError, match="latents of a picture"):
        remote_encode(endpoint.url, torch.zeros(1, 3, 8, 8))
