"""CLIP text encoders, with and without projection, under the key names of their checkpoint files."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from calotype.core.config import register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.model import ModelMixin
from calotype.core.outputs import BaseOutput
from calotype.models.clip import CLIPEncoder

# Files written when "the last token" meant the largest id carry 2 here, whatever their vocabulary says.
LEGACY_EOS = 2


@dataclass
class TextOutput(BaseOutput):
    """What a text encoder read: one state per token, and the state at the end of the text."""

    last_hidden_state: Tensor  # (batch, tokens, width), after the final norm
    pooler_output: Tensor | None = None  # (batch, width)
    hidden_states: tuple[Tensor, ...] | None = None  # embeddings and every layer, before the final norm


@dataclass
class ProjectedTextOutput(BaseOutput):
    """What a text encoder read, projected into the space it shares with images."""

    text_embeds: Tensor  # (batch, projection_dim)
    last_hidden_state: Tensor
    hidden_states: tuple[Tensor, ...] | None = None


class TextEmbeddings(nn.Module):
    """A vector per token plus a vector per position."""

    def __init__(self, vocab_size: int, positions: int, width: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.position_embedding = nn.Embedding(positions, width)

    def forward(self, input_ids: Tensor) -> Tensor:
        length, positions = input_ids.shape[-1], self.position_embedding.num_embeddings
        if length > positions:
            raise InvalidArgument("input_ids", f"at most {positions} tokens", str(length), "Truncate the text.")
        return self.token_embedding(input_ids) + self.position_embedding.weight[:length]


class TextTransformer(nn.Module):
    """Embeddings, layers in which a token sees only what stands before it, and a final norm."""

    def __init__(self, embeddings: TextEmbeddings, encoder: CLIPEncoder, norm: nn.LayerNorm, eos: int | None) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.encoder = encoder
        self.final_layer_norm = norm
        self.eos = eos

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> TextOutput:
        input_ids = input_ids.reshape(-1, input_ids.shape[-1])
        length = input_ids.shape[-1]
        seen = torch.ones(length, length, dtype=torch.bool, device=input_ids.device).tril()
        if attention_mask is not None:
            seen = seen & attention_mask[:, None, None, :].bool()
        states = self.encoder(self.embeddings(input_ids), seen)
        last = self.final_layer_norm(states[-1])
        rows = torch.arange(len(last), device=last.device)
        return TextOutput(last, last[rows, self.end(input_ids)], states)

    def end(self, input_ids: Tensor) -> Tensor:
        """Where each text ends."""
        if self.eos is None or self.eos == LEGACY_EOS:
            return input_ids.argmax(-1)
        return (input_ids == self.eos).int().argmax(-1)


class CLIPTextBase(ModelMixin):
    """What both text encoders are made of; ``config.json`` as CLIP writes it."""

    library = "transformers"
    weights_name = "model"
    keys_to_ignore_on_load = (r".*\bposition_ids$",)
    projects = False

    @register_to_config
    def __init__(
        self,
        vocab_size: int = 49408,
        hidden_size: int = 512,
        intermediate_size: int = 2048,
        projection_dim: int = 512,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 8,
        max_position_embeddings: int = 77,
        hidden_act: str = "quick_gelu",
        layer_norm_eps: float = 1e-5,
        attention_dropout: float = 0.0,
        initializer_range: float = 0.02,
        initializer_factor: float = 1.0,
        pad_token_id: int | None = 1,
        bos_token_id: int | None = 49406,
        eos_token_id: int | None = 49407,
        model_type: str = "clip_text_model",
    ) -> None:
        super().__init__()
        width, eps = hidden_size, layer_norm_eps
        self.text_model = TextTransformer(
            TextEmbeddings(vocab_size, max_position_embeddings, width),
            CLIPEncoder(num_hidden_layers, width, intermediate_size, num_attention_heads, hidden_act, eps),
            nn.LayerNorm(width, eps),
            eos_token_id,
        )
        if self.projects:
            self.text_projection = nn.Linear(width, projection_dim, bias=False)

    @classmethod
    def old_keys(cls, key: str) -> str:
        """The present name of a key: newer files of the plain encoder leave ``text_model.`` out."""
        bare = key.startswith(("embeddings.", "encoder.", "final_layer_norm."))
        return f"text_model.{key}" if bare else key

    def get_input_embeddings(self) -> nn.Embedding:
        return self.text_model.embeddings.token_embedding

    def set_input_embeddings(self, embedding: nn.Embedding) -> None:
        self.text_model.embeddings.token_embedding = embedding

    def resize_token_embeddings(self, new_num_tokens: int | None = None) -> nn.Embedding:
        """Make room for so many tokens: known vectors stay, new ones start at the mean of the known."""
        old = self.get_input_embeddings()
        if new_num_tokens is None or new_num_tokens == old.num_embeddings:
            return old
        rows = old.weight.detach()[:new_num_tokens]
        fresh = old.weight.detach().mean(0, keepdim=True).expand(new_num_tokens - len(rows), -1)
        embedding = nn.Embedding.from_pretrained(torch.cat([rows, fresh]), freeze=not old.weight.requires_grad)
        self.set_input_embeddings(embedding)
        self.register_to_config(vocab_size=new_num_tokens)
        return embedding


class CLIPTextModel(CLIPTextBase):
    """The text encoder of SD 1.x, and SDXL's first."""

    def forward(
        self,
        input_ids: Tensor,  # (batch, tokens)
        attention_mask: Tensor | None = None,  # (batch, tokens), 0 where nothing should be read
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> TextOutput | tuple[Tensor, ...]:
        read = self.text_model(input_ids, attention_mask)
        output = TextOutput(
            read.last_hidden_state, read.pooler_output, read.hidden_states if output_hidden_states else None
        )
        return output.to_tuple() if return_dict is False else output


class CLIPTextModelWithProjection(CLIPTextBase):
    """The text encoder whose last state also lands among image embeddings: SDXL's second, and Kandinsky's."""

    projects = True

    def forward(
        self,
        input_ids: Tensor,  # (batch, tokens)
        attention_mask: Tensor | None = None,  # (batch, tokens), 0 where nothing should be read
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> ProjectedTextOutput | tuple[Tensor, ...]:
        read = self.text_model(input_ids, attention_mask)
        embeds = self.text_projection(read.pooler_output)
        output = ProjectedTextOutput(
            embeds, read.last_hidden_state, read.hidden_states if output_hidden_states else None
        )
        return output.to_tuple() if return_dict is False else output
