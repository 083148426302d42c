"""The LoRAs that FaceID adapters bring: they come with the adapter, count beside all others, and go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calotype.adapters.changes import Change
from calotype.adapters.choices import Choice
from calotype.adapters.ip_adapter_files import ImageAdapterFile
from calotype.adapters.lora_changes import changes_of
from calotype.adapters.lora_files import checked
from calotype.adapters.lora_sets import Loras
from calotype.core.errors import IncompatibleWeights, InvalidArgument
from calotype.models.layers.image_words import IPAdapterFaceIDImageProjection

Faces = Mapping[str, Mapping[str, Change]]  # by the LoRA's name, the changes of layers


def faces_of(files: Sequence[ImageAdapterFile], unet: Any) -> Faces:
    """The LoRAs of these files for the UNet, whose attention layers the files number from 0."""
    names, found = list(unet.attention_layers()), dict[str, Mapping[str, Change]]()
    for i, file in enumerate(files):
        if not file.loras:
            continue
        spelled: dict[str, Any] = {}
        for key, tensor in file.loras.items():
            number, _, rest = key.partition(".")
            if not number.isdecimal() or int(number) >= len(names):
                expected = f"LoRAs of attention layers 0 to {len(names) - 1}"
                raise IncompatibleWeights(f"{file.where}, ip_adapter", expected, repr(key))
            spelled[f"unet.{names[int(number)]}.processor.{rest}"] = tensor
        found[f"faceid_{i}"] = changes_of(checked(file.where, spelled, {}), {"unet": unet})["unet"]
    return found


def known_faces(loras: Loras, projections: Sequence[Any]) -> list[str]:
    """The LoRAs that came with the adapters that are loaded."""
    faces = [f"faceid_{i}" for i, p in enumerate(projections) if isinstance(p, IPAdapterFaceIDImageProjection)]
    return [name for name in faces if name in loras.names]


def check_free(loras: Loras, fresh: Faces, known: Sequence[str]) -> None:
    """The names of fresh LoRAs are not those of others, and what they take the place of can be taken out."""
    for name in fresh:
        if name in loras.names and name not in known:
            raise InvalidArgument("load_ip_adapter", f"no LoRA of the name {name!r}", "one", "Delete it first.")
    loras.refuse_fused("load_ip_adapter", known)


def with_faces(loras: Loras, fresh: Faces, known: Sequence[str]) -> Choice:
    """What the UNet wears with fresh LoRAs in the place of those known."""
    loras.forget(known)
    part = loras.parts["unet"]
    for name, changes in fresh.items():
        part.add(name, changes)
    chosen = loras.choose(list(fresh), [1.0] * len(fresh))["unet"].chosen
    return Choice((*part.choice.chosen, *chosen), part.choice.enabled)
