"""Long video from a text, a picture or a video with Helios: from small to full size in stages."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from functools import partial
from typing import Any, ClassVar

import torch

from calotype.core.config import register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.story import story
from calotype.generation.callbacks import OnStepEnd, reports
from calotype.generation.checks import as_generator, check_shape, count, flag
from calotype.generation.film import Chunk, Taken
from calotype.generation.guidance import classifier_free, zero_star
from calotype.generation.images import PipelineImageInput
from calotype.generation.loop import Guide
from calotype.ops.pyramid import block_noise, doubled
from calotype.pipelines.helios.beginning import Blur
from calotype.pipelines.helios.family import Helios
from calotype.pipelines.helios.given import Given
from calotype.pipelines.helios.parts import check_parts
from calotype.pipelines.helios.past import Window
from calotype.pipelines.helios.reel import reel
from calotype.pipelines.helios.rules import RULES_OF_FILMS
from calotype.pipelines.helios.script import script_of
from calotype.pipelines.helios.stages import StagePlan, as_they_are
from calotype.pipelines.helios.unused import say_unused
from calotype.schedulers.helios import HeliosScheduler
from calotype.schedulers.helios_dmd import HeliosDMDScheduler
from calotype.schedulers.staged import StagedSolver

logger = logging.getLogger("calotype.pipelines.helios")


# what the calls of distilled models leave unsaid
DISTILLED = {"guidance_scale": 1.0, "is_amplify_first_chunk": True}


class HeliosPyramidPipeline(Helios):
    """Films of a prompt, of any length, in few steps at full size."""

    argument_rules = RULES_OF_FILMS | {
        "use_zero_init": flag,
        "zero_steps": count(0, 10_000),
        "is_amplify_first_chunk": flag,
    }
    whole_timesteps: ClassVar[bool] = True

    @register_to_config
    def __init__(
        self,
        tokenizer: Any,
        text_encoder: Any,
        vae: Any,
        scheduler: Any,
        transformer: Any,
        is_cfg_zero_star: bool = False,
        is_distilled: bool = False,
    ) -> None:
        self.take(tokenizer=tokenizer, text_encoder=text_encoder, vae=vae, scheduler=scheduler, transformer=transformer)
        if scheduler is not None and self.distilled:
            self.scheduler = as_distilled(scheduler)

    @property
    def distilled(self) -> bool:
        """Whether the transformer takes few steps and needs no guidance: any of three marks says so."""
        solver = self.scheduler
        typed = isinstance(solver, HeliosScheduler) and solver.config.scheduler_type == "dmd"
        return self.config.is_distilled or typed or isinstance(solver, HeliosDMDScheduler)

    @property
    def usual_arguments(self) -> Mapping[str, Any]:
        stages = self.scheduler.config.stages if isinstance(self.scheduler, StagedSolver) else 3
        usual, steps = (DISTILLED, 2) if self.distilled else ({}, 10)
        return {**usual, "pyramid_num_inference_steps_list": [steps] * stages, **super().usual_arguments}

    @property
    def guide(self) -> Guide:
        return zero_star if self.config.is_cfg_zero_star else classifier_free

    @story
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        negative_prompt: str | list[str] | None = None,
        height: int = 384,
        width: int = 640,
        num_frames: int | None = 132,
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
        pyramid_num_inference_steps_list: list[int] = [10, 10, 10],  # noqa: B006
        use_zero_init: bool = True,
        zero_steps: int = 1,
        is_amplify_first_chunk: bool = False,
    ) -> Generator[Taken | Chunk, None, Any]:
        """Make films of the prompt; every argument is explained in docs/parameters.md."""
        check_parts(self, staged=True)
        if self.distilled:
            self.scheduler = as_distilled(self.scheduler)
        scheduler, size = self.scheduler, (height, width)
        lengths = pyramid_num_inference_steps_list
        check_stages(lengths, scheduler.config, sigmas)
        scheduler.times(is_amplify_first_chunk)
        if self.distilled and guidance_scale > 1:
            logger.warning(
                "guidance_scale=%g: this model was distilled to need none, and each step takes twice as long",
                guidance_scale,
            )
        window = Window.of(history_sizes, keep_first_frame, num_latent_frames_per_chunk)
        told = (prompt, negative_prompt, prompt_embeds, negative_prompt_embeds, num_videos_per_prompt)
        script, films = script_of(self, *told, max_sequence_length, self.seconds(window))
        film = self.film_of(films, size, num_frames, window, is_skip_first_chunk, halvings=len(lengths) - 1)
        generator = as_generator(generator, films)
        check_shape("latents", latents, film.chunk_shape)
        on_picture = Blur(add_noise_to_image_latents, image_noise_sigma_min, image_noise_sigma_max)
        on_video = Blur(add_noise_to_video_latents, video_noise_sigma_min, video_noise_sigma_max)
        given = Given(image, image_latents, fake_image_latents, on_picture, video, video_latents, on_video)
        report = reports(self, callback_on_step_end, callback_on_step_end_tensor_inputs)
        idle = zero_steps + 1 if self.config.is_cfg_zero_star and use_zero_init else 0
        if not (idle and self.do_classifier_free_guidance):
            still = "no step stands still without CFG-Zero*, use_zero_init and guidance"
            say_unused(still, zero_steps=zero_steps != 1)

        def stages(chunk: int) -> list[StagePlan]:
            """Half the size for each stage that is still to come."""
            return [
                StagePlan(
                    steps,
                    partial(entered, scheduler.stages[place], scheduler.gamma) if place else as_they_are,
                    {"stage_index": place, "is_amplify_first_chunk": is_amplify_first_chunk and chunk == 0},
                    idle if place == 0 and self.do_classifier_free_guidance else 0,
                )
                for place, steps in enumerate(lengths)
            ]

        return (
            yield from reel(
                self,
                film,
                script,
                given.beginning(self, film),
                stages,
                generator,
                report,
                latents,
                output_type,
                return_dict,
            )
        )


def as_distilled(scheduler: Any) -> HeliosDMDScheduler:
    """The solver of a distilled model, in place of another that files or callers gave it."""
    if isinstance(scheduler, HeliosDMDScheduler):
        return scheduler
    logger.warning("the model is distilled: HeliosDMDScheduler takes the place of %s", type(scheduler).__name__)
    return HeliosDMDScheduler.from_config(scheduler.config)


def entered(stage: Any, gamma: float, latents: torch.Tensor, generator: Any) -> torch.Tensor:
    """Latents at twice the size, under the noise that makes them what the stage begins with."""
    large = doubled(latents)
    noise = block_noise(large.shape, gamma, generator, large.device, large.dtype)
    return stage.kept * large + stage.added * noise


def check_stages(lengths: Any, config: Mapping[str, Any], sigmas: Any) -> None:
    """There are steps for each stage of the scheduler, which plans them itself."""
    if sigmas is not None:
        raise InvalidArgument("sigmas", "None, as the stages plan their own", repr(sigmas)[:80])
    if not isinstance(lengths, (list, tuple)) or len(lengths) != config["stages"]:
        wanted = f"{config['stages']} whole numbers, the steps of each stage of the scheduler"
        raise InvalidArgument("pyramid_num_inference_steps_list", wanted, repr(lengths)[:80])
    for place, steps in enumerate(lengths):
        count(1, config["num_train_timesteps"])(f"pyramid_num_inference_steps_list[{place}]", steps)
