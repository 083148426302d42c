"""What each argument of a film may be, by its name."""

from __future__ import annotations

from typing import Any

from calotype.core.schema import refuse_unknown
from calotype.generation.checks import RULES, among, attention_options, count, flag, floats, number, or_none
from calotype.generation.videos import VIDEO_OUTPUT_TYPES


def lora_options(name: str, value: Any) -> None:
    """How strong LoRAs are; there are no other options."""
    attention_options(name, value)
    refuse_unknown(value, ("scale",), name)
    if value:
        number()(f"{name}['scale']", value["scale"])


RULES_OF_FILMS = RULES | {
    "num_frames": or_none(count(1, 1_000_000_000)),  # None is a film without end
    "num_videos_per_prompt": count(1, 1_000),
    "num_latent_frames_per_chunk": count(1, 1_000),
    "max_sequence_length": count(1, 100_000),
    "output_type": among((*VIDEO_OUTPUT_TYPES, "latent")),
    "attention_kwargs": or_none(lora_options),
    "image_latents": or_none(floats),
    "fake_image_latents": or_none(floats),
    "video_latents": or_none(floats),
    "image_noise_sigma_min": number(0, 1),
    "image_noise_sigma_max": number(0, 1),
    "video_noise_sigma_min": number(0, 1),
    "video_noise_sigma_max": number(0, 1),
    "keep_first_frame": flag,
    "is_skip_first_chunk": flag,
    "add_noise_to_image_latents": flag,
    "add_noise_to_video_latents": flag,
    "exact_frames": flag,
    "fps": number(0.01, 1_000),
}
