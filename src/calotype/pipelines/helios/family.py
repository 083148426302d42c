"""What the Helios pipelines share: their components, and the settings of a call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from calotype.adapters.lora_families import HeliosLoraLoaderMixin
from calotype.core.errors import InvalidArgument
from calotype.core.pipeline import DiffusionPipeline
from calotype.core.resuming import reopen
from calotype.core.story import Stream
from calotype.generation.checks import check_size, check_texts, count
from calotype.generation.film import ChunkStream, Length
from calotype.generation.guidance import classifier_free
from calotype.generation.loop import Guide
from calotype.generation.prompts import copied
from calotype.generation.texts import padded_states
from calotype.generation.videos import VideoProcessor
from calotype.pipelines.helios.asked import Film
from calotype.pipelines.helios.bookmarks import untold
from calotype.pipelines.helios.faster import Faster
from calotype.pipelines.helios.kept import KEPT_OF_FILMS
from calotype.pipelines.helios.past import Window
from calotype.pipelines.helios.rules import RULES_OF_FILMS
from calotype.pipelines.helios.session import Session, resumed
from calotype.pipelines.switches import Switches

LATENTS = "num_latent_frames_per_chunk"
TELLING = frozenset({"prompt", "prompt_embeds", "timeline"})  # what a film is to show


class Helios(HeliosLoraLoaderMixin, DiffusionPipeline, Faster, Switches):
    """A UMT5 encoder, a transformer that draws films chunk by chunk, and a video VAE."""

    model_cpu_offload_seq = "text_encoder->transformer->vae"
    _optional_components: ClassVar[list[str]] = ["transformer"]
    _callback_tensor_inputs: ClassVar[list[str]] = ["latents", "prompt_embeds", "negative_prompt_embeds"]
    argument_rules = RULES_OF_FILMS
    stream_kind: ClassVar[type[Stream]] = ChunkStream
    state_every = 1  # chunk
    beside_signature: ClassVar[Mapping[str, Any]] = {"timeline": None, "exact_frames": False, "fps": 24.0}
    live_settings = ("guidance_scale", "attention_kwargs", "num_frames", *beside_signature)
    kept_as = KEPT_OF_FILMS
    guidance_rescale = 0.0
    decode_ahead: bool | None = None  # while the next chunk is made; None: on CUDA, where nothing is offloaded
    whole_timesteps: ClassVar[bool] = False  # whether the transformer is told timesteps without their fractions

    _guidance_scale = 0.0
    _attention_kwargs: dict[str, Any] | None = None
    _num_timesteps = 0
    _current_timestep: torch.Tensor | None = None
    _timeline: Any = None
    _exact_frames = False
    _fps = 24.0

    tokenizer: Any
    text_encoder: Any
    vae: Any
    scheduler: Any
    transformer: Any

    def take(self, **parts: Any) -> None:
        """Take the components, and make what brings videos to them."""
        self.register_modules(**parts)
        self.video_processor = VideoProcessor(vae_scale_factor=self.vae_scale_factor_spatial, vae_latent_channels=0)

    # ------------------------------------------------------------------ facts about the components

    @property
    def vae_scale_factor_spatial(self) -> int:
        """How many pixels one latent spans in height and in width."""
        return self.vae.spatial_compression_ratio if self.vae is not None else 8

    @property
    def vae_scale_factor_temporal(self) -> int:
        """How many frames one latent spans, but for the first of a chunk."""
        return self.vae.temporal_compression_ratio if self.vae is not None else 4

    def film_of(
        self, films: int, size: tuple[Any, Any], num_frames: int | None, window: Window, late: bool, halvings: int = 0
    ) -> Film:
        """The films that are asked for. Latents that are halved so often must still be made of whole patches."""
        factor = self.vae_scale_factor_spatial
        height, width = check_size(*size, factor * 2**halvings * max(self.transformer.config.patch_size[1:]))
        frames = self.frames_of(window.chunk)
        length = Length(frames, num_frames, self._exact_frames, self.vae_scale_factor_temporal)
        shape = (films, self.transformer.config.in_channels, height // factor, width // factor)
        return Film(shape, window, length, late, halvings)

    def frames_of(self, latents: int) -> int:
        """How many frames a chunk of so many latents becomes."""
        return (latents - 1) * self.vae_scale_factor_temporal + 1

    def frames_in(self, arguments: Mapping[str, Any]) -> int:
        """How many frames a chunk of a call with these arguments has."""
        usual = {LATENTS: 9, **self.usual_arguments}
        return self.frames_of({**usual, **arguments}[LATENTS])

    def seconds(self, window: Window) -> float:
        """How long a chunk lasts."""
        return self.frames_of(window.chunk) / self._fps

    @property
    def works_ahead(self) -> bool:
        """Whether the next chunk is begun while the last one is decoded."""
        if self.decode_ahead is not None:
            return self.decode_ahead
        offloaded = self._offload or any(getattr(part, "_group_offload", None) for part in self.networks.values())
        return self._execution_device.type == "cuda" and not offloaded

    # ------------------------------------------------------------------ settings of one call, read live by the loop

    @property
    def guidance_scale(self) -> float:
        return self._guidance_scale

    @property
    def do_classifier_free_guidance(self) -> bool:
        return self._guidance_scale > 1

    @property
    def attention_kwargs(self) -> dict[str, Any] | None:
        return self._attention_kwargs

    @property
    def num_timesteps(self) -> int:
        """How many steps the stage at work takes."""
        return self._num_timesteps

    @property
    def current_timestep(self) -> torch.Tensor | None:
        """Where the step at work is."""
        return self._current_timestep

    @property
    def guide(self) -> Guide:
        """What becomes of a prediction made without the prompt and with it."""
        return classifier_free

    # ------------------------------------------------------------------ told

    def encode_prompt(
        self,
        prompt: Any,
        negative_prompt: Any = None,
        do_classifier_free_guidance: bool = True,
        num_videos_per_prompt: int = 1,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        max_sequence_length: int = 226,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The states of the prompt and of the negative prompt, one row for each film."""
        device = torch.device(device) if device is not None else self._execution_device
        told: Any = self.text_encoder if self.transformer is None else self.transformer

        def states(name: str, texts: Any, embeds: torch.Tensor | None) -> torch.Tensor:
            if embeds is None:
                read = check_texts(name, texts)
                embeds = padded_states(self.tokenizer, self.text_encoder, read, device, max_sequence_length)
            return copied(embeds.to(device, dtype or told.dtype), num_videos_per_prompt)

        positive = states("prompt", prompt, prompt_embeds)
        if not do_classifier_free_guidance:
            return positive, negative_prompt_embeds
        negative = states("negative_prompt", negative_prompt or "", negative_prompt_embeds)
        if len(negative) not in (num_videos_per_prompt, len(positive)):
            raise InvalidArgument("negative_prompt", "one text, or as many as there are prompts", f"{len(negative)}")
        return positive, negative if len(negative) == len(positive) else negative[:1].expand(len(positive), -1, -1)

    def resume(self, state_file: str | os.PathLike[str], **changes: Any) -> Stream:
        """As of any pipeline; a prompt or a timeline among the changes takes the place of all that was told."""
        if all(changes.get(name) is None for name in TELLING):
            return super().resume(state_file, **changes)
        arguments, begun = reopen(self, state_file)
        kept = {name: value for name, value in arguments.items() if name not in TELLING}
        return self.stream(**{**kept, **changes}, begun=begun and untold(begun), state_file=state_file)

    # ------------------------------------------------------------------ directed while it is made

    def session(self, prompt: str | None = None, *, remember: int = 64, **arguments: Any) -> Session:
        """A film without end, unless ``num_frames`` says otherwise, whose prompt may change while it is made.

        The arguments are those of a call.
        """
        count(0, 1_000_000)("remember", remember)
        return Session(self, {"prompt": prompt, **arguments}, remember)

    def resume_session(self, state_file: str | os.PathLike[str], remember: int = 64) -> Session:
        """The session that wrote this state file, after the last chunk that it made."""
        count(0, 1_000_000)("remember", remember)
        return resumed(self, state_file, remember)
