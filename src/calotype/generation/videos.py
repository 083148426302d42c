"""Videos on their way into a network and out of it again: pictures, with a place in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from calotype.core.errors import InvalidArgument
from calotype.generation.images import VaeImageProcessor, check_one_size, listed

VIDEO_OUTPUT_TYPES = ("np", "pt", "pil", "uint8")


class VideoProcessor(VaeImageProcessor):
    """Turns videos of any kind into the tensor a video VAE reads, and what it decodes into frames."""

    def preprocess_video(
        self, video: Any, height: int | None = None, width: int | None = None, **kwargs: Any
    ) -> torch.Tensor:
        """The tensor (batch, channel, frame, height, width) of one video or of several of one length."""
        given = [listed(film, "video") for film in _films(video)]
        for film in given:
            check_one_size(film, "video")
        films = [self.preprocess([*film], height, width, name="video", **kwargs) for film in given]
        if len({len(film) for film in films}) > 1:
            raise InvalidArgument(
                "video", "videos of one length", " and ".join(f"{len(film)} frames" for film in films)
            )
        return torch.stack(films).transpose(1, 2)

    def postprocess_video(self, video: torch.Tensor, output_type: str = "np", **kwargs: Any) -> Any:
        """The frames of videos (batch, channel, frame, height, width): an array, a tensor, or lists of images."""
        if output_type not in VIDEO_OUTPUT_TYPES:
            raise InvalidArgument("output_type", f"one of {', '.join(VIDEO_OUTPUT_TYPES)}", repr(output_type))
        if video.ndim != 5:
            raise InvalidArgument("video", "(batch, channel, frame, height, width)", f"shape {tuple(video.shape)}")
        if output_type == "uint8":  # bytes, a quarter of what leaves the device otherwise
            frames = torch.stack([self.postprocess(film, "pt", **kwargs) for film in video.transpose(1, 2)])
            return (frames * 255).round().to(torch.uint8).permute(0, 1, 3, 4, 2).cpu().numpy()
        films = [self.postprocess(film, output_type, **kwargs) for film in video.transpose(1, 2)]
        return films if output_type == "pil" else np.stack(films) if output_type == "np" else torch.stack(films)


def _films(video: Any) -> list[Any]:
    """The videos in what a caller calls one: a picture, frames, a list of either, or a stack."""
    if isinstance(video, (np.ndarray, torch.Tensor)):
        return [*video] if video.ndim == 5 else [video]
    frames = video if isinstance(video, (list, tuple)) else [video]
    if not len(frames):
        raise InvalidArgument("video", "at least one frame", "an empty list")
    first: Any = frames[0]
    several = isinstance(first, (list, tuple)) or (
        not isinstance(first, Image.Image) and getattr(first, "ndim", 3) == 4
    )
    return [*frames] if several else [[*frames]]
