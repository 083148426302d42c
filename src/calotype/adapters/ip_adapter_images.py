"""Pictures as prompts: encoded, checked against the adapters that read them, and told to the UNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from calotype.adapters.ip_adapter_kinds import FACE, PATCHES, READS
from calotype.adapters.ip_adapter_layers import looking_layers, projections
from calotype.adapters.wearing import WearsAdapters
from calotype.core.errors import InvalidArgument, NotFinite
from calotype.generation.images import listed, loaded
from calotype.generation.prompts import copied
from calotype.generation.state import Told
from calotype.models.layers.image_attention import IPAdapterAttnProcessor2_0, Scale, listed_masks

IMAGE, EMBEDS, MASKS = "ip_adapter_image", "ip_adapter_image_embeds", "cross_attention_kwargs['ip_adapter_masks']"
Pair = tuple[Tensor | None, Tensor]  # what to steer away from and towards, each (prompts, pictures, ...)


class SeesPictures(WearsAdapters):
    """A pipeline whose UNet may look at pictures beside the text."""

    unet: Any
    image_encoder: Any
    feature_extractor: Any
    _image_scales: Mapping[nn.Module, Sequence[Scale]] | None = None  # of a call: those that it began with

    def for_one_call(self) -> Any:
        call = super().for_one_call()
        if projections(self.unet):
            call._image_scales = {processor: tuple(processor.scale) for processor in self._looking.values()}
        return call

    @property
    def _looking(self) -> dict[str, IPAdapterAttnProcessor2_0]:
        """What runs each layer that looks at pictures, by the layer's name."""
        layers = {name: layer.processor for name, layer in looking_layers(self.unet).items()}
        return {name: found for name, found in layers.items() if isinstance(found, IPAdapterAttnProcessor2_0)}

    # ------------------------------------------------------------------ encoded

    def encode_image(
        self,
        image: Any,
        device: torch.device | None,
        num_images_per_prompt: int,
        output_hidden_states: bool | None = None,
    ) -> tuple[Tensor, Tensor]:
        """What the image encoder sees in pictures, and what stands for no picture: vectors, or states of patches."""
        device = torch.device(device) if device is not None else self._execution_device
        if not isinstance(image, Tensor):
            image = self.feature_extractor(image, return_tensors="pt").pixel_values
        image = image.to(device, next(self.image_encoder.parameters()).dtype)
        if not output_hidden_states:
            seen = copied(self.image_encoder(image).image_embeds, num_images_per_prompt)
            return seen, torch.zeros_like(seen)
        towards, away = (
            self.image_encoder(pixels, output_hidden_states=True).hidden_states[-2]
            for pixels in (image, torch.zeros_like(image))
        )
        return copied(towards, num_images_per_prompt), copied(away, num_images_per_prompt)

    def prepare_ip_adapter_image_embeds(
        self,
        ip_adapter_image: Any,
        ip_adapter_image_embeds: list[Tensor] | None,
        device: torch.device | None,
        num_images_per_prompt: int,
        do_classifier_free_guidance: bool,
    ) -> list[Tensor]:
        """What each adapter is told (rows, pictures, ...); for guidance, rows to steer away from come first."""
        device = torch.device(device) if device is not None else self._execution_device
        readers = projections(self.unet)
        if ip_adapter_image_embeds is None:
            given, what = _listed(ip_adapter_image), IMAGE
        else:
            given, what = ip_adapter_image_embeds, EMBEDS
        if not isinstance(given, (list, tuple)) or len(given) != len(readers):
            found = str(len(given)) if isinstance(given, (list, tuple)) else type(given).__name__
            raise InvalidArgument(what, f"a list of {len(readers)}, one for each IP-Adapter", found)
        prepared: list[Tensor] = []
        for i, (one, reader) in enumerate(zip(given, readers, strict=True)):
            where = f"{what}[{i}]"
            if what == IMAGE:
                away, towards = self._seen(where, one, READS[type(reader)], device)
            else:
                away, towards = _split(where, one, reader, do_classifier_free_guidance)
            halves = (away, towards) if do_classifier_free_guidance and away is not None else (towards,)
            prepared.append(torch.cat([copied(half, num_images_per_prompt) for half in halves]).to(device))
        return prepared

    def _seen(self, where: str, given: Any, reads: str, device: torch.device) -> Pair:
        """What an adapter's image encoder sees: in pictures for every prompt, or in a list of them for each."""
        if reads == FACE:
            fix = f"Give what a face recogniser makes of it as {EMBEDS}."
            raise InvalidArgument(where, f"nothing: the adapter reads {FACE}", "a picture", fix)
        for name in ("image_encoder", "feature_extractor"):
            if getattr(self, name, None) is None:
                fix = f"Load the adapter with image_encoder_folder=..., or pass {EMBEDS} in its place."
                raise InvalidArgument(where, f"a pipeline with its {name}", "none", fix)
        told_apart = isinstance(given, (list, tuple)) and given and isinstance(given[0], (list, tuple))
        prompts = list(given) if told_apart else [given]
        if len({len(each) if isinstance(each, (list, tuple)) else 1 for each in prompts}) > 1:
            raise InvalidArgument(where, "as many pictures for each prompt", "different numbers of them")
        pairs = [self.encode_image(_pictures(where, each), device, 1, reads == PATCHES) for each in prompts]
        return torch.stack([away for _, away in pairs]), torch.stack([towards for towards, _ in pairs])

    # ------------------------------------------------------------------ told

    def look(self, told: Told, ip_adapter_image: Any, ip_adapter_image_embeds: Any, copies: int) -> Told:
        """What is told, and of pictures a tensor for each adapter; the same where there is none."""
        given = [name for name, v in ((IMAGE, ip_adapter_image), (EMBEDS, ip_adapter_image_embeds)) if v is not None]
        readers = projections(self.unet)
        if not readers:
            if given:
                raise InvalidArgument(
                    given[0], "nothing, as no IP-Adapter is loaded", "one", "Call load_ip_adapter first."
                )
            return told
        if len(given) != 1:
            fix = "" if given else "Or call unload_ip_adapter()."
            raise InvalidArgument(
                f"{IMAGE}, {EMBEDS}", "one of the two, as an IP-Adapter is loaded", "both" if given else "neither", fix
            )
        guided: bool = self.do_classifier_free_guidance  # pyright: ignore[reportAttributeAccessIssue]
        embeds = self.prepare_ip_adapter_image_embeds(
            ip_adapter_image, ip_adapter_image_embeds, self._execution_device, 1, guided
        )
        seen: dict[str, Tensor] = {}
        for i, each in enumerate(embeds):
            halves = each.chunk(2) if guided else (each,)
            spread = [copied(_for_all(f"{given[0]}[{i}]", half, told.batch // copies), copies) for half in halves]
            seen[f"image_embeds.{i}"] = torch.cat(spread).to(self.unet.dtype)
        options: Mapping[str, Any] = self.cross_attention_kwargs or {}  # pyright: ignore[reportAttributeAccessIssue]
        self._check_masks(options.get("ip_adapter_masks"), [each.shape[1] for each in embeds])
        return told.also(**seen)

    def pictured(self, inputs: dict[str, Any], state: Mapping[str, Tensor], rows: int) -> dict[str, Any]:
        """The denoiser's inputs with what the state holds of pictures."""
        embeds = [tensor[-rows:] for name, tensor in state.items() if name.startswith("image_embeds.")]
        if not embeds:
            return inputs
        added = {**(inputs.get("added_cond_kwargs") or {}), "image_embeds": embeds}
        options = {**(inputs.get("cross_attention_kwargs") or {}), "image_scales": self._image_scales}
        return {**inputs, "added_cond_kwargs": added, "cross_attention_kwargs": options}

    # ------------------------------------------------------------------ checked

    def _check_masks(self, masks: Any, pictures: Sequence[int]) -> None:
        """Each picture of an adapter has a mask, or none has; where they have, each may have a scale."""
        each = [None] * len(pictures) if masks is None else masks
        if not isinstance(each, (Tensor, list, tuple)) or len(each) != len(pictures) or _rank(each) not in (None, 4):
            found = f"shape {tuple(each.shape)}" if isinstance(each, Tensor) else type(each).__name__
            found = f"{len(each)}" if isinstance(each, (list, tuple)) else found
            raise InvalidArgument(MASKS, f"a list of {len(pictures)}, one for each IP-Adapter", found)
        for i, (mask, count) in enumerate(zip(listed_masks(each, len(pictures)), pictures, strict=True)):
            if mask is not None and (_rank(mask) != 4 or mask.shape[:2] != (1, count)):
                found = f"shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
                raise InvalidArgument(f"{MASKS}[{i}]", f"a tensor (1, {count}, height, width)", found)
            if mask is not None and not torch.isfinite(mask).all():
                raise NotFinite(f"{MASKS}[{i}]", "finite numbers", "NaN or infinity")
            for scale in (layer[i] for layer in (self._image_scales or {}).values()):
                if isinstance(scale, Sequence) and (mask is None or len(scale) != count):
                    expected = (
                        f"{count} scales, one for each picture of the adapter" if mask is not None else "a number"
                    )
                    fix = "" if mask is not None else "Scales for each picture need a mask for each."
                    raise InvalidArgument(f"scale of IP-Adapter {i}", expected, f"{len(scale)} scales", fix)


def _rank(value: Any) -> int | None:
    return value.ndim if isinstance(value, Tensor) else None


def _pictures(where: str, given: Any) -> Any:
    """Pictures that can be looked at; a tensor is what the image encoder reads already."""
    if isinstance(given, Tensor):
        return given
    return [loaded(one, where) if isinstance(one, Image.Image) else one for one in listed(given, where)]


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _split(where: str, embeds: Any, reader: nn.Module, guided: bool) -> Pair:
    """Embeddings that were made before (rows, pictures, ...), for guidance with as many rows for no picture first."""
    reads = READS[type(reader)]
    ranks, shape = (
        ((4,), "(rows, pictures, patches, width)") if reads == PATCHES else ((3, 4), "(rows, pictures, width)")
    )
    if not isinstance(embeds, Tensor) or not embeds.is_floating_point():
        raise InvalidArgument(where, f"a tensor {shape} of floats", type(embeds).__name__)
    width = next(layer.in_features for layer in reader.modules() if isinstance(layer, nn.Linear))
    if embeds.ndim not in ranks or not embeds.numel() or embeds.shape[-1] != width:
        raise InvalidArgument(where, f"{shape} of width {width}", f"shape {tuple(embeds.shape)}")
    if not torch.isfinite(embeds).all():
        raise NotFinite(where, "finite numbers", "NaN or infinity")
    if reads != PATCHES and embeds.ndim == 4:  # face recognisers keep a place for faces of a picture
        embeds = embeds.flatten(1, 2)
    if not guided:
        return None, embeds
    if len(embeds) % 2:
        raise InvalidArgument(
            where, "two halves, for no picture and for a picture, as guidance is on", f"{len(embeds)} rows"
        )
    away, towards = embeds.chunk(2)
    return away, towards


def _for_all(where: str, embeds: Tensor, prompts: int) -> Tensor:
    """Embeddings for each prompt: its own, or the same for all."""
    if len(embeds) not in (1, prompts):
        raise InvalidArgument(where, f"pictures for all prompts, or for each of the {prompts}", f"for {len(embeds)}")
    return embeds.expand(prompts, *embeds.shape[1:])
