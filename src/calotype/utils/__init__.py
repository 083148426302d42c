"""Public helpers under the paths where the peer has them."""

from calotype.remote.client import aremote_decode, aremote_encode, remote_decode, remote_encode

__all__ = ["aremote_decode", "aremote_encode", "remote_decode", "remote_encode"]
