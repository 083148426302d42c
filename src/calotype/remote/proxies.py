"""The proxy that the environment names for an address: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY."""

from __future__ import annotations

import base64
import http.client
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from calotype.core.errors import InvalidArgument


@dataclass(frozen=True)
class Proxy:
    """A machine that passes requests on, and what it wants to see for that."""

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    def through(self, url: SplitResult, patience: float) -> http.client.HTTPConnection:
        """A connection by way of it: an https endpoint is spoken to behind its back, past a tunnel."""
        if url.scheme == "http":
            return http.client.HTTPConnection(self.host, self.port, timeout=patience)
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=patience)
        connection.set_tunnel(url.hostname or "", url.port or 443, dict(self.headers))
        return connection

    def target(self, url: SplitResult, path: str) -> tuple[str, dict[str, str]]:
        """What the request line asks for, and the headers for the proxy: nothing of it where there is a tunnel."""
        return (f"http://{url.netloc}{path}", self.headers) if url.scheme == "http" else (path, {})


def proxy_of(url: SplitResult) -> Proxy | None:
    """The proxy for an endpoint; this machine's own addresses need none."""
    host = url.hostname or ""
    if _is_here(host) or proxy_bypass(url.netloc):
        return None
    named = getproxies_environment()
    told = named.get(url.scheme) or named.get("all")
    return _read(told, f"{url.scheme.upper()}_PROXY" if named.get(url.scheme) else "ALL_PROXY") if told else None


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _read(told: str, variable: str) -> Proxy:
    wanted, fix = "the http:// address of a proxy", "Name the endpoint's host in NO_PROXY to go without one."
    try:
        url = urlsplit(told if "://" in told else f"http://{told}")
        port = url.port or 80
    except ValueError:
        raise InvalidArgument(variable, wanted, "something else", fix) from None
    if url.scheme != "http" or not url.hostname:  # neither TLS to the proxy itself, nor SOCKS
        raise InvalidArgument(variable, wanted, repr(f"{url.scheme}://...")[:40], fix)
    if url.username is None:
        return Proxy(url.hostname, port)
    secret = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
    return Proxy(url.hostname, port, {"Proxy-Authorization": f"Basic {base64.b64encode(secret).decode()}"})
