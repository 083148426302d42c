"""UMT5's encoder, which reads the prompts of Helios, under the key names of its checkpoint files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from torch import Tensor, nn

from calotype.core.config import register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.model import ModelMixin
from calotype.core.outputs import BaseOutput
from calotype.core.schema import Count, Range
from calotype.models.umt5_blocks import Attending, Block, RMSNorm, Stack, Thinking, buckets_of


@dataclass
class EncoderOutput(BaseOutput):
    """What an encoder read: one state per token."""

    last_hidden_state: Tensor  # (batch, tokens, width), after the final norm
    hidden_states: tuple[Tensor, ...] | None = None  # what each block reads, and the last state


class UMT5EncoderModel(ModelMixin):
    """Reads texts of many languages; ``config.json`` as UMT5 writes it."""

    library = "transformers"
    weights_name = "model"
    # the same tensor, whatever the config says of tying: files that hold one of the two hold both
    aliases: ClassVar[Mapping[str, str]] = {"encoder.embed_tokens.weight": "shared.weight"}
    keys_to_ignore_on_load = (r"^decoder\.", r"^lm_head\.")

    @register_to_config
    def __init__(
        self,
        vocab_size: Count = 250112,
        d_model: Count = 512,
        d_kv: Count = 64,
        d_ff: Count = 1024,
        num_layers: Count = 8,
        num_decoder_layers: int | None = None,
        num_heads: Count = 6,
        relative_attention_num_buckets: Annotated[int, Range(4, 1_000_000)] = 32,
        relative_attention_max_distance: Count = 128,
        dropout_rate: float = 0.1,
        layer_norm_epsilon: float = 1e-6,
        initializer_factor: float = 1.0,
        feed_forward_proj: Literal["gated-gelu"] = "gated-gelu",
        pad_token_id: int | None = 0,
        eos_token_id: int | list[int] | None = 1,
        decoder_start_token_id: int | None = 0,
        is_encoder_decoder: bool = True,
        tie_word_embeddings: bool = True,
        use_cache: bool = True,
        classifier_dropout: float = 0.0,
        model_type: str = "umt5",
    ) -> None:
        super().__init__()
        buckets, furthest = relative_attention_num_buckets, relative_attention_max_distance
        if furthest <= buckets // 4:
            told = f"more than {buckets // 4}, the distances that have a bucket of their own"
            raise InvalidArgument("relative_attention_max_distance", told, str(furthest))
        width, eps = d_model, layer_norm_epsilon
        self.shared = nn.Embedding(vocab_size, width)
        blocks = [
            Block(Attending(width, num_heads, d_kv, buckets, eps), Thinking(width, d_ff, eps))
            for _ in range(num_layers)
        ]
        self.encoder = Stack(self.shared, blocks, RMSNorm(width, eps))

    def get_input_embeddings(self) -> nn.Embedding:
        return self.shared

    def set_input_embeddings(self, embedding: nn.Embedding) -> None:
        self.shared = self.encoder.embed_tokens = embedding

    def forward(
        self,
        input_ids: Tensor,  # (batch, tokens)
        attention_mask: Tensor | None = None,  # (batch, tokens), 0 where nothing should be read
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> EncoderOutput | tuple[Tensor, ...]:
        if attention_mask is not None and attention_mask.shape != input_ids.shape:
            found = f"shape {tuple(attention_mask.shape)}"
            raise InvalidArgument("attention_mask", f"shape {tuple(input_ids.shape)}, as input_ids", found)
        c = self.config
        buckets = buckets_of(
            input_ids.shape[-1],
            c.relative_attention_num_buckets,
            c.relative_attention_max_distance,
            input_ids.device,
        )
        hidden = None if attention_mask is None else attention_mask[:, None, None, :] == 0
        states = self.encoder(input_ids, buckets, hidden, bool(output_hidden_states))
        output = EncoderOutput(states[-1], states if output_hidden_states else None)
        return output.to_tuple() if return_dict is False else output
