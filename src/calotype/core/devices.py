"""Devices by their names, and whether this machine has them."""

from __future__ import annotations

from typing import Any

import torch

from calotype.core.errors import InvalidArgument


def device_of(where: str, told: Any) -> torch.device:
    """The device that an argument names."""
    try:
        return torch.device(told)
    except (RuntimeError, TypeError):
        raise InvalidArgument(where, "a device", repr(told)) from None


def reached(where: str, told: Any) -> torch.device:
    """The device that an argument names, which is one of this machine."""
    try:
        device = torch.device(told)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidArgument(where, "a device of this machine", repr(str(told)), reason) from None
    return device
