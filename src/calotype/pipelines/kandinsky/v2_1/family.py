"""The decoders of Kandinsky 2.1: how the UNet is told of a picture and of the words for it."""

from __future__ import annotations

from typing import Any

import torch

from calotype.core.pipeline import DiffusionPipeline
from calotype.generation.prompts import copied, tokens
from calotype.generation.state import State, Told
from calotype.pipelines.kandinsky.decoder import KandinskyDecoder
from calotype.pipelines.switches import Switches

READ = 77  # tokens


class Kandinsky21(KandinskyDecoder, DiffusionPipeline, Switches):
    """A multilingual text encoder, a UNet that reads words and the embeds of a picture, and a MoVQ."""

    model_cpu_offload_seq = "text_encoder->unet->movq"

    text_encoder: Any
    tokenizer: Any

    @property
    def embeds_width(self) -> int:
        return self.unet.config.cross_attention_dim

    def condition(
        self,
        words: tuple[list[str], list[str] | None],
        embeds: tuple[torch.Tensor, torch.Tensor | None],
        copies: int,
    ) -> Told:
        """What the UNet is told: words and embeds, doubled for guidance."""
        texts, unwanted = words
        if self.do_classifier_free_guidance:
            texts = (unwanted or [""] * len(texts)) + texts
        device, dtype = self._execution_device, self.unet.dtype
        read = tokens(self.tokenizer, texts, READ)
        whole, states = self.text_encoder(read.input_ids.to(device), read.attention_mask.to(device))
        state = self.tell_embeds(embeds, copies)
        state["prompt_embeds"] = copied(whole.to(dtype), copies)
        state["text_encoder_hidden_states"] = copied(states.to(dtype), copies)
        return Told(state, len(embeds[0]) * copies, dtype)

    def denoiser_inputs(self, state: State, rows: int) -> dict[str, Any]:
        """What the UNet is called with beside the sample; conditional rows come last, so guidance may end midway."""
        told = {"text_embeds": state["prompt_embeds"][-rows:], "image_embeds": state["image_embeds"][-rows:]}
        return {"encoder_hidden_states": state["text_encoder_hidden_states"][-rows:], "added_cond_kwargs": told}
