"""XLM-RoBERTa's tokenizer: the likeliest pieces of a text in any language, between a start and an end token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from calotype.core.documents import read_json, to_json
from calotype.core.errors import CorruptFile, MissingFile
from calotype.core.files import Source
from calotype.models.sentencepiece_file import Pieces, read_pieces
from calotype.models.tokenizer_files import file_bytes
from calotype.models.tokenizing import TextTokenizer, added_token

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ROLES = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
FIRST = ("<s>", "<pad>", "</s>", "<unk>")  # ids 0 to 3, whatever the pieces' file says
OWN = 3  # the first pieces of that file, which stand for the same
MODEL, DOCUMENT = "sentencepiece.bpe.model", "tokenizer.json"


class XLMRobertaTokenizer(TextTokenizer):
    """Text to token ids and back; ``vocab`` holds pieces with their log probabilities, in the order of their ids."""

    roles = tuple(ROLES)
    mask_token: str

    def __init__(self, vocab: Sequence[tuple[str, float]], charsmap: bytes = b"", **settings: Any) -> None:
        self._take(_core(vocab, charsmap), settings)

    def _take(self, core: Tokenizer, settings: Mapping[str, Any]) -> None:
        self.settle(settings, {role: settings.get(role) or token for role, token in ROLES.items()})
        self.core = core
        for role in ROLES:
            if role != "mask_token" and core.token_to_id(getattr(self, role)) is None:
                raise CorruptFile(f"vocab: {role}", f"the piece {getattr(self, role)!r}", "none")
        core.add_special_tokens(
            [added_token(getattr(self, role), special=True) for role in ROLES if role != "mask_token"]
        )
        core.add_special_tokens([added_token({"content": self.mask_token, "lstrip": True}, special=True)])
        core.no_padding()  # a file's own choices; a call says what it wants
        core.no_truncation()

    @classmethod
    def from_source(cls, source: Source, **settings: Any) -> XLMRobertaTokenizer:
        """The tokenizer of a located folder: of ``tokenizer.json``, or of SentencePiece's file."""
        told = _document(source, "special_tokens_map.json") | _document(source, "tokenizer_config.json") | settings
        made = cls.__new__(cls)
        if source.has(DOCUMENT):
            made._take(_compiled(source), told)
        elif source.has(MODEL):
            pieces = read_pieces(file_bytes(source.file(MODEL)), source.where(MODEL))
            made._take(_core(_with_first(pieces), pieces.charsmap), told)
        else:
            raise MissingFile(source.where(""), f"{DOCUMENT} or {MODEL}", "neither")
        return made

    def files(self) -> dict[str, str]:
        """The texts of the files, by name."""
        roles = self.special_tokens_map
        defaults = {"tokenizer_class": type(self).__name__, "model_max_length": self.model_max_length}
        settings = {key: value for key, value in self.settings.items() if key != "added_tokens_decoder"}
        return {
            DOCUMENT: self.core.to_str(),
            "tokenizer_config.json": to_json(settings | defaults | roles),
            "special_tokens_map.json": to_json(roles),
        }


def _document(source: Source, name: str) -> dict[str, Any]:
    return read_json(source.file(name), source.where(name)) if source.has(name) else {}


def _with_first(pieces: Pieces) -> list[tuple[str, float]]:
    return [*((token, 0.0) for token in FIRST), *pieces.scores[OWN:], ("<mask>", 0.0)]


def _core(vocab: Sequence[tuple[str, float]], charsmap: bytes) -> Tokenizer:
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
        raise CorruptFile(str(path), "a tokenizer of XLM-RoBERTa", str(error)) from None
    if not isinstance(core.model, models.Unigram):
        raise CorruptFile(str(path), "a model of kind Unigram", type(core.model).__name__)
    return core
