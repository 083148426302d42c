"""The recipes by name, in the order in which they build on each other."""

from __future__ import annotations

from collections.abc import Callable

from training.recipes import (
    clip,
    controlnet,
    diffusion,
    helios,
    helios_distilled,
    inversion,
    ip_adapter,
    kandinsky,
    lora,
    movq,
    prior,
    vae,
    wan,
    wan_decoder,
)
from training.studio import Studio

RECIPES: dict[str, Callable[[Studio], None]] = {
    "clip": clip.make,
    "vae": vae.make,
    "diffusion": diffusion.make,
    "controlnet": controlnet.make,
    "lora": lora.make,
    "inversion": inversion.make,
    "ip_adapter": ip_adapter.make,
    "movq": movq.make,
    "prior": prior.make,
    "kandinsky": kandinsky.make,
    "wan": wan.make,
    "wan_decoder": wan_decoder.make,
    "helios": helios.make,
    "helios_distilled": helios_distilled.make,
}
