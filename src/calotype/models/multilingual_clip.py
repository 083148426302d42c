"""The text encoder of Kandinsky 2.1: XLM-RoBERTa, whose mean state lands among CLIP's embeddings (M-CLIP)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from calotype.core.config import FrozenDict, register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.model import ModelMixin
from calotype.core.schema import Count, fit_arguments, refuse_unknown
from calotype.models.xlm_roberta import Embeddings, Encoder, XLMRobertaModel


class MCLIPConfig(FrozenDict):
    """What a ``MultilingualCLIP`` is made from: the widths of its states and of CLIP's, and its constructor's names."""

    def __init__(self, transformerDimSize: Count = 1024, imageDimSize: Count = 768, **kwargs: Any) -> None:
        refuse_unknown(kwargs, MultilingualCLIP.init_names(), type(self).__name__)
        super().__init__(transformerDimensions=transformerDimSize, numDims=imageDimSize, **kwargs)


class MultilingualCLIP(ModelMixin):
    """Reads texts of many languages; ``config.json`` as XLM-RoBERTa writes it."""

    library = "transformers"
    weights_name = "model"
    keys_to_ignore_on_load = (r".*\bposition_ids$", r".*\btoken_type_ids$")
    ignore_for_config = ("config",)

    @register_to_config
    def __init__(
        self,
        config: Mapping[str, Any] | None = None,  # instead of what follows
        vocab_size: Count = 30522,
        hidden_size: Count = 768,
        num_hidden_layers: Count = 12,
        num_attention_heads: Count = 12,
        intermediate_size: Count = 3072,
        hidden_act: str = "gelu",
        hidden_dropout_prob: float = 0.1,
        attention_probs_dropout_prob: float = 0.1,
        max_position_embeddings: Count = 512,
        type_vocab_size: Count = 2,
        initializer_range: float = 0.02,
        layer_norm_eps: float = 1e-12,
        pad_token_id: int = 1,
        bos_token_id: int | None = 0,
        eos_token_id: int | None = 2,
        transformerDimensions: Count = 1024,
        numDims: Count = 768,
        model_type: str = "M-CLIP",
    ) -> None:
        super().__init__()
        self.register_to_config(**fit_arguments(type(self).__init__, dict(config or {}), "config"))
        c = self.config
        width, eps = c.hidden_size, c.layer_norm_eps
        if width % c.num_attention_heads:
            raise InvalidArgument(
                "num_attention_heads", f"a divisor of hidden_size={width}", str(c.num_attention_heads)
            )
        if not 0 <= c.pad_token_id < min(c.vocab_size, c.max_position_embeddings):
            raise InvalidArgument("pad_token_id", "the id of a token, and of a position", str(c.pad_token_id))
        if c.transformerDimensions != width:
            raise InvalidArgument("transformerDimensions", f"hidden_size={width}", str(c.transformerDimensions))
        self.transformer = XLMRobertaModel(
            Embeddings(c.vocab_size, c.max_position_embeddings, c.type_vocab_size, width, c.pad_token_id, eps),
            Encoder(c.num_hidden_layers, width, c.intermediate_size, c.num_attention_heads, c.hidden_act, eps),
            width,
        )
        self.LinearTransformation = nn.Linear(width, c.numDims)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """The texts (batch, numDims) among CLIP's embeddings, and their states (batch, tokens, width)."""
        if attention_mask.shape != input_ids.shape:
            found = f"shape {tuple(attention_mask.shape)}"
            raise InvalidArgument("attention_mask", f"shape {tuple(input_ids.shape)}, as input_ids", found)
        if not attention_mask.any(dim=1).all():
            raise InvalidArgument("attention_mask", "a token that stands there, in each text", "none")
        states = self.transformer(input_ids, attention_mask)
        stands = attention_mask.unsqueeze(2).to(states.dtype)
        mean = (states * stands).sum(dim=1) / stands.sum(dim=1)
        return self.LinearTransformation(mean), states
