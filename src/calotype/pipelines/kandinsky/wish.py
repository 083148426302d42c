"""What a prior is asked to imagine: texts, and those to steer away from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from calotype.core.errors import InvalidArgument
from calotype.generation.checks import as_generator, check_prompts, check_texts
from calotype.generation.latents import spread


def check_words(prompt: Any, negative_prompt: Any) -> tuple[list[str], list[str] | None]:
    """The prompts, and for each the text to steer away from, where there is one."""
    prompts = check_texts("prompt", prompt)
    check_prompts(prompt, negative_prompt, None, None)
    if negative_prompt is None:
        return prompts, None
    unwanted = check_texts("negative_prompt", negative_prompt)
    return prompts, unwanted * (len(prompts) // len(unwanted))


@dataclass(frozen=True)
class Wish:
    """Texts whose pictures are wanted, for each the text to steer away from, and how many pictures of each."""

    texts: list[str]
    unwanted: list[str]
    copies: int
    opposed: bool = False  # the second half of the texts is what decoders are to steer away from

    @classmethod
    def of(cls, prompt: Any, negative_prompt: Any, copies: int) -> Wish:
        """The prompts; what is unwanted is imagined too, so that decoders can steer away from it."""
        prompts, unwanted = check_words(prompt, negative_prompt)
        if unwanted is None:
            return cls(prompts, [""] * len(prompts), copies)
        return cls(prompts + unwanted, unwanted * 2, copies, opposed=True)

    @property
    def halves(self) -> int:
        return 2 if self.opposed else 1

    @property
    def rows(self) -> int:
        return len(self.texts) * self.copies

    @property
    def pictures(self) -> int:
        return self.rows // self.halves

    def sources(self, generator: Any) -> Any:
        """Where noise is drawn from; of a list with one for each picture, each also draws for what is unwanted."""
        if not isinstance(generator, (list, tuple)) or len(generator) == self.rows:
            return as_generator(generator, self.rows)
        return as_generator(generator, self.pictures) * self.halves

    def beside(self, seen: torch.Tensor) -> torch.Tensor:
        """What was seen in pictures, beside each text that it belongs to."""
        if self.pictures % len(seen):
            wanted = f"1 picture, or a number that divides the batch of {self.pictures}"
            raise InvalidArgument("image", wanted, f"{len(seen)}")
        return spread(seen, self.pictures).repeat(self.halves, 1)
