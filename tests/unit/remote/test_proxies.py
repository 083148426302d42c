"""Proxies that the environment names are used, past those whom it excepts; others are refused in words."""

from __future__ import annotations

import pytest
import torch

from calotype.core.errors import InvalidArgument
from calotype.remote.address import address
from calotype.remote.proxies import proxy_of
from calotype.utils import remote_decode
from tests.endpoints import serving
from tests.tiny import tiny_vae

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD")
AWAY = "http://vae.example:81/decode"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def decode(endpoint):
    told = {"output_type": "pt", "return_type": "pt", "do_scaling": False, "token": "secret"}
    return remote_decode(endpoint, torch.zeros(1, 4, 4, 4), **told)


def test_a_request_goes_by_way_of_the_proxy_and_means_the_endpoint(environment):
    with serving(tiny_vae()) as proxy:
        environment.setenv("HTTP_PROXY", proxy.url.replace("http://", "http://name:w%40rd@"))
        assert decode(AWAY).shape == (1, 3, 8, 8)
        [asked] = proxy.asked
    assert asked.headers["host"] == "vae.example:81"
    assert asked.headers["proxy-authorization"] == "Basic bmFtZTp3QHJk"
    assert asked.headers["authorization"] == "Bearer secret"


def test_this_machine_and_excepted_hosts_are_asked_themselves(environment):
    environment.setenv("ALL_PROXY", "http://nobody.invalid:9")
    environment.setenv("NO_PROXY", "example")
    assert proxy_of(address(AWAY)) is None
    with serving(tiny_vae()) as endpoint:
        assert decode(endpoint.url).shape == (1, 3, 8, 8)


def test_an_https_endpoint_is_spoken_to_through_a_tunnel(environment):
    environment.setenv("HTTPS_PROXY", "proxy.example:3128")
    url = address("https://vae.example/decode")
    proxy = proxy_of(url)
    connection = proxy.through(url, 5)
    assert (connection.host, connection.port) == ("proxy.example", 3128)
    assert (connection._tunnel_host, connection._tunnel_port) == ("vae.example", 443)
    assert proxy.target(url, "/decode?shape=1") == ("/decode?shape=1", {})


@pytest.mark.parametrize(
    "told", ["socks5://name:secret@proxy.example", "https://proxy.example", "http://", "http://[x"]
)
def test_proxies_of_other_kinds_are_refused_by_the_variables_name(environment, told):
    environment.setenv("HTTP_PROXY", told)
    with pytest.raises(InvalidArgument, match="NO_PROXY") as refused:
        proxy_of(address(AWAY))
    assert refused.value.where == "HTTP_PROXY" and "secret" not in str(refused.value)
