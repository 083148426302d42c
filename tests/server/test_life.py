"""``calotype serve`` as a process: it says where it is, loses nothing at its end, and tells why it cannot begin."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from calotype.models.autoencoder_kl import AutoencoderKL
from calotype.remote.session import RemoteSession
from calotype.remote.vae import RemoteVAE
from tests import tiny_helios
from tests.server.asking import ask, body_of, described, get
from tests.tiny import tiny_vae

PAGE = Path(__file__).parents[2] / "docs/serve.md"
ONE_LINERS = re.findall(r'^python -c "(.*)"$', PAGE.read_text(), re.MULTILINE)
SERVE = (sys.executable, "-m", "calotype", "serve", "--port", "0", "--device", "cpu")


@contextmanager
def process(*words, **environment):
    """A running server, and the addresses it said."""
    told = {**os.environ, **environment}
    running = subprocess.Popen((*SERVE, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=told)
    try:
        url = running.stdout.readline().strip()
        assert url, running.stderr.read()
        host, port = re.fullmatch(r"http://([\d.]+):(\d+)/.*", url).groups()
        yield running, url, (host, int(port))
    finally:
        running.kill()
        running.communicate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("secret") / "vae"
    tiny_vae().save_pretrained(place)
    return place


def test_a_pipelines_vae_is_another_process_until_that_is_told_to_end(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    latents = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    with process("--vae", f"first={folder}", "--vae", "pocket=pocket-sd") as (running, url, address):
        assert json.loads(get(address, "/health/ready").body)["vaes"] == ["first", "pocket"]
        session = RemoteSession(retries=0)
        vae = RemoteVAE(url + "/decode", url + "/encode", config=tiny_vae().config, session=session)
        pixels = vae.decode(latents).sample
        with torch.no_grad():
            torch.testing.assert_close(pixels, AutoencoderKL.from_pretrained(folder).decode(latents).sample)
        assert vae.encode(pixels.clamp(-1, 1)).latent_dist.mode().shape == latents.shape
        session.close()
        for line in ONE_LINERS:  # of the page, each with a pipeline or latents of its own
            exec(line.replace("http://127.0.0.1:8000/vaes/pocket-sd", url.replace("first", "pocket")), {})  # noqa: S102
        assert {path.name for path in tmp_path.iterdir()} == {"out.png", "noise.jpg"}
        busy = http.client.HTTPConnection(*address, timeout=20)
        query = "&".join(f"{name}={value}" for name, value in described(latents))
        busy.putrequest("POST", f"/vaes/first/decode?{query}")
        busy.putheader("Content-Type", "tensor/binary")
        busy.putheader("Content-Length", "256")
        busy.endheaders()
        while json.loads(metric(address, "calotype_requests_admitted")) != 1:  # it waits for its body
            pass
        running.send_signal(signal.SIGTERM)
        while get(address, "/health/ready").status != 503:
            pass
        late = ask(address, "/vaes/first/decode", described(latents), body_of(latents))
        assert (late.status, late.headers["retry-after"]) == (503, "1")
        busy.send(body_of(latents))
        assert busy.getresponse().status == 200
        busy.close()
        _, lines = running.communicate(timeout=20)
        assert running.returncode == 0
        facts = [json.loads(line) for line in lines.splitlines()]
        assert {"request", "route", "status", "milliseconds", "bytes"} <= {*facts[0]}
        assert not any("shape=" in line or str(folder) in line for line in lines.splitlines())


def test_a_films_pipeline_encodes_and_decodes_in_another_process(tmp_path_factory):
    pipe, place = tiny_helios.pipeline(), tmp_path_factory.mktemp("secret") / "vae"
    for halves in (pipe.vae.quant_conv.weight.data, pipe.vae.quant_conv.bias.data):
        halves.chunk(2)[1].zero_()
    pipe.vae.quant_conv.bias.data.chunk(2)[1].fill_(-60)  # latents of no variance: what travels are their means
    pipe.vae.save_pretrained(place)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))
    told = {"prompt": "a", "image": picture, "num_frames": 33, "output_type": "pt", **tiny_helios.SHORT["base"]}
    here = pipe(**told, generator=torch.manual_seed(0)).frames
    with process("--vae", f"wan={place}") as (_, url, _):
        pipe.vae = RemoteVAE(f"{url}/decode", f"{url}/encode", config=pipe.vae.config)
        there = pipe(**told, generator=torch.manual_seed(0)).frames
    torch.testing.assert_close(there, here, atol=1e-4, rtol=1e-4)


def metric(address, name):
    return re.search(rf"^{name} (\S+)$", get(address, "/metrics").body.decode(), re.MULTILINE)[1]


def test_ctrl_c_ends_it_too(folder):
    with process("--vae", f"sd={folder}", CALOTYPE_API_KEY="secret") as (running, _, address):
        assert get(address, "/metrics").status == 401
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=20)
        assert running.returncode == 130


def test_a_vae_that_cannot_be_loaded_is_said(tmp_path):
    (tmp_path / "config.json").write_text('{"_class_name": "UNet2DConditionModel"}')
    done = subprocess.run((*SERVE, "--vae", f"sd={tmp_path}"), capture_output=True, text=True, timeout=60)
    where = f"{tmp_path}/config.json: _class_name"
    assert (
        done.stderr
        == f"Error: {where}: expected AutoencoderKL, VQModel or AutoencoderKLWan, found UNet2DConditionModel\n"
    )
    assert (done.returncode, done.stdout) == (2, "")
