"""What an endpoint answered, believed only as far as it fits what was asked."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calotype.core.errors import InvalidArgument
from calotype.remote.address import place
from calotype.remote.faults import RemoteError
from calotype.remote.heads import Head, tensor_of
from calotype.remote.reading import Answer
from calotype.remote.wire import DecodeQuery

if TYPE_CHECKING:
    import torch
    from PIL import Image

# How much larger than its latents a picture may be: in sides, and in frames.
LARGEST_SCALE, MOST_FRAMES = 32, 8
LATENT_CHANNELS = 128
CHANNELS = (1, 3, 4)
MOST_BYTES = 1 << 31  # of any answer, whatever was asked


@dataclass(frozen=True)
class Asked:
    """A request to decode, and what can come back of it."""

    query: DecodeQuery
    encoded: bool  # as a picture file?

    @property
    def positions(self) -> int:
        """The most pixels, all frames and pictures together, that can come of these latents."""
        shape = self.query.head.shape
        if len(shape) == 3:
            return shape[0] * (self.query.height or 0) * (self.query.width or 0)
        frames = shape[2] * MOST_FRAMES if len(shape) == 5 else 1
        return shape[0] * frames * shape[-2] * shape[-1] * LARGEST_SCALE**2

    @property
    def limit(self) -> int:
        """The most bytes that an answer may measure."""
        return min(self.positions * max(CHANNELS) * 4 + (1 << 16), MOST_BYTES)

    def read(self, answer: Answer, endpoint: str) -> Any:
        """A tensor, a picture, or a file's bytes."""
        if self.query.output_type == "mp4":
            return bytes(answer.body)
        if self.encoded:
            return self._picture(answer.body, endpoint)
        tensor = tensor_in(answer, endpoint, self.positions * max(CHANNELS))
        self._check_shape(tuple(tensor.shape), endpoint)
        return tensor

    @property
    def by_frame(self) -> bool:
        """Does the answer list frames, not pictures? Then a batch's size says nothing."""
        return len(self.query.head.shape) == 5 or (self.query.output_type == "pil" and not self.encoded)

    @property
    def last(self) -> bool:
        """Are channels last in the answer?"""
        return self.query.output_type == "pt" and self.query.partial_postprocess

    def _check_shape(self, shape: tuple[int, ...], endpoint: str) -> None:
        """Refuse a tensor that these latents cannot have become."""
        asked = self.query.head.shape
        whole = f"what latents of {list(asked)} become"
        wanted = (4, 5) if self.by_frame else (4,)
        channels, sides = (shape[-1], shape[-3:-1]) if self.last else (shape[1], shape[-2:])
        fits = len(shape) in wanted and channels in CHANNELS
        fits = fits and (self.by_frame or shape[0] == asked[0]) and self._fits(*sides)
        if not fits:
            raise RemoteError(place(endpoint), whole, f"shape {list(shape)}")

    def _fits(self, height: int, width: int) -> bool:
        """Is this the size of a picture of these latents?"""
        asked = self.query.head.shape
        if len(asked) == 3:
            return (height, width) == (self.query.height, self.query.width)
        high, wide = asked[-2:]
        return height % high == 0 and height * wide == width * high and height <= high * LARGEST_SCALE

    def _picture(self, body: bytearray, endpoint: str) -> Image.Image:
        from PIL import Image

        wanted = f"a {self.query.image_format} picture of the latents' size"
        try:
            picture = Image.open(io.BytesIO(body), formats=("JPEG", "PNG"))
            if not self._fits(picture.height, picture.width):
                raise RemoteError(place(endpoint), wanted, f"one of {picture.width}x{picture.height}")
            picture.load()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as fault:
            raise RemoteError(place(endpoint), wanted, f"{len(body)} bytes that are none") from fault
        return picture


@dataclass(frozen=True)
class Encoded:
    """A request to encode a picture of this shape."""

    shape: tuple[int, ...]

    @property
    def most(self) -> int:
        """The most numbers that latents of it may have."""
        return math.prod(self.shape) // self.shape[-3] * LATENT_CHANNELS

    @property
    def limit(self) -> int:
        return min(self.most * 4, MOST_BYTES)

    def read(self, answer: Answer, endpoint: str) -> torch.Tensor:
        """The latents."""
        tensor = tensor_in(answer, endpoint, self.most)
        shape, pixels = tuple(tensor.shape), self.shape
        batched = len(shape) == 3 or shape[0] == pixels[0] or len(pixels) == 3
        smaller = len(shape) == 3 or (shape[-1] <= pixels[-1] and shape[-2] <= pixels[-2])
        if not (batched and smaller and tensor.is_floating_point()):
            raise RemoteError(place(endpoint), f"latents of a picture of {list(pixels)}", f"{answer_of(tensor)}")
        return tensor


def tensor_in(answer: Answer, endpoint: str, most: int) -> torch.Tensor:
    """The tensor that an answer's headers describe and its body holds, every number of it finite."""
    import torch

    try:
        tensor = tensor_of(Head.told_by(answer.headers, most), answer.body)
    except InvalidArgument as fault:
        raise RemoteError(f"{place(endpoint)}: {fault.where}", fault.expected, fault.found) from fault
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        raise RemoteError(place(endpoint), "finite numbers", "NaN or infinity")
    return tensor


def answer_of(tensor: torch.Tensor) -> str:
    return f"{list(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"


def pictures(tensor: torch.Tensor, asked: Asked, processor: Any) -> Any:
    """PIL images of a tensor: one by itself, more, and the frames of a video, in a list."""
    from calotype.generation.videos import VideoProcessor
    from calotype.ops.pictures import array_to_pil, tensor_to_array

    if asked.last:
        return _alone([_images(each.numpy()) for each in tensor] if tensor.ndim == 5 else _images(tensor.numpy()))
    if asked.query.output_type == "pil":  # partly processed: in [0, 1], frame after frame
        films = tensor.transpose(1, 2) if tensor.ndim == 5 else tensor[None]
        return _alone([array_to_pil(tensor_to_array(film)) for film in films])
    if tensor.ndim == 5:
        video = processor if isinstance(processor, VideoProcessor) else VideoProcessor()
        return _alone(video.postprocess_video(tensor, "pil"))
    return _alone(processor.postprocess(tensor, "pil"))


def _images(levels: Any) -> list[Image.Image]:
    from PIL import Image

    return [Image.fromarray(each.squeeze(-1) if each.shape[-1] == 1 else each) for each in levels]


def _alone(images: list[Any]) -> Any:
    return images[0] if len(images) == 1 else images
