"""The check that comes after a picture: does it lie near a concept that should not be shown? In doubt, it does."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from calotype.core.config import register_to_config
from calotype.core.model import ModelMixin
from calotype.models.vision import CLIPVisionModelWithProjection, VisionTransformer

log = logging.getLogger("calotype.models.safety_checker")

CONCEPTS, SPECIAL_CARE = 17, 3
STRICTER = 0.01  # added to every score of a picture that needs special care
SEEN = 0.0005  # the published thresholds are meant for scores rounded to three digits


class Nested(nn.Module):
    """An encoder one level down, where the files hold it."""

    def __init__(self, vision_model: VisionTransformer) -> None:
        super().__init__()
        self.vision_model = vision_model

    def forward(self, pixels: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        return self.vision_model(pixels)


class StableDiffusionSafetyChecker(ModelMixin):
    """Blackens pictures whose CLIP embedding is too close to a concept, and every picture that could not be judged."""

    library = "stable_diffusion"
    weights_name = "model"
    keys_to_ignore_on_load = (r".*\bposition_ids$",)

    @register_to_config
    def __init__(
        self,
        text_config: dict[str, Any] | None = None,
        vision_config: dict[str, Any] | None = None,
        projection_dim: int = 512,
        logit_scale_init_value: float = 2.6592,
        vision_config_dict: dict[str, Any] | None = None,
        model_type: str = "clip",
    ) -> None:
        super().__init__()
        vision = {**(vision_config or {}), **(vision_config_dict or {})}
        names = CLIPVisionModelWithProjection.init_names()
        encoder = CLIPVisionModelWithProjection(**{name: vision[name] for name in names if name in vision})
        width = encoder.config.hidden_size
        self.vision_model = Nested(encoder.vision_model)
        self.visual_projection = nn.Linear(width, projection_dim, bias=False)
        self.concept_embeds = nn.Parameter(torch.ones(CONCEPTS, projection_dim), requires_grad=False)
        self.special_care_embeds = nn.Parameter(torch.ones(SPECIAL_CARE, projection_dim), requires_grad=False)
        self.concept_embeds_weights = nn.Parameter(torch.ones(CONCEPTS), requires_grad=False)
        self.special_care_embeds_weights = nn.Parameter(torch.ones(SPECIAL_CARE), requires_grad=False)

    @classmethod
    def old_keys(cls, key: str) -> str:
        """The present name of a key: newer files hold the encoder one level higher."""
        nested = key.startswith("vision_model.") and not key.startswith("vision_model.vision_model.")
        return f"vision_model.{key}" if nested else key

    @torch.no_grad()
    def forward(
        self,
        clip_input: Tensor,  # (batch, 3, size, size), from the feature extractor
        images: Any,  # the pictures themselves: an array, a tensor, or a list of either
    ) -> tuple[Any, list[bool]]:
        """The pictures, black where they may not be seen, and which those are."""
        pooled, _ = self.vision_model(clip_input)
        embeds = self.visual_projection(pooled).double()
        seen = is_finite(clip_input) & is_finite(embeds) & (embeds != 0).any(-1) & self.is_sound()
        return blackened(images, (self.too_close(embeds) | ~seen).tolist())

    def is_sound(self) -> bool:
        """Are all weights finite? Asked each time: kernels of attention may turn a NaN into a number."""
        sums = torch.stack([parameter.sum(dtype=torch.float32) for parameter in self.parameters()])
        return bool(sums.isfinite().all())

    def too_close(self, embeds: Tensor) -> Tensor:
        """Which embeddings (batch, projection_dim) are near a concept, or cannot be told from one."""
        concepts, special = self.concept_embeds, self.special_care_embeds
        return too_close(embeds, concepts, self.concept_embeds_weights, special, self.special_care_embeds_weights)


def too_close(
    embeds: Tensor, concepts: Tensor, thresholds: Tensor, special: Tensor, special_thresholds: Tensor
) -> Tensor:
    """Which embeddings are as near a concept as its threshold, or cannot be told from one."""
    careful = _cosine(embeds, special) - special_thresholds.double()
    scores = _cosine(embeds, concepts) - thresholds.double() + STRICTER * (careful > SEEN).any(-1, keepdim=True)
    return (scores > SEEN).any(-1) | ~is_finite(scores) | ~is_finite(careful)


def _cosine(embeds: Tensor, concepts: Tensor) -> Tensor:
    return functional.normalize(embeds) @ functional.normalize(concepts.double()).T


def is_finite(values: Tensor) -> Tensor:
    return values.flatten(1).isfinite().all(-1)


def blackened(images: Any, blocked: list[bool]) -> tuple[Any, list[bool]]:
    """The pictures, black where they are blocked or hold more than numbers, and which those are."""
    flags = [flag or not _shown(image) for flag, image in zip(blocked, images, strict=True)]
    if not any(flags):
        return images, flags
    log.warning("%d of %d pictures may not be safe to show and are black instead", sum(flags), len(flags))
    copied = [image + 0 for image in images] if isinstance(images, list) else images + 0
    for index, flag in enumerate(flags):
        if flag:
            copied[index][...] = 0
    return copied, flags


def _shown(image: Any) -> bool:
    """Does the picture hold nothing but numbers?"""
    return bool(torch.as_tensor(image).isfinite().all())
