"""The components of Kandinsky 2.1 as one: the decoder's, and under ``prior_`` the prior's."""

from __future__ import annotations

from typing import Any

from calotype.core.config import register_to_config
from calotype.core.pipeline import DiffusionPipeline
from calotype.pipelines.kandinsky.combined import Asked, KandinskyCombined
from calotype.pipelines.kandinsky.v2_1.prior import KandinskyPriorPipeline
from calotype.pipelines.switches import Switches


class Kandinsky21Combined(KandinskyCombined, DiffusionPipeline, Switches):
    """A prior and a decoder of Kandinsky 2.1."""

    model_cpu_offload_seq = "prior_text_encoder->prior_image_encoder->prior_prior->text_encoder->unet->movq"
    usual_prior = "kandinsky-community/kandinsky-2-1-prior"
    prior_kind = KandinskyPriorPipeline

    @register_to_config
    def __init__(
        self,
        text_encoder: Any,
        tokenizer: Any,
        unet: Any,
        scheduler: Any,
        movq: Any,
        prior_prior: Any,
        prior_image_encoder: Any,
        prior_text_encoder: Any,
        prior_tokenizer: Any,
        prior_scheduler: Any,
        prior_image_processor: Any,
    ) -> None:
        type(self).register_modules(**locals())

    def words(self, asked: Asked) -> dict[str, Any]:
        """What the decoder is told of the words: the prompt, but not what to steer away from, as in the peer."""
        return {"prompt": asked.prompt}
