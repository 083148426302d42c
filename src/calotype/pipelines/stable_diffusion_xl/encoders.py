"""What two text encoders make of texts: states side by side, and one state that stands for the whole."""

from __future__ import annotations

from typing import Any

import torch

from calotype.core.errors import InvalidArgument
from calotype.generation.prompts import check_length, copied, side_by_side
from calotype.pipelines.stable_diffusion_xl.words import logger


class TwoEncoders:
    """Two CLIP text encoders, of which a refiner has the second only."""

    def encode_prompt(
        self: Any,
        prompt: Any,
        prompt_2: Any = None,
        device: torch.device | None = None,
        num_images_per_prompt: int = 1,
        do_classifier_free_guidance: bool = True,
        negative_prompt: Any = None,
        negative_prompt_2: Any = None,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        pooled_prompt_embeds: torch.Tensor | None = None,
        negative_pooled_prompt_embeds: torch.Tensor | None = None,
        lora_scale: float | None = None,
        clip_skip: int | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, torch.Tensor | None]:
        """The states of the prompt and of the negative prompt, then both pooled; one row for each picture."""
        device = torch.device(device) if device is not None else self._execution_device
        dtype = self.text_encoder_2.dtype if self.text_encoder_2 is not None else self.unet.dtype
        positive, pooled = prompt_embeds, pooled_prompt_embeds
        negative, negative_pooled = negative_prompt_embeds, negative_pooled_prompt_embeds
        with self.adapted("text_encoder", "text_encoder_2", scale=lora_scale):
            if positive is None or pooled is None:
                positive, pooled = self.read(prompt, prompt_2, device, skip=clip_skip)
            if do_classifier_free_guidance and (negative is None or negative_pooled is None):
                negative, negative_pooled = self.unwanted(negative_prompt, negative_prompt_2, positive, pooled, device)
                if negative.shape[1] > positive.shape[1]:  # in a syntax, texts may be of any length
                    check_length("negative_prompt", negative, positive, prompt)
                    positive, pooled = self.read(prompt, prompt_2, device, skip=clip_skip, length=negative.shape[1])
        ready = [
            None if states is None else copied(states.to(device, dtype), num_images_per_prompt)
            for states in (positive, negative, pooled, negative_pooled)
        ]
        return tuple(ready)  # pyright: ignore[reportReturnType]

    def unwanted(
        self: Any, first: Any, second: Any, positive: torch.Tensor, pooled: torch.Tensor, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """States and pooled states to steer away from: of the negative prompt, or zeros where there is none."""
        if first is None and second is None and self.config.force_zeros_for_empty_prompt:
            return torch.zeros_like(positive), torch.zeros_like(pooled)
        states, short = self.read(first or "", second, device, length=positive.shape[1])
        return states.expand(len(positive), -1, -1), short.expand(len(positive), -1)

    def read(
        self: Any, first: Any, second: Any, device: torch.device, skip: int | None = None, length: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The encoders' states of the texts side by side, and what the last of them pools."""
        if self.text_encoder_2 is None:
            raise InvalidArgument("prompt", "a text_encoder_2 to read it", "none", "Pass prompt_embeds in its place.")
        if self.text_encoder is None and second is not None:
            logger.warning("prompt_2 is not read: without a first encoder the second reads prompt")
            second = first
        readings = [(self.tokenizer_2, self.text_encoder_2, second or first)]
        if self.text_encoder is not None:
            readings.insert(0, (self.tokenizer, self.text_encoder, first))
        return side_by_side(readings, device, skip, length, self.prompt_syntax)
