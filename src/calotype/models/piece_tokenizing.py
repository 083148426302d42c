"""What tokenizers of pieces have in common: the likeliest pieces of a text, out of ``tokenizer.json`` or into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from calotype.core.documents import read_json, to_json
from calotype.core.errors import CorruptFile, MissingFile
from calotype.core.files import Source
from calotype.models.sentencepiece_file import read_pieces
from calotype.models.tokenizer_files import file_bytes
from calotype.models.tokenizing import TextTokenizer, added_token

if TYPE_CHECKING:
    from tokenizers import Tokenizer

DOCUMENT = "tokenizer.json"


class PieceTokenizer(TextTokenizer):
    """Texts to pieces and back; abstract. ``defaults`` names the tokens of the roles, and what else files leave out."""

    pieces_file: ClassVar[str]  # SentencePiece's, by its name
    defaults: ClassVar[Mapping[str, Any]]

    @classmethod
    def vocabulary(cls, scores: list[tuple[str, float]], told: Mapping[str, Any]) -> list[tuple[str, float]]:
        """The pieces in the order of their ids, out of those of SentencePiece's file."""
        raise NotImplementedError

    def take(self, core: Tokenizer, told: Mapping[str, Any]) -> None:
        """Speak for this compiled tokenizer."""
        told = {**self.defaults, **{key: value for key, value in told.items() if value is not None}}
        self.settle(told, {role: told[role] for role in self.roles})
        self.core = core
        missing = [
            role for role in self.roles if role != "mask_token" and core.token_to_id(getattr(self, role)) is None
        ]
        if missing:
            raise CorruptFile(f"vocab: {missing[0]}", f"the piece {getattr(self, missing[0])!r}", "none")
        core.add_special_tokens(
            [
                added_token({"content": getattr(self, role), "lstrip": role == "mask_token"}, special=True)
                for role in self.roles
            ]
        )

    @classmethod
    def from_source(cls, source: Source, **settings: Any) -> Any:
        """The tokenizer of a located folder: of ``tokenizer.json``, or of SentencePiece's file."""
        told = {
            **cls.defaults,
            **_document(source, "special_tokens_map.json"),
            **_document(source, cls.config_name),
            **settings,
        }
        made = cls.__new__(cls)
        if source.has(DOCUMENT):
            made.take(_compiled(source), told)
        elif source.has(cls.pieces_file):
            pieces = read_pieces(file_bytes(source.file(cls.pieces_file)), source.where(cls.pieces_file))
            made.take(pieces_core(cls.vocabulary(pieces.scores, told), pieces.charsmap), told)
        else:
            raise MissingFile(source.where(""), f"{DOCUMENT} or {cls.pieces_file}", "neither")
        return made

    def files(self) -> dict[str, str]:
        """The texts of the files, by name."""
        roles = self.special_tokens_map
        defaults = {"tokenizer_class": type(self).__name__, "model_max_length": self.model_max_length}
        settings = {key: value for key, value in self.settings.items() if key != "added_tokens_decoder"}
        return {
            DOCUMENT: self.core.to_str(),
            self.config_name: to_json(settings | defaults | roles),
            "special_tokens_map.json": to_json(roles),
        }


def _document(source: Source, name: str) -> dict[str, Any]:
    return read_json(source.file(name), source.where(name)) if source.has(name) else {}


def pieces_core(vocab: Sequence[tuple[str, float]], charsmap: bytes) -> Tokenizer:
    """The compiled tokenizer of these pieces, which splits words at whitespace and marks where each begins."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    places = [place for place, (piece, _) in enumerate(vocab) if piece == "<unk>"]
    if not places:
        raise CorruptFile("vocab", "the piece '<unk>'", "none")
    try:
        core = Tokenizer(models.Unigram(list(vocab), unk_id=places[0], byte_fallback=False))
        known = [normalizers.Precompiled(charsmap)] if charsmap else []
    except Exception as error:  # the library has no narrower one
        raise CorruptFile("vocab", "pieces and a table of characters", str(error)) from None
    core.normalizer = normalizers.Sequence([*known, normalizers.Replace(Regex(" {2,}"), " ")])
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    core.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return core


def _compiled(source: Source) -> Tokenizer:
    from tokenizers import Tokenizer, models

    path = source.file(DOCUMENT)
    try:
        core = Tokenizer.from_buffer(file_bytes(path))
    except Exception as error:  # the library has no narrower one
        raise CorruptFile(str(path), "a compiled tokenizer", str(error)) from None
    if not isinstance(core.model, models.Unigram):
        raise CorruptFile(str(path), "a model of kind Unigram", type(core.model).__name__)
    core.no_padding()  # a file's own choices; a call says what it wants
    core.no_truncation()
    return core
