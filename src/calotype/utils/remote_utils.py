"""Hybrid inference under the path where the peer has it."""

from calotype.remote.client import aremote_decode, aremote_encode, remote_decode, remote_encode
from calotype.remote.faults import RemoteError, RemoteUnavailable
from calotype.remote.session import RemoteSession

__all__ = [
    "RemoteError", "RemoteSession", "RemoteUnavailable",
    "aremote_decode", "aremote_encode", "remote_decode", "remote_encode",
]  # fmt: skip
