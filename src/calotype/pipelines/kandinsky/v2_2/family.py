"""The decoders of Kandinsky 2.2: their components, and how the UNet is told of a picture."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from calotype.core.config import register_to_config
from calotype.core.pipeline import DiffusionPipeline
from calotype.generation.latents import spread
from calotype.generation.state import State, Told
from calotype.pipelines.kandinsky.decoder import KandinskyDecoder
from calotype.pipelines.switches import Switches


class KandinskyV22(KandinskyDecoder, DiffusionPipeline, Switches):
    """A UNet that reads the embeds of a picture, or these and a hint, and a MoVQ."""

    model_cpu_offload_seq = "unet->movq"
    _callback_tensor_inputs: ClassVar[list[str]] = ["latents", "image_embeds", "negative_image_embeds"]

    @register_to_config
    def __init__(self, unet: Any, scheduler: Any, movq: Any) -> None:
        self.take(unet=unet, scheduler=scheduler, movq=movq)

    def condition(self, embeds: tuple[torch.Tensor, torch.Tensor | None], copies: int) -> Told:
        """What the UNet is told: the embeds, doubled for guidance."""
        return Told(self.tell_embeds(embeds, copies), len(embeds[0]) * copies, self.unet.dtype)

    def denoiser_inputs(self, state: State, rows: int) -> dict[str, Any]:
        """What the UNet is called with beside the sample; conditional rows come last, so guidance may end midway."""
        told = {"image_embeds": state["image_embeds"][-rows:]}
        if "embedded_hint" in state:
            hint = state["embedded_hint"]
            told["embedded_hint"] = hint.repeat(rows // len(hint), 1, 1, 1)
        return {"encoder_hidden_states": None, "added_cond_kwargs": told}

    def hints(self, hint: Any, height: int, width: int, batch: int) -> torch.Tensor:
        """A hint (batch, 3, height, width) in [0, 1] for each picture."""
        images = self._images(vae_latent_channels=0, do_normalize=False)
        made = images.preprocess(hint, height, width, name="hint", batch=batch)
        return spread(made.to(self._execution_device, self.unet.dtype), batch)
