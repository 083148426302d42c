"""Long video from a text, a picture or a video with Helios: all steps at full size."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch

from calotype.core.config import register_to_config
from calotype.core.story import story
from calotype.generation.callbacks import OnStepEnd, reports
from calotype.generation.checks import as_generator, check_shape
from calotype.generation.film import Chunk, Taken
from calotype.generation.images import PipelineImageInput
from calotype.pipelines.helios.beginning import Blur
from calotype.pipelines.helios.family import Helios
from calotype.pipelines.helios.given import Given
from calotype.pipelines.helios.parts import check_parts
from calotype.pipelines.helios.past import Window
from calotype.pipelines.helios.reel import reel
from calotype.pipelines.helios.script import script_of
from calotype.pipelines.helios.stages import StagePlan
from calotype.schedulers.checks import descending


class HeliosPipeline(Helios):
    """Films of a prompt, of any length."""

    @register_to_config
    def __init__(self, tokenizer: Any, text_encoder: Any, vae: Any, scheduler: Any, transformer: Any) -> None:
        self.take(tokenizer=tokenizer, text_encoder=text_encoder, vae=vae, scheduler=scheduler, transformer=transformer)

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        negative_prompt: str | list[str] | None = None,
        height: int = 384,
        width: int = 640,
        num_frames: int | None = 132,
        num_inference_steps: int = 50,
        sigmas: list[float] | None = None,
        guidance_scale: float = 5.0,
        num_videos_per_prompt: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        output_type: str = "np",
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
        callback_on_step_end: OnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["latents"],  # noqa: B006  (the peer's signature)
        max_sequence_length: int = 512,
        image: PipelineImageInput | None = None,
        image_latents: torch.Tensor | None = None,
        fake_image_latents: torch.Tensor | None = None,
        add_noise_to_image_latents: bool = True,
        image_noise_sigma_min: float = 0.111,
        image_noise_sigma_max: float = 0.135,
        video: PipelineImageInput | None = None,
        video_latents: torch.Tensor | None = None,
        add_noise_to_video_latents: bool = True,
        video_noise_sigma_min: float = 0.111,
        video_noise_sigma_max: float = 0.135,
        history_sizes: list[int] = [16, 2, 1],  # noqa: B006
        num_latent_frames_per_chunk: int = 9,
        keep_first_frame: bool = True,
        is_skip_first_chunk: bool = False,
    ) -> Generator[Taken | Chunk, None, Any]:
        """Make films of the prompt; every argument is explained in docs/parameters.md."""
        check_parts(self, staged=False)
        window = Window.of(history_sizes, keep_first_frame, num_latent_frames_per_chunk)
        told = (prompt, negative_prompt, prompt_embeds, negative_prompt_embeds, num_videos_per_prompt)
        script, films = script_of(self, *told, max_sequence_length, self.seconds(window))
        film = self.film_of(films, (height, width), num_frames, window, is_skip_first_chunk)
        generator = as_generator(generator, films)
        check_shape("latents", latents, film.chunk_shape)
        on_picture = Blur(add_noise_to_image_latents, image_noise_sigma_min, image_noise_sigma_max)
        on_video = Blur(add_noise_to_video_latents, video_noise_sigma_min, video_noise_sigma_max)
        given = Given(image, image_latents, fake_image_latents, on_picture, video, video_latents, on_video)
        report = reports(self, callback_on_step_end, callback_on_step_end_tensor_inputs)
        even = np.linspace(0.999, 0, num_inference_steps + 1)[:-1]
        line = even if sigmas is None else descending("sigmas", sigmas, 0, 1)
        stages = [StagePlan(len(line), options={"sigmas": line})]
        return (
            yield from reel(
                self,
                film,
                script,
                given.beginning(self, film),
                lambda _: stages,
                generator,
                report,
                latents,
                output_type,
                return_dict,
            )
        )
