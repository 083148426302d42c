"""Pictures on their way into a network and out of it again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps
from torch.nn import functional as F

from calotype.core.config import ConfigMixin, register_to_config
from calotype.core.errors import CorruptFile, InvalidArgument, NotFinite, WrongType
from calotype.ops.pictures import (
    WIDE_MODES,
    array_to_pil,
    array_to_tensor,
    pil_to_array,
    plain,
    tensor_to_array,
    upright,
)

logger = logging.getLogger("calotype.generation.images")

Picture = Image.Image | NDArray[Any] | torch.Tensor
PipelineImageInput = Picture | list[Image.Image] | list[NDArray[Any]] | list[torch.Tensor]
Box = tuple[int, int, int, int]

RESAMPLINGS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "linear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
LONGEST_SIDE = 16_384  # pixels
RESIZE_MODES = ("default", "fill", "crop")
OUTPUT_TYPES = ("pil", "np", "pt", "latent")


class VaeImageProcessor(ConfigMixin):
    """Turns pictures of any kind into the tensor a VAE reads, and what it decodes into pictures."""

    numpy_to_pil = staticmethod(array_to_pil)
    pil_to_numpy = staticmethod(pil_to_array)
    numpy_to_pt = staticmethod(array_to_tensor)
    pt_to_numpy = staticmethod(tensor_to_array)

    @register_to_config
    def __init__(
        self,
        do_resize: bool = True,
        vae_scale_factor: int = 8,
        vae_latent_channels: int = 4,
        resample: str = "lanczos",
        reducing_gap: int | None = None,
        do_normalize: bool = True,
        do_binarize: bool = False,
        do_convert_rgb: bool = False,
        do_convert_grayscale: bool = False,
    ) -> None:
        if do_convert_rgb and do_convert_grayscale:
            raise InvalidArgument("do_convert_rgb, do_convert_grayscale", "at most one of them", "both")
        if resample not in RESAMPLINGS:
            raise InvalidArgument("resample", f"one of {', '.join(RESAMPLINGS)}", repr(resample))

    # ------------------------------------------------------------------ in

    def preprocess(
        self,
        image: PipelineImageInput | None,
        height: int | None = None,
        width: int | None = None,
        resize_mode: str = "default",
        crops_coords: Box | None = None,
        name: str = "image",
        batch: int | None = None,
    ) -> torch.Tensor:
        """The tensor (batch, channel, height, width) of one picture or of a list of one kind; latents pass through.

        With ``batch``, what cannot be spread over so many is refused.
        """
        tensor = self._preprocess(listed(image, name), height, width, resize_mode, crops_coords, name)
        if batch is not None and batch % len(tensor):
            raise InvalidArgument(name, f"1 picture, or a number that divides the batch of {batch}", f"{len(tensor)}")
        return tensor

    def _preprocess(
        self, pictures: Sequence[Any], height: int | None, width: int | None, mode: str, box: Box | None, name: str
    ) -> torch.Tensor:
        if isinstance(pictures[0], Image.Image):
            tensor = self._from_pil(pictures, height, width, mode, box, name)
        else:
            tensor = self._from_values(pictures, name)
            if not self.config.do_convert_grayscale and tensor.shape[1] == self.config.vae_latent_channels:
                return tensor
            tensor = in_unit_range(tensor, name)
            self._check_channels(tensor, name)
            height, width = self.get_default_height_width(tensor, height, width)
            if self.config.do_resize:
                tensor = F.interpolate(tensor, size=(height, width))
        if self.config.do_normalize and tensor.min() >= 0:
            tensor = self.normalize(tensor)
        return self.binarize(tensor) if self.config.do_binarize else tensor

    def _from_pil(
        self, pictures: Sequence[Any], height: int | None, width: int | None, mode: str, box: Box | None, name: str
    ) -> torch.Tensor:
        images: list[Image.Image] = [loaded(picture, f"{name}[{i}]") for i, picture in enumerate(pictures)]
        if (height is None or width is None) and box is None:
            check_one_size(images, name)
        grey = (
            self.config.do_convert_grayscale
        )  # a mask is resized in its own colours and made grey after, as the peer does
        images = [upright(image) if grey else self.convert_to_rgb(image) for image in images]
        if box is not None:
            images = [image.crop(box) for image in images]
        if self.config.do_resize:
            height, width = self.get_default_height_width(images[0], height, width)
            images = [self.resize(image, height, width, mode) for image in images]
        images = [self.convert_to_grayscale(image) for image in images] if grey else images
        return array_to_tensor(pil_to_array(images))

    def _from_values(self, pictures: Sequence[Any], name: str) -> torch.Tensor:
        """Arrays or tensors as one float batch; integers are bytes, and what is not finite is refused."""
        grey = self.config.do_convert_grayscale
        tensors = [as_tensor(picture, grey) for picture in pictures]
        shapes = {tuple(tensor.shape[1:]) for tensor in tensors}
        if len(shapes) > 1:
            raise InvalidArgument(name, "pictures of one shape", " and ".join(map(str, sorted(shapes))))
        tensor = torch.cat(tensors)
        if not torch.isfinite(tensor).all():
            raise NotFinite(name, "finite numbers", "NaN or infinity")
        return tensor

    def _check_channels(self, tensor: torch.Tensor, name: str) -> None:
        wanted = 1 if self.config.do_convert_grayscale else 3
        latents = f" (or latents of {self.config.vae_latent_channels})" if self.config.vae_latent_channels else ""
        if tensor.shape[1] != wanted:
            raise InvalidArgument(
                name,
                f"{wanted} channels{latents}",
                f"shape {tuple(tensor.shape)}, {tensor.shape[1]} channels",
                "tensors are (batch, channel, height, width), arrays (batch, height, width, channel)",
            )

    def get_default_height_width(
        self, image: Any, height: int | None = None, width: int | None = None
    ) -> tuple[int, int]:
        """The size to work at: as asked, else the picture's own, rounded down to what the VAE's factor divides."""
        if isinstance(image, Image.Image):
            own: Sequence[int] = (image.height, image.width)
        else:
            own = image.shape[-2:] if isinstance(image, torch.Tensor) else image.shape[1:3]
        factor: int = self.config.vae_scale_factor
        high, wide = (size if asked is None else asked for asked, size in zip((height, width), own, strict=True))
        if min(high, wide) < factor or max(high, wide) > LONGEST_SIDE:
            raise InvalidArgument(
                "image", f"{factor} to {LONGEST_SIDE} pixels in height and width", f"{own[1]}x{own[0]}"
            )
        if high % factor or wide % factor:
            logger.warning(
                "sizes are multiples of %d: %dx%d becomes %dx%d",
                factor,
                wide,
                high,
                wide - wide % factor,
                high - high % factor,
            )
        return high - high % factor, wide - wide % factor

    def resize(self, image: Any, height: int, width: int, resize_mode: str = "default") -> Any:
        """The picture at this size: stretched, or scaled whole into it ("fill"), or scaled over it ("crop")."""
        if resize_mode not in RESIZE_MODES:
            raise InvalidArgument("resize_mode", f"one of {', '.join(RESIZE_MODES)}", repr(resize_mode))
        if isinstance(image, torch.Tensor):
            return F.interpolate(image, size=(height, width))
        if not isinstance(image, Image.Image):
            return tensor_to_array(F.interpolate(array_to_tensor(image), size=(height, width)))
        if resize_mode == "default":
            resampling = RESAMPLINGS[self.config.resample]
            return image.resize((width, height), resample=resampling, reducing_gap=self.config.reducing_gap)
        return cover(image, width, height) if resize_mode == "crop" else contain(image, width, height)

    # ------------------------------------------------------------------ out

    def postprocess(
        self, image: torch.Tensor, output_type: str = "pil", do_denormalize: list[bool] | None = None
    ) -> Any:
        """What a VAE decoded, in [-1, 1], as tensors ("pt"), arrays ("np") or PIL images ("pil")."""
        if output_type not in OUTPUT_TYPES:
            raise InvalidArgument("output_type", f"one of {', '.join(OUTPUT_TYPES)}", repr(output_type))
        if output_type == "latent":
            return image
        chosen = do_denormalize if do_denormalize is not None else [self.config.do_normalize] * len(image)
        if all(chosen):
            image = self.denormalize(image)
        elif any(chosen):
            image = torch.stack(
                [self.denormalize(each) if yes else each for each, yes in zip(image, chosen, strict=True)]
            )
        if output_type == "pt":
            return image
        array = tensor_to_array(image)
        return array if output_type == "np" else array_to_pil(array)

    def apply_overlay(
        self, mask: Image.Image, init_image: Image.Image, image: Image.Image, crop_coords: Box | None = None
    ) -> Image.Image:
        """The original picture with the new one where the mask is white."""
        size = init_image.size
        if crop_coords is not None:
            left, top, right, bottom = crop_coords
            patch = self.resize(image, height=bottom - top, width=right - left, resize_mode="crop")
            image = Image.new("RGB", size)
            image.paste(patch, (left, top))
        kept = Image.new("RGBa", size)
        kept.paste(init_image.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask.convert("L")))
        return Image.alpha_composite(image.convert("RGBA"), kept.convert("RGBA")).convert("RGB")

    # ------------------------------------------------------------------ small tools, public in the peer

    @staticmethod
    def normalize(images: Any) -> Any:
        return 2.0 * images - 1.0

    @staticmethod
    def denormalize(images: Any) -> Any:
        return (images * 0.5 + 0.5).clamp(0, 1) if isinstance(images, torch.Tensor) else (images * 0.5 + 0.5).clip(0, 1)

    @staticmethod
    def binarize(image: torch.Tensor) -> torch.Tensor:
        return (image >= 0.5).to(image.dtype)

    @staticmethod
    def convert_to_rgb(image: Image.Image) -> Image.Image:
        return plain(image).convert("RGB")

    @staticmethod
    def convert_to_grayscale(image: Image.Image) -> Image.Image:
        """Grey levels of the colours as they stand: what alpha hides still counts, as masks are often drawn so."""
        return (plain(image) if image.mode in WIDE_MODES else image).convert("L")

    @staticmethod
    def blur(image: Image.Image, blur_factor: int = 4) -> Image.Image:
        return image.filter(ImageFilter.GaussianBlur(blur_factor))

    @staticmethod
    def get_crop_region(mask_image: Image.Image, width: int, height: int, pad: int = 0) -> Box:
        """The box (left, top, right, bottom) around the mask's white, padded, widened to the ratio asked for."""
        mask = mask_image.convert("L")
        found = mask.getbbox() or (0, 0, 0, 0)
        left, top = max(found[0] - pad, 0), max(found[1] - pad, 0)
        right, bottom = min(found[2] + pad, mask.width), min(found[3] + pad, mask.height)
        if (right - left) / max(bottom - top, 1) > width / height:
            top, bottom = widened(top, bottom, int((right - left) / (width / height)), mask.height)
        else:
            left, right = widened(left, right, int((bottom - top) * (width / height)), mask.width)
        return left, top, right, bottom


def listed(image: Any, name: str) -> Sequence[Any]:
    """One picture or a list of them, as a non-empty list of one kind."""
    pictures = list(image) if isinstance(image, (list, tuple)) else [image]
    if not pictures:
        raise InvalidArgument(name, "at least one picture", "an empty list")
    kinds = (Image.Image, np.ndarray, torch.Tensor)
    kind = next((kind for kind in kinds if isinstance(pictures[0], kind)), None)
    for i, picture in enumerate(pictures):
        if kind is None or not isinstance(picture, kind):
            where = f"{name}[{i}]" if len(pictures) > 1 else name
            wanted = (
                f"a {kind.__name__} like the first"
                if kind and i
                else "a PIL image, an array or a tensor, or a list of one kind"
            )
            raise WrongType(where, wanted, type(picture).__name__)
    return pictures


def check_one_size(images: Sequence[Any], name: str) -> None:
    """PIL images are of the size of the first; arrays and tensors are held to one shape where they are read."""
    for i, image in enumerate(images):
        if isinstance(image, Image.Image) and image.size != images[0].size:
            told, found = (f"{width}x{height}" for width, height in (images[0].size, image.size))
            raise InvalidArgument(f"{name}[{i}]", f"the size of the first, {told}", found)


def loaded(image: Image.Image, name: str) -> Image.Image:
    """The PIL image with its pixels read: a file that is cut short says so here."""
    if not image.width or not image.height:
        raise InvalidArgument(name, "a picture with pixels", f"size {image.width}x{image.height}")
    try:
        image.load()
    except (OSError, SyntaxError, ValueError) as fault:
        raise CorruptFile(name, "a whole picture", f"a damaged one ({fault})") from fault
    if getattr(image, "n_frames", 1) > 1:
        logger.warning("%s has %d frames: the current one is used", name, getattr(image, "n_frames", 1))
    return image


def as_tensor(picture: Any, grey: bool) -> torch.Tensor:
    """One array or tensor as floats (batch, channel, height, width); integers count 255 as one."""
    tensor = picture if isinstance(picture, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(picture))
    if tensor.ndim not in (2, 3, 4) or not tensor.numel():
        raise InvalidArgument("image", "2, 3 or 4 dimensions, none empty", f"shape {tuple(tensor.shape)}")
    if not isinstance(picture, torch.Tensor):
        # arrays put their channels last; a grey one may leave them out
        tensor = (
            tensor[..., None] if tensor.ndim == 2 or (grey and tensor.ndim == 3 and tensor.shape[-1] != 1) else tensor
        )
        tensor = over_white(tensor).movedim(-1, -3)
    elif tensor.ndim == 2 or (grey and tensor.ndim == 3):
        tensor = tensor.unsqueeze(-3)
    tensor = tensor if tensor.ndim == 4 else tensor[None]
    if tensor.dtype == torch.bool:
        return tensor.float()
    return tensor if tensor.is_floating_point() else tensor.float() / 255


def over_white(tensor: torch.Tensor) -> torch.Tensor:
    """Colours of an array (..., height, width, channel), laid over white where it has a fourth channel, alpha."""
    if tensor.shape[-1] != 4:
        return tensor
    largest = 1.0 if tensor.is_floating_point() else 255.0
    alpha = tensor[..., 3:] / largest
    return (tensor[..., :3] / largest) * alpha + (1 - alpha)


def in_unit_range(tensor: torch.Tensor, name: str) -> torch.Tensor:
    """The same floats, if they lie in [0, 1] or in [-1, 1]."""
    low, high = float(tensor.min()), float(tensor.max())
    if low < -1.001 or high > 1.001:
        raise InvalidArgument(name, "floats in [0, 1] or [-1, 1], or bytes", f"floats from {low:g} to {high:g}")
    return tensor


def widened(low: int, high: int, wanted: int, limit: int) -> tuple[int, int]:
    """The interval grown to the wanted length around its middle, then pushed back inside [0, limit]."""
    low -= (wanted - (high - low)) // 2
    high = low + wanted
    if high >= limit:
        low, high = low - (high - limit), limit
    if low < 0:
        low, high = 0, high - low
    return low, min(high, limit)


def scaled(image: Image.Image, width: int, height: int, cover: bool) -> Image.Image:
    """The picture at its own ratio, just inside the box, or just over it."""
    tall = width * image.height < image.width * height  # the box is taller than the picture
    by_width = tall != cover
    size = (width, image.height * width // image.width) if by_width else (image.width * height // image.height, height)
    return image.resize(size, resample=Image.Resampling.LANCZOS)


def centred(image: Image.Image, width: int, height: int) -> Image.Image:
    canvas = Image.new("RGB", (width, height))
    canvas.paste(image, (width // 2 - image.width // 2, height // 2 - image.height // 2))
    return canvas


def cover(image: Image.Image, width: int, height: int) -> Image.Image:
    """The middle of the picture, filling the box."""
    return centred(scaled(image, width, height, cover=True), width, height)


def contain(image: Image.Image, width: int, height: int) -> Image.Image:
    """The whole picture in the middle of the box, its outermost pixels drawn out to the edges."""
    inner = scaled(image, width, height, cover=False)
    canvas = centred(inner, width, height)
    above, beside = height // 2 - inner.height // 2, width // 2 - inner.width // 2
    if above > 0:
        edge = (width, above)
        canvas.paste(inner.resize(edge, box=(0, 0, width, 0)), (0, 0))
        canvas.paste(inner.resize(edge, box=(0, inner.height, width, inner.height)), (0, above + inner.height))
    elif beside > 0:
        edge = (beside, height)
        canvas.paste(inner.resize(edge, box=(0, 0, 0, height)), (0, 0))
        canvas.paste(inner.resize(edge, box=(inner.width, 0, inner.width, height)), (beside + inner.width, 0))
    return canvas
