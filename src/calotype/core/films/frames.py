"""Frames in whatever form a caller holds them, as bytes (height, width, 3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from calotype.core.errors import InvalidArgument, NotFinite
from calotype.ops.pictures import plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

WANTED = "PIL images, an array (frames, height, width, 3) or a tensor (frames, 3, height, width)"
SLACK = 1e-3  # how far from [0, 1] rounding may have led


def frames_of(frames: Any, name: str = "frames") -> Iterator[NDArray[np.uint8]]:
    """Each frame of a film, of a part of one or of a lazy series, made ready when it is asked for."""
    if isinstance(frames, (torch.Tensor, np.ndarray)) and frames.ndim == 4:
        return (_frame(frame, f"{name}[{i}]") for i, frame in enumerate(frames))
    if isinstance(frames, Image.Image) or getattr(frames, "ndim", 0) == 3:
        return iter([_frame(frames, name)])
    if hasattr(frames, "ndim") or isinstance(frames, (str, bytes, Mapping)) or not isinstance(frames, Iterable):
        fix = "Of several films, write each by itself: frames[0]." if getattr(frames, "ndim", 0) == 5 else ""
        raise InvalidArgument(name, WANTED, _kind(frames), fix)
    return (_frame(frame, f"{name}[{i}]") for i, frame in enumerate(frames))


def _frame(frame: Any, where: str) -> NDArray[np.uint8]:
    if isinstance(frame, Image.Image):
        return np.asarray(plain(frame).convert("RGB"))
    if isinstance(frame, torch.Tensor):
        held = frame.detach().cpu()
        values = (held.float() if held.is_floating_point() else held).numpy()
        values = values.transpose(1, 2, 0) if values.ndim == 3 else values
    elif isinstance(frame, np.ndarray):
        values = frame
    else:
        raise InvalidArgument(where, "a PIL image, an array or a tensor", _kind(frame))
    if values.ndim != 3 or values.shape[-1] not in (1, 3) or 0 in values.shape:
        form = "(3, height, width)" if isinstance(frame, torch.Tensor) else "(height, width, 3)"
        raise InvalidArgument(where, form, _kind(frame))
    return np.ascontiguousarray(np.broadcast_to(_levels(values, where), (*values.shape[:2], 3)))


def _levels(values: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Bytes as they are, and floats in [0, 1] as the nearest byte."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind != "f":
        raise InvalidArgument(where, "uint8 in [0, 255] or floats in [0, 1]", str(values.dtype))
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low + high):
        raise NotFinite(where, "numbers in [0, 1]", "a NaN or an infinity")
    if low < -SLACK or high > 1 + SLACK:
        raise InvalidArgument(where, "floats in [0, 1]", f"{low:.4g} to {high:.4g}")
    return (values.clip(0, 1).astype(np.float32) * 255).round().astype(np.uint8)


def _kind(found: Any) -> str:
    shape = getattr(found, "shape", None)
    return f"{type(found).__name__}{f' of shape {tuple(shape)}' if shape is not None else ''}"
