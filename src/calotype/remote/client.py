"""A VAE's work done by an endpoint: latents are sent and pictures come back, or the other way round."""

from __future__ import annotations

import asyncio
import io
import warnings
from typing import TYPE_CHECKING, Any, Literal

from calotype.core.errors import InvalidArgument
from calotype.remote import answers
from calotype.remote.heads import MAX_ELEMENTS, TENSOR, Head, Pairs, bytes_of
from calotype.remote.session import RemoteSession
from calotype.remote.wire import PICTURES, VIDEO, DecodeQuery, EncodeQuery

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from calotype.generation.images import VaeImageProcessor
    from calotype.generation.videos import VideoProcessor

    Processor = VaeImageProcessor | VideoProcessor
    Decoded = Image.Image | list[Image.Image] | list[list[Image.Image]] | bytes | torch.Tensor

Type = Literal["mp4", "pil", "pt"]
MAX_FILM = 1 << 29  # numbers of a film that is sent to be encoded
# which return_type can be made of each output_type
PAIRS = {"mp4": ("mp4",), "pil": ("pil", "pt"), "pt": ("pil", "pt")}


def remote_decode(
    endpoint: str,
    tensor: torch.Tensor,
    processor: Processor | None = None,
    do_scaling: bool | None = True,
    scaling_factor: float | None = None,
    shift_factor: float | None = None,
    output_type: Type = "pil",
    return_type: Type = "pil",
    image_format: Literal["png", "jpg"] = "jpg",
    partial_postprocess: bool = False,
    input_tensor_type: Literal["binary"] = "binary",
    output_tensor_type: Literal["binary"] = "binary",
    height: int | None = None,
    width: int | None = None,
    *,
    timeout: float | tuple[float, float] = (5.0, 120.0),
    retries: int = 3,
    token: str | None = None,
    session: RemoteSession | None = None,
) -> Decoded:
    """The pictures, or the video, that an endpoint's VAE makes of latents."""
    _check_types(input_tensor_type, output_tensor_type)
    _check_pair(output_type, return_type, processor is not None, partial_postprocess)
    head = _head("tensor", tensor)
    own = bool(do_scaling) and scaling_factor is None
    if own:
        told = "`do_scaling` is deprecated: pass `scaling_factor` and `shift_factor`, or do_scaling=False for neither."
        warnings.warn(told, FutureWarning, stacklevel=2)
    factors = (scaling_factor, shift_factor) if do_scaling else (None, None)
    query = DecodeQuery(head, output_type, image_format, bool(partial_postprocess), *factors, own, height, width)
    encoded = output_type == "pil" and processor is None
    accepted = VIDEO if output_type == "mp4" else PICTURES[image_format] if encoded else TENSOR
    asked = answers.Asked(query, encoded)
    headers = {"Content-Type": TENSOR, "Accept": accepted}
    body = _sent(session, timeout, retries, token, endpoint, query.pairs(), bytes_of(tensor), headers, asked)
    if isinstance(body, bytes) or return_type == "pt":
        return body
    return body if encoded else answers.pictures(body, asked, processor)


def remote_encode(
    endpoint: str,
    image: torch.Tensor | Image.Image,
    scaling_factor: float | None = None,
    shift_factor: float | None = None,
    *,
    timeout: float | tuple[float, float] = (5.0, 120.0),
    retries: int = 3,
    token: str | None = None,
    session: RemoteSession | None = None,
) -> torch.Tensor:
    """The latents that an endpoint's VAE makes of a picture."""
    from PIL import Image

    if isinstance(image, Image.Image):
        query, file = EncodeQuery(None, scaling_factor, shift_factor), io.BytesIO()
        image.save(file, format="PNG")
        body, asked = file.getbuffer(), answers.Encoded((1, 3, image.height, image.width))
        headers = {"Accept": "*/*"}
    else:
        head = _head("image", image, MAX_FILM)
        query, body = EncodeQuery(head, scaling_factor, shift_factor), bytes_of(image)
        asked, headers = answers.Encoded(head.shape), {"Accept": "*/*"}
    return _sent(session, timeout, retries, token, endpoint, query.pairs(), body, headers, asked)


async def aremote_decode(endpoint: str, tensor: torch.Tensor, *args: Any, **options: Any) -> Decoded:
    """``remote_decode``, awaited: the event loop goes on while a thread waits for the endpoint."""
    return await asyncio.to_thread(remote_decode, endpoint, tensor, *args, **options)


async def aremote_encode(endpoint: str, image: torch.Tensor | Image.Image, *args: Any, **options: Any) -> torch.Tensor:
    """``remote_encode``, awaited: the event loop goes on while a thread waits for the endpoint."""
    return await asyncio.to_thread(remote_encode, endpoint, image, *args, **options)


def _sent(
    session: RemoteSession | None,
    timeout: float | tuple[float, float],
    retries: int,
    token: str | None,
    endpoint: str,
    pairs: Pairs,
    body: memoryview,
    headers: dict[str, str],
    asked: answers.Asked | answers.Encoded,
) -> Any:
    """What comes back, by the session that is given or one for this request alone."""
    if session is not None:
        return asked.read(session.post(endpoint, pairs, body, headers, asked.limit), endpoint)
    with RemoteSession(token, timeout, retries) as own:
        return asked.read(own.post(endpoint, pairs, body, headers, asked.limit), endpoint)


def _head(name: str, tensor: Any, limit: int = MAX_ELEMENTS) -> Head:
    import torch

    if not isinstance(tensor, torch.Tensor):
        raise InvalidArgument(name, "a torch.Tensor" + " or a PIL image" * (name == "image"), type(tensor).__name__)
    return Head.of(tensor, limit)


def _check_types(sent: str, returned: str) -> None:
    for name, told in (("input_tensor_type", sent), ("output_tensor_type", returned)):
        if told != "binary":
            raise InvalidArgument(name, "'binary'", repr(told))


def _check_pair(output_type: str, return_type: str, processed: bool, partial: bool) -> None:
    """Refuse, before anything is sent, what no answer could become."""
    if output_type not in PAIRS:
        raise InvalidArgument("output_type", f"one of {', '.join(PAIRS)}", repr(output_type))
    made = PAIRS[output_type]
    if return_type not in made:
        wanted = f"{' or '.join(map(repr, made))} with output_type={output_type!r}"
        raise InvalidArgument("return_type", wanted, repr(return_type))
    if (output_type, return_type) == ("pil", "pt") and not processed:
        fix = "Use output_type='pt' for a tensor of a picture."
        raise InvalidArgument("processor", "one, as the endpoint else answers with a picture file", "None", fix)
    if (output_type, return_type) == ("pt", "pil") and not processed and not partial:
        fix = "Or pass partial_postprocess=True."
        raise InvalidArgument("processor", "a VaeImageProcessor or a VideoProcessor", "None", fix)
