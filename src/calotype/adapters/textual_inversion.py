"""Textual inversion (arXiv:2208.01618): words that a text encoder is taught, each a few vectors of its embedding."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from torch import Tensor

from calotype.adapters.learning import Lesson, Reader
from calotype.adapters.textual_inversion_files import ANY, PAIR, Learnt, read_learnt
from calotype.core.errors import IncompatibleWeights, InvalidArgument
from calotype.core.one_file import FILE_NAMES
from calotype.core.schema import refuse_unknown
from calotype.models.learnt_words import expanded
from calotype.models.tokenizer import CLIPTokenizer

Told = str | os.PathLike[str] | Mapping[str, Any] | Tensor


class TextualInversionLoaderMixin:
    """Words that the text encoders of a pipeline are taught."""

    components: Any

    def load_textual_inversion(
        self,
        pretrained_model_name_or_path: Told | Sequence[Told],
        token: str | list[str] | None = None,
        tokenizer: Any = None,
        text_encoder: Any = None,
        **kwargs: Any,
    ) -> None:
        """Teach the text encoders the words of files or state dicts; all of them or none."""
        refuse_unknown(kwargs, FILE_NAMES, "load_textual_inversion")
        readers = self._readers(tokenizer, text_encoder)
        lessons = {name: Lesson(reader) for name, reader in readers.items()}
        for learnt in read_learnt(pretrained_model_name_or_path, token, kwargs):
            for name in _names(learnt, readers, own=tokenizer is None and text_encoder is None):
                vectors = learnt.vectors[name if name in learnt.vectors else ANY]
                lessons[name].add(learnt.word, vectors, learnt.where)
        with ExitStack() as undo:
            for lesson in lessons.values():
                lesson.learn(undo)
            undo.pop_all()

    def unload_textual_inversion(
        self, tokens: str | list[str] | None = None, tokenizer: Any = None, text_encoder: Any = None
    ) -> None:
        """Forget these words, or all; tokenizer and text encoder are as they were before."""
        readers = self._readers(tokenizer, text_encoder).values()
        known = {word: None for reader in readers for word in reader.words}
        asked = [tokens] if isinstance(tokens, str) else known if tokens is None else tokens
        for word in asked:
            if word not in known:
                raise InvalidArgument("tokens", f"words that were loaded ({', '.join(known) or 'none'})", repr(word))
        for reader in readers:
            reader.forget([word for word in reader.words if word in asked])

    def maybe_convert_prompt(self, prompt: str | list[str], tokenizer: Any) -> Any:
        """The prompt with every token of its learnt words written out."""
        if isinstance(prompt, str):
            return expanded(tokenizer, prompt)
        return [expanded(tokenizer, text) for text in prompt]

    def _readers(self, tokenizer: Any, text_encoder: Any) -> dict[str, Reader]:
        """Who is taught, by the name that files have for it: the encoder that was given, else all of the pipeline."""
        parts: dict[str, Any] = self.components
        found: dict[str, Reader] = {}
        for name, end in zip(PAIR, ("", "_2"), strict=True):
            own, reads = parts.get(f"text_encoder{end}"), parts.get(f"tokenizer{end}")
            if own is not None and reads is not None:
                found[name] = Reader(f"text_encoder{end}", reads, own)
        if tokenizer is not None or text_encoder is not None:
            encoder = parts.get("text_encoder") if text_encoder is None else text_encoder
            reads = parts.get("tokenizer") if tokenizer is None else tokenizer
            name = next((name for name, reader in found.items() if reader.encoder is encoder), PAIR[0])
            found = {name: Reader("text_encoder", reads, encoder)} if reads is not None and encoder is not None else {}
        if not found:
            raise InvalidArgument("tokenizer, text_encoder", "both, as the pipeline lacks one", "one of them or none")
        for reader in found.values():
            if not isinstance(reader.tokenizer, CLIPTokenizer):
                fix = "Load it with calotype.CLIPTokenizer.from_pretrained(...)."
                raise InvalidArgument(
                    "tokenizer", "one that words can be taken out of again", type(reader.tokenizer).__name__, fix
                )
        return found


def _names(learnt: Learnt, readers: Mapping[str, Reader], own: bool) -> list[str]:
    """Which readers a word is for: those it has vectors for, or the first where it does not say."""
    if ANY in learnt.vectors:
        return [next(iter(readers))]
    found = [name for name in learnt.vectors if name in readers]
    if not found or (own and PAIR[1] in learnt.vectors and PAIR[1] not in readers):
        there = ", ".join(reader.name for reader in readers.values())
        raise IncompatibleWeights(learnt.where, "vectors for " + there, f"a word of SDXL, for {' and '.join(PAIR)}")
    return found
