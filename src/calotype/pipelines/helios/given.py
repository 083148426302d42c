"""What a caller gave a film to go on from, at the door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from calotype.core.errors import InvalidArgument
from calotype.generation.checks import check_shape, number
from calotype.pipelines.helios.asked import Film
from calotype.pipelines.helios.beginning import Beginning, Blur, FromFilm, FromPicture
from calotype.pipelines.helios.unused import say_unused

# of two ways to begin, one
ASUNDER = (
    ("image", "video"),
    ("image", "video_latents"),
    ("fake_image_latents", "video"),
    ("fake_image_latents", "video_latents"),
    ("video", "video_latents"),
)
# latents that say too little alone: what has to stand beside them, and what says it all
TOGETHER = (
    ("fake_image_latents", ("image_latents", "image"), "image_latents, of the picture itself"),
    ("video_latents", ("image_latents",), "image_latents, of the first frame of the video"),
    (
        "image_latents",
        ("fake_image_latents", "video_latents", "image", "video"),
        "fake_image_latents, the last of the picture held still for a chunk",
    ),
)
# the arguments that make a blur
BLURRED = {"on": "add_noise_to_{}_latents", "low": "{}_noise_sigma_min", "high": "{}_noise_sigma_max"}


@dataclass(frozen=True)
class Given:
    """A picture or a video, or their latents, and the noise over them."""

    image: Any
    image_latents: torch.Tensor | None
    fake_image_latents: torch.Tensor | None
    image_blur: Blur
    video: Any
    video_latents: torch.Tensor | None
    video_blur: Blur

    def beginning(self, call: Any, film: Film) -> Beginning | None:
        """What the film goes on from, checked and at its size."""
        self._check(film.shape)
        height, width = (side * call.vae_scale_factor_spatial for side in film.shape[2:])
        on_picture, on_video, frames = self.image_blur, self.video_blur, film.length.window
        if self.video is not None or self.video_latents is not None:
            pixels = None if self.video is None else call.video_processor.preprocess_video(self.video, height, width)
            check_length(pixels, frames, film.shape[0])
            blurs = (Blur(on_video.on, on_picture.low, on_picture.high), on_video)
            say_unused("the film begins with a video", add_noise_to_image_latents=not on_picture.on)
            return FromFilm(pixels, self.image_latents, self.video_latents, frames, film.window.chunk, blurs)
        if self.image is not None or self.fake_image_latents is not None:
            processor, films = call.video_processor, film.shape[0]
            pixels = None if self.image is None else processor.preprocess(self.image, height, width, batch=films)
            still = None if pixels is None else pixels[:, :, None]
            blurs = (on_picture, Blur(on_picture.on, on_video.low, on_video.high))
            say_unused("the film begins with an image", add_noise_to_video_latents=not on_video.on)
            return FromPicture(still, self.image_latents, self.fake_image_latents, frames, blurs)
        for kind, blur in (("image", on_picture), ("video", on_video)):
            told = {name.format(kind): getattr(blur, part) != getattr(Blur, part) for part, name in BLURRED.items()}
            say_unused("the film begins with neither image nor video", **told)
        return None

    def _check(self, shape: tuple[int, int, int, int]) -> None:
        there = {name for name, value in vars(self).items() if value is not None}
        for pair in ASUNDER:
            if there.issuperset(pair):
                raise InvalidArgument(", ".join(pair), "one of the two", "both")
        for name, others, missing in TOGETHER:
            if name in there and not there.intersection(others):
                raise InvalidArgument(name, f"{missing}, beside them", "none", f"Or give {name.split('_')[-2]}.")
        for kind, blur in (("image", self.image_blur), ("video", self.video_blur)):
            number(blur.low, 1)(f"{kind}_noise_sigma_max", blur.high)
        films, channels, *sides = shape
        for name in ("image_latents", "fake_image_latents", "video_latents"):
            latents: torch.Tensor | None = getattr(self, name)
            if latents is not None:
                frames = latents.shape[2] if name == "video_latents" and latents.ndim == 5 else 1
                check_shape(name, latents, (films, channels, max(1, frames), *sides), spreads=True)


def check_length(video: torch.Tensor | None, frames: int, films: int) -> None:
    """A video is as long as a chunk at least, and there are as many as serve all films."""
    if video is None:
        return
    if video.shape[2] < frames:
        raise InvalidArgument("video", f"at least {frames} frames, which is one chunk", f"{video.shape[2]}")
    if films % len(video):
        raise InvalidArgument("video", f"one, or a number that divides the {films} films", f"{len(video)}")
