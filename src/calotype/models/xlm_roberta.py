"""XLM-RoBERTa's encoder, under the key names of its checkpoint files: post-norm layers that see all of a text."""

from __future__ import annotations

from torch import Tensor, nn

from calotype.core.errors import InvalidArgument
from calotype.models.layers.activations import activation
from calotype.ops.attention import attend


class Embeddings(nn.Module):
    """A vector per token, per kind of text, of which there is one, and per position, counted from ``padding`` + 1."""

    def __init__(self, vocabulary: int, positions: int, kinds: int, width: int, padding: int, eps: float) -> None:
        super().__init__()
        self.padding = padding
        self.word_embeddings = nn.Embedding(vocabulary, width, padding_idx=padding)
        self.position_embeddings = nn.Embedding(positions, width, padding_idx=padding)
        self.token_type_embeddings = nn.Embedding(kinds, width)
        self.LayerNorm = nn.LayerNorm(width, eps)

    def forward(self, input_ids: Tensor) -> Tensor:
        length, room = input_ids.shape[-1], self.position_embeddings.num_embeddings - self.padding - 1
        if length > room:
            raise InvalidArgument("input_ids", f"at most {room} tokens", str(length), "Truncate the text.")
        stands = (input_ids != self.padding).long()
        places = stands.cumsum(dim=-1) * stands + self.padding
        words = self.word_embeddings(input_ids) + self.token_type_embeddings.weight[0]
        return self.LayerNorm(words + self.position_embeddings(places))


class Projections(nn.Module):
    """Queries, keys and values, and what the queries see."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (
            project(states).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        return attend(query, key, value, mask).transpose(1, 2).flatten(2)


class Output(nn.Module):
    """A linear layer, added to what came before it, and a norm of both."""

    def __init__(self, inner: int, width: int, eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, width)
        self.LayerNorm = nn.LayerNorm(width, eps)

    def forward(self, fresh: Tensor, before: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(fresh) + before)


class SelfAttention(nn.Module):
    """Every token looks at all that stand there."""

    def __init__(self, width: int, heads: int, eps: float) -> None:
        super().__init__()
        self.self = Projections(width, heads)
        self.output = Output(width, width, eps)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        return self.output(self.self(states, mask), states)


class Wide(nn.Module):
    """A linear layer and its activation."""

    def __init__(self, width: int, inner: int, hidden_act: str) -> None:
        super().__init__()
        self.dense = nn.Linear(width, inner)
        self.act = activation(hidden_act, "hidden_act")

    def forward(self, states: Tensor) -> Tensor:
        return self.act(self.dense(states))


class Layer(nn.Module):
    """Attention and two linear layers."""

    def __init__(self, width: int, inner: int, heads: int, hidden_act: str, eps: float) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, eps)
        self.intermediate = Wide(width, inner, hidden_act)
        self.output = Output(inner, width, eps)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        states = self.attention(states, mask)
        return self.output(self.intermediate(states), states)


class Encoder(nn.Module):
    """A stack of layers."""

    def __init__(self, depth: int, width: int, inner: int, heads: int, hidden_act: str, eps: float) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(width, inner, heads, hidden_act, eps) for _ in range(depth))

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layer:
            states = layer(states, mask)
        return states


class Pooler(nn.Module):
    """A layer that the files hold and that nobody asks here."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)


class XLMRobertaModel(nn.Module):
    """Embeddings and layers."""

    def __init__(self, embeddings: Embeddings, encoder: Encoder, width: int) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.encoder = encoder
        self.pooler = Pooler(width)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """A state (batch, tokens, width) for each token; those that the mask hides are looked at by none."""
        return self.encoder(self.embeddings(input_ids), attention_mask[:, None, None, :].bool())
