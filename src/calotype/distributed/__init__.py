"""Several devices at one picture or film."""

from __future__ import annotations

from calotype.distributed.context import context_parallel

__all__ = ["context_parallel"]
