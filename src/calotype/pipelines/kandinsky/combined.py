"""What the combined pipelines share: a prior and a decoder as one, from words to the picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch

from calotype.core.assembly import USUAL
from calotype.core.files import HubOptions, Source, open_source
from calotype.generation.callbacks import reports
from calotype.generation.checks import RULES, as_generator, check_shape
from calotype.generation.latents import walk
from calotype.generation.legs import leg
from calotype.generation.masks import Frame
from calotype.generation.state import Step
from calotype.pipelines.kandinsky.connected import named_in_card, prior_of
from calotype.pipelines.kandinsky.parts import borrowed
from calotype.pipelines.kandinsky.wish import check_words


@dataclass(frozen=True)
class Asked:
    """What is asked of both: the texts, how many pictures of each, and where noise is drawn from."""

    prompt: list[str]  # one for each picture
    negative_prompt: list[str] | None
    generator: Any

    @classmethod
    def of(cls, prompt: Any, negative_prompt: Any, copies: int, generator: Any) -> Asked:
        texts, unwanted = check_words(prompt, negative_prompt)
        each = [text for text in texts for _ in range(copies)]
        against = None if unwanted is None else [text for text in unwanted for _ in range(copies)]
        return cls(each, against, as_generator(generator, len(each)))

    @property
    def rows(self) -> int:
        """How many embeds the prior imagines."""
        return len(self.prompt) * (1 if self.negative_prompt is None else 2)


class KandinskyCombined:
    """A prior imagines pictures of the prompt, and a decoder paints them; mixed into the families."""

    _load_connected_pipes: ClassVar[bool] = True
    _exclude_from_cpu_offload: ClassVar[list[str]] = ["prior_prior"]
    argument_rules = RULES
    usual_prior: ClassVar[str]
    prior_kind: ClassVar[type[Any]]
    decoder_kind: ClassVar[type[Any]]

    @classmethod
    def connected_parts(cls, source: Source, missing: list[str], options: Mapping[str, Any]) -> dict[str, Any]:
        """The prior's components, where a decoder's files do without them."""
        names = [name for name in missing if name.startswith("prior_")]
        return prior_of(source, names, cls.usual_prior, options) if names else {}

    @classmethod
    def home_of(cls, source: Source, part: str) -> Source:
        """Where the files of a component are: with the decoder's, or where its card says that the prior is."""
        own = source.sub(part)
        named = named_in_card(source) if part.startswith("prior_") and not own.list() else None
        if named is None:
            return own
        return open_source(named, HubOptions(local_files_only=True)).sub(part.removeprefix("prior_"))

    @property
    def prior_pipe(self: Any) -> Any:
        """The prior alone, of the components as they are now."""
        return borrowed(self, self.prior_kind, "prior_")

    @property
    def decoder_pipe(self: Any) -> Any:
        """The decoder alone, of the components as they are now."""
        return borrowed(self, self.decoder_kind)

    @property
    def vae_scale_factor(self) -> int:
        """How many pixels one latent spans in height and in width."""
        return self.decoder_pipe.vae_scale_factor

    @property
    def usual_arguments(self: Any) -> Mapping[str, Any]:
        """What the decoder means where no size is given, and what its folder says."""
        return {**self.decoder_pipe.usual_arguments, **self.config.get(USUAL, {})}

    def both(
        self: Any,
        prompt: Any,
        negative_prompt: Any,
        num_images_per_prompt: int,
        generator: Any,
        latents: torch.Tensor | None,
        **told: Any,
    ) -> Generator[Step, None, Any]:
        """Two legs: the prior imagines embeds of each picture, and the decoder paints it; ``prior_`` says for whom."""
        asked = Asked.of(prompt, negative_prompt, num_images_per_prompt, generator)
        imagining = {name.removeprefix("prior_"): told[name] for name in told if name.startswith("prior_")}
        painting = {name: told[name] for name in told if not name.startswith("prior_")} | self.words(asked)
        prior, decoder = self.prior_pipe, self.decoder_pipe
        check_shape("latents", latents, prior.latent_shape(asked.rows))
        painting["height"], painting["width"] = decoder.size(painting["height"], painting["width"])
        after = self._door(asked, decoder, painting)
        source = {"generator": asked.generator}
        begin = partial(prior.stream, asked.prompt, asked.negative_prompt, latents=latents, **source, **imagining)
        embeds, walked = yield from leg(self, 0, begin, after=after)
        begin = partial(decoder.stream, **source, **dict(embeds.items()), **painting)
        pictures, _ = yield from leg(self, 1, begin, before=walked)
        return pictures

    def _door(self, asked: Asked, decoder: Any, painting: dict[str, Any]) -> int:
        """What the decoder will be asked is looked at before the prior runs; how many steps it will take."""
        told = defaultdict[str, Any](lambda: None, painting)
        decoder.check_unet()
        watched = told["callback_on_step_end_tensor_inputs"] or ()
        reports(decoder, told["callback_on_step_end"], watched, told["callback"])
        height, width = told["height"], told["width"]
        if "mask_image" in painting:
            frame = Frame(told["image"], told["mask_image"], height, width)
            frame.read(decoder.image_processor, len(asked.prompt))
        elif "image" in painting:
            decoder.image_processor.preprocess(told["image"], height, width, batch=len(asked.prompt))
        return len(walk(decoder.for_one_call(), told["num_inference_steps"], strength=painting.get("strength", 1)))
