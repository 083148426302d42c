"""IP-Adapter (arXiv 2308.06721): pictures as prompts, beside the text; loaded, weighed, and taken away again."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calotype.adapters.ip_adapter_faces import check_free, faces_of, known_faces, with_faces
from calotype.adapters.ip_adapter_files import Told, per_file, read_adapters
from calotype.adapters.ip_adapter_images import SeesPictures
from calotype.adapters.ip_adapter_layers import adapter_of, projections, put_beside, take_away
from calotype.adapters.ip_adapter_scales import scales_of
from calotype.core.errors import InvalidArgument, MissingFile
from calotype.core.files import HUB_NAMES, Source, locate
from calotype.core.offload import ModelOffload, SequentialOffload
from calotype.models.image_processor import CLIPImageProcessor
from calotype.models.vision import CLIPVisionModelWithProjection

log = logging.getLogger("calotype.adapters.ip_adapter")


class IPAdapterMixin(SeesPictures):
    """Pictures as prompts of a pipeline."""

    _brought: tuple[str, ...] = ()  # the components that came with the adapters

    def load_ip_adapter(
        self,
        pretrained_model_name_or_path_or_dict: Told | Sequence[Told],
        subfolder: str | Sequence[str] | None = None,
        weight_name: str | Sequence[str] | None = None,
        image_encoder_folder: str | None = "image_encoder",
        **kwargs: Any,
    ) -> None:
        """Let the UNet look at pictures as these adapters do, and as no others; with them comes the image encoder."""
        told = pretrained_model_name_or_path_or_dict
        files = read_adapters(told, subfolder, weight_name, kwargs)
        adapters, faces = [adapter_of(file, self.unet) for file in files], faces_of(files, self.unet)
        check_free(self._loras, faces, self._faces)
        parts = self._missing_parts(told, per_file("subfolder", subfolder, None)[0], image_encoder_folder, kwargs)
        with self._none_offloaded():
            known = self._faces
            put_beside(self.unet, adapters)
            self._wear({"unet": with_faces(self._loras, faces, known)})
            self.register_modules(**parts)
            self._brought = (*self._brought, *parts)

    def set_ip_adapter_scale(self, scale: Any) -> None:
        """How much pictures count: a number, or numbers of blocks, for all adapters or for each of a list."""
        looking = self._looking
        if not looking:
            raise InvalidArgument("scale", "a loaded IP-Adapter", "none", "Call load_ip_adapter first.")
        scales = scales_of(scale, looking, len(projections(self.unet)))
        if self._image_scales is not None:  # a call chooses for itself alone
            self._image_scales = {processor: scales[name] for name, processor in looking.items()}
            return
        for name, processor in looking.items():
            processor.scale = scales[name]

    def unload_ip_adapter(self) -> None:
        """Forget all adapters, and what came with them; the pipeline is what it was before."""
        if not projections(self.unet):
            return
        loras, known = self._loras, self._faces
        loras.refuse_fused("unload_ip_adapter", known)
        with self._none_offloaded():
            take_away(self.unet)
            loras.forget(known)
            self.register_modules(**dict.fromkeys(self._brought))
            self._brought = ()

    @property
    def _faces(self) -> list[str]:
        return known_faces(self._loras, projections(self.unet))

    @contextmanager
    def _none_offloaded(self) -> Generator[None, None, None]:
        """While networks change they are at home; afterwards they come and go as before, and new ones with them."""
        again: dict[type[Any], Any] = {
            ModelOffload: self.enable_model_cpu_offload,
            SequentialOffload: self.enable_sequential_cpu_offload,
        }
        before = self._offload
        if before is not None and type(before) not in again:
            fix = "Load or unload IP-Adapters before enable_group_offload."
            raise InvalidArgument(
                "load_ip_adapter", "networks that stay, or model or sequential offload", "groups", fix
            )
        self.remove_all_hooks()
        try:
            yield
        finally:
            if before is not None:
                again[type(before)](device=before.device)

    def _missing_parts(
        self, told: Any, subfolder: Any, folder: str | None, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The image encoder and the feature extractor, as far as the pipeline lacks them and the adapter has them."""
        parts: dict[str, Any] = {}
        encoder = self.image_encoder
        if encoder is None:
            found = _encoder_folder(told[0] if isinstance(told, (list, tuple)) else told, subfolder, folder, options)
            if found is None:
                log.info("no image encoder is loaded: ip_adapter_image needs one, ip_adapter_image_embeds does not")
                return {}
            encoder = CLIPVisionModelWithProjection.from_source(found, torch_dtype=self.unet.dtype)
            parts["image_encoder"] = encoder.to(self.unet.device)
        if self.feature_extractor is None:
            side = encoder.config.image_size
            parts["feature_extractor"] = CLIPImageProcessor(size=side, crop_size=side)
        return parts


def _encoder_folder(told: Any, subfolder: str | None, folder: str | None, options: Mapping[str, Any]) -> Source | None:
    """Where the image encoder is: beside the adapter's file, or where a name with slashes says in the repository."""
    if folder is None or isinstance(told, Mapping):
        return None
    if os.path.isfile(told):
        beside = Path(told).parent / folder
        return locate(beside, {})[0] if beside.is_dir() else None
    path = folder if "/" in folder or not subfolder else f"{subfolder}/{folder}"
    hub = {key: value for key, value in options.items() if key in HUB_NAMES}
    found, _ = locate(told, {**hub, "subfolder": path})
    if not found.has("config.json"):
        fix = "Name its folder with image_encoder_folder=..., or None to give ip_adapter_image_embeds to calls."
        raise MissingFile(found.where("config.json"), "the adapter's image encoder", "nothing", fix)
    return found
