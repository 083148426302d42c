"""An IP-Adapter beside a UNet: put there and taken away, the UNet's own layers staying as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from calotype.adapters.ip_adapter_files import ImageAdapterFile
from calotype.adapters.ip_adapter_kinds import projection
from calotype.adapters.lora_files import WIDTHS
from calotype.core.errors import IncompatibleWeights, InvalidArgument
from calotype.models.layers.attention import Attention
from calotype.models.layers.image_attention import IPAdapterAttnProcessor2_0
from calotype.models.layers.image_words import MultiIPAdapterImageProjection
from calotype.models.layers.processors import Processor

WHOLE_PICTURE = 257  # words of an adapter that makes one of every patch


class ImageAdapter(nn.Module):
    """What one adapter is: a projection, and keys and values for each layer that looks at the words it makes."""

    def __init__(self, projection: nn.Module, keys: Sequence[Tensor], values: Sequence[Tensor]) -> None:
        super().__init__()
        self.projection = projection
        self.keys, self.values = nn.ParameterList(keys), nn.ParameterList(values)

    @property
    def words(self) -> int:
        latents = getattr(self.projection, "latents", None)
        return latents.shape[1] if latents is not None else getattr(self.projection, "words", WHOLE_PICTURE)


def looking_layers(unet: nn.Module) -> dict[str, Attention]:
    """The layers of a UNet that read the text, by name; files number them in this order: 1, 3, 5, ..."""
    named = unet.named_modules()
    return {name: layer for name, layer in named if isinstance(layer, Attention) and name.endswith(".attn2")}


def adapter_of(file: ImageAdapterFile, unet: Any) -> ImageAdapter:
    """The adapter of a file, if all of it fits this UNet."""
    layers = list(looking_layers(unet).values())
    wanted = {f"{2 * i + 1}.to_{role}_ip.weight": layer for i, layer in enumerate(layers) for role in "kv"}
    _check_family(file, wanted)
    foreign = sorted(file.ip_adapter.keys() - wanted.keys())
    missing = sorted(wanted.keys() - file.ip_adapter.keys(), key=lambda key: int(key.partition(".")[0]))
    for word, names in (("missing", missing), ("unknown", foreign)):
        if names:
            found = f"{len(names)} {word}: {', '.join(names[:3])}"
            raise IncompatibleWeights(f"{file.where}, ip_adapter", f"the {len(wanted)} keys of this UNet", found)
    for key, layer in wanted.items():
        assert layer.to_k is not None
        if file.ip_adapter[key].shape != layer.to_k.weight.shape:
            expected, found = (tuple(t.shape) for t in (layer.to_k.weight, file.ip_adapter[key]))
            raise IncompatibleWeights(f"{file.where}, ip_adapter.{key}", f"shape {expected}", f"shape {found}")
    width = next(iter(wanted.values())).to_k.weight.shape[1]  # pyright: ignore[reportOptionalMemberAccess]
    keys, values = ([file.ip_adapter[key] for key in wanted if f"_{role}_" in key] for role in "kv")
    made = ImageAdapter(projection(file, width), keys, values)
    return made.requires_grad_(False).to(unet.device, unet.dtype)


def _check_family(file: ImageAdapterFile, wanted: dict[str, Attention]) -> None:
    """The words that the adapter makes are as wide as those that the UNet reads."""
    key = next((key for key in file.ip_adapter if key.endswith("to_k_ip.weight")), None)
    if key is None or file.ip_adapter[key].ndim != 2:
        raise IncompatibleWeights(f"{file.where}, ip_adapter", "keys such as '1.to_k_ip.weight'", "none")
    layer = next(iter(wanted.values()), None)
    if layer is None or layer.to_k is None:
        raise IncompatibleWeights(file.where, "a UNet whose layers read a text", "one without such layers")
    width, reads = file.ip_adapter[key].shape[1], layer.to_k.weight.shape[1]
    if width != reads:
        fix = f"It looks like one for {WIDTHS[width]}." if width in WIDTHS else ""
        raise IncompatibleWeights(file.where, f"an adapter for words of width {reads}", f"width {width}", fix)


def put_beside(unet: Any, adapters: Sequence[ImageAdapter]) -> None:
    """Let a UNet look at the pictures of these adapters, and of no others."""
    kind = unet.config.encoder_hid_dim_type
    if kind not in (None, "ip_image_proj"):
        raise IncompatibleWeights("unet", "one that reads the text as it is", f"encoder_hid_dim_type={kind!r}")
    layers = looking_layers(unet)
    for name, layer in layers.items():
        if not isinstance(layer.processor, (Processor, IPAdapterAttnProcessor2_0)):
            fix = "Call unet.set_default_attn_processor() first."
            raise InvalidArgument(
                f"unet: {name}", "an attention processor of ours", type(layer.processor).__name__, fix
            )
    words = tuple(adapter.words for adapter in adapters)
    for i, layer in enumerate(layers.values()):
        hidden, width = adapters[0].keys[i].shape
        text = layer.processor.text if isinstance(layer.processor, IPAdapterAttnProcessor2_0) else layer.processor
        with torch.device("meta"):
            processor = IPAdapterAttnProcessor2_0(hidden, width, words, text=text)
        for adapter, to_k, to_v in zip(adapters, processor.to_k_ip, processor.to_v_ip, strict=True):  # pyright: ignore
            to_k.weight, to_v.weight = adapter.keys[i], adapter.values[i]
        layer.set_processor(processor)
    unet.encoder_hid_proj = MultiIPAdapterImageProjection(adapter.projection for adapter in adapters)
    unet.register_to_config(encoder_hid_dim_type="ip_image_proj")


def take_away(unet: Any) -> None:
    """The UNet as it was without adapters."""
    for layer in looking_layers(unet).values():
        if isinstance(layer.processor, IPAdapterAttnProcessor2_0):
            layer.set_processor(layer.processor.text)
    unet.encoder_hid_proj = None
    unet.register_to_config(encoder_hid_dim_type=None)


def projections(unet: Any) -> list[Any]:
    """What makes words of pictures for this UNet: one module for each adapter."""
    found = getattr(unet, "encoder_hid_proj", None)
    return list(found.image_projection_layers) if isinstance(found, MultiIPAdapterImageProjection) else []
