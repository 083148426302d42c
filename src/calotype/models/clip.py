"""The CLIP transformer that text and vision encoders share: pre-norm layers under the names of the checkpoint files."""

from __future__ import annotations

from torch import Tensor, nn

from calotype.core.errors import InvalidArgument
from calotype.models.layers.activations import activation
from calotype.ops.attention import attend


class CLIPAttention(nn.Module):
    """Self-attention with a bias on every projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise InvalidArgument("num_attention_heads", f"a divisor of hidden_size={width}", str(heads))
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(attend(query, key, value, mask).transpose(1, 2).flatten(2))


class CLIPMLP(nn.Module):
    """Two linear maps with the activation of the config between them."""

    def __init__(self, width: int, inner: int, hidden_act: str) -> None:
        super().__init__()
        self.activation_fn = activation(hidden_act, "hidden_act")
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.activation_fn(self.fc1(x)))


class CLIPLayer(nn.Module):
    """Attention, then MLP, each on a normalised copy and added to what came in."""

    def __init__(self, width: int, inner: int, heads: int, hidden_act: str, eps: float) -> None:
        super().__init__()
        self.self_attn = CLIPAttention(width, heads)
        self.layer_norm1 = nn.LayerNorm(width, eps)
        self.mlp = CLIPMLP(width, inner, hidden_act)
        self.layer_norm2 = nn.LayerNorm(width, eps)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class CLIPEncoder(nn.Module):
    """A stack of layers."""

    def __init__(self, depth: int, width: int, inner: int, heads: int, hidden_act: str, eps: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CLIPLayer(width, inner, heads, hidden_act, eps) for _ in range(depth))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """The embeddings and the output of every layer, in that order."""
        states = [x]
        for layer in self.layers:
            states.append(layer(states[-1], mask))
        return tuple(states)
