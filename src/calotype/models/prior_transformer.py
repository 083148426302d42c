"""The prior of unCLIP: a transformer that denoises the embedding of a picture, told a text (arXiv 2204.06125)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calotype.core.config import register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.model import ModelMixin
from calotype.core.outputs import BaseOutput
from calotype.core.schema import Count
from calotype.models.layers.activations import GELU
from calotype.models.layers.attention import Attention
from calotype.models.layers.embeddings import TimestepEmbedding, Timesteps
from calotype.models.layers.switches import WithAttention
from calotype.models.layers.transformer import FeedForward

UNSEEN = -10000.0  # added to the scores of what is not to be looked at


@dataclass
class PriorTransformerOutput(BaseOutput):
    """The embedding of a picture, or a vector per place, as the prior imagines it."""

    predicted_image_embedding: Tensor  # (batch, width), or (batch, length, width) without a token that asks


class PriorBlock(nn.Module):
    """Self-attention and a feed-forward layer, each with its norm and its residual."""

    def __init__(self, dim: int, num_attention_heads: int, attention_head_dim: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn1 = Attention(dim, heads=num_attention_heads, dim_head=attention_head_dim, dropout=dropout, bias=True)
        self.norm3 = nn.LayerNorm(dim)
        self.ff = FeedForward(dim, dropout=dropout, wide=GELU)

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        hidden_states = self.attn1(self.norm1(hidden_states), attention_mask=attention_mask) + hidden_states
        return self.ff(self.norm3(hidden_states)) + hidden_states


class PriorTransformer(ModelMixin, WithAttention):
    """Predicts the clean embedding of a picture from a noised one, the timestep, and a text."""

    @register_to_config
    def __init__(
        self,
        num_attention_heads: Count = 32,
        attention_head_dim: Count = 64,
        num_layers: Count = 20,
        embedding_dim: Count = 768,
        num_embeddings: Count = 77,
        additional_embeddings: int = 4,
        dropout: float = 0.0,
        time_embed_act_fn: str = "silu",
        norm_in_type: Literal["layer"] | None = None,
        embedding_proj_norm_type: Literal["layer"] | None = None,
        encoder_hid_proj_type: Literal["linear"] | None = "linear",
        added_emb_type: Literal["prd"] | None = "prd",
        time_embed_dim: Count | None = None,
        embedding_proj_dim: Count | None = None,
        clip_embed_dim: Count | None = None,
    ) -> None:
        super().__init__()
        width, places = num_attention_heads * attention_head_dim, num_embeddings + additional_embeddings
        told, made = embedding_proj_dim or embedding_dim, clip_embed_dim or embedding_dim
        self.time_proj = Timesteps(width, True, 0)
        self.time_embedding = TimestepEmbedding(width, time_embed_dim or width, time_embed_act_fn, out_dim=width)
        self.proj_in = nn.Linear(embedding_dim, width)
        self.embedding_proj_norm = nn.LayerNorm(told) if embedding_proj_norm_type else None
        self.embedding_proj = nn.Linear(told, width)
        self.encoder_hidden_states_proj = nn.Linear(embedding_dim, width) if encoder_hid_proj_type else None
        self.positional_embedding = nn.Parameter(torch.zeros(1, places, width))
        self.prd_embedding = nn.Parameter(torch.zeros(1, 1, width)) if added_emb_type else None
        self.transformer_blocks = nn.ModuleList(
            PriorBlock(width, num_attention_heads, attention_head_dim, dropout) for _ in range(num_layers)
        )
        self.norm_in = nn.LayerNorm(width) if norm_in_type else None
        self.norm_out = nn.LayerNorm(width)
        self.proj_to_clip_embeddings = nn.Linear(width, made)
        self.clip_mean = nn.Parameter(torch.zeros(1, made))
        self.clip_std = nn.Parameter(torch.zeros(1, made))

    def forward(
        self,
        hidden_states: Tensor,  # (batch, embedding_dim) or (batch, length, embedding_dim)
        timestep: Tensor | float,  # one for all, or (batch,)
        proj_embedding: Tensor,  # what is told in one vector: (batch, width)
        encoder_hidden_states: Tensor | None = None,  # what is told word by word: (batch, num_embeddings, width)
        attention_mask: Tensor | None = None,  # (batch, num_embeddings), False where no word stands
        return_dict: bool = True,
    ) -> PriorTransformerOutput | tuple[Tensor]:
        self._check(hidden_states, proj_embedding, encoder_hidden_states, attention_mask)
        told = self._told(hidden_states, timestep, proj_embedding, encoder_hidden_states)
        sample = self.proj_in(hidden_states)
        sample = sample.unsqueeze(1) if sample.ndim == 2 else sample
        asking = [] if self.prd_embedding is None else [self.prd_embedding.to(sample.dtype).expand(len(sample), -1, -1)]
        states = torch.cat([*told, sample, *asking], dim=1)
        states = states + self._places(sum(part.shape[1] for part in told), states)
        mask = None if attention_mask is None else self._mask(attention_mask, states)
        if self.norm_in is not None:
            states = self.norm_in(states)
        for block in self.transformer_blocks:
            states = block(states, mask)
        states = self.norm_out(states)
        # the last token asked for the embedding; without it, every place of the sample is answered
        answer = states[:, -1] if asking else states[:, sum(part.shape[1] for part in told) :]
        predicted = self.proj_to_clip_embeddings(answer)
        return PriorTransformerOutput(predicted) if return_dict else (predicted,)

    def post_process_latents(self, prior_latents: Tensor) -> Tensor:
        """The embedding of a picture from the prior's own scale."""
        return prior_latents * self.clip_std + self.clip_mean

    def _check(self, sample: Tensor, told: Tensor, words: Tensor | None, mask: Tensor | None) -> None:
        width, projects = self.config.embedding_dim, self.encoder_hidden_states_proj is not None
        wide = [("hidden_states", sample, width), ("proj_embedding", told, self.embedding_proj.in_features)]
        for name, given, expected in wide:
            if given.shape[-1] != expected:
                raise InvalidArgument(name, f"vectors of {expected}", f"shape {tuple(given.shape)}")
        room = (self.config.num_embeddings, width)
        if projects and (words is None or words.shape[1:] != room):
            found = "None" if words is None else f"shape {tuple(words.shape)}"
            raise InvalidArgument("encoder_hidden_states", f"the words' states (batch, {room[0]}, {width})", found)
        if mask is not None and (words is None or mask.shape != words.shape[:2]):
            found = f"shape {tuple(mask.shape)}"
            raise InvalidArgument("attention_mask", "shape (batch, length), as encoder_hidden_states", found)

    def _told(
        self, hidden_states: Tensor, timestep: Tensor | float, proj_embedding: Tensor, words: Tensor | None
    ) -> list[Tensor]:
        """The words, what was told in one vector, and the time: (batch, length, width) each."""
        if self.encoder_hidden_states_proj is not None:
            words = self.encoder_hidden_states_proj(words)
        if self.embedding_proj_norm is not None:
            proj_embedding = self.embedding_proj_norm(proj_embedding)
        times = torch.as_tensor(timestep, device=hidden_states.device).reshape(-1).expand(len(hidden_states))
        time = self.time_embedding(self.time_proj(times).to(hidden_states.dtype))
        told = self.embedding_proj(proj_embedding)
        return [
            *([] if words is None else [words]),
            *(each.unsqueeze(1) if each.ndim == 2 else each for each in (told, time)),
        ]

    def _places(self, told: int, states: Tensor) -> Tensor:
        """A vector for every place; where only the sample's places are learnt, zeros for those around it."""
        learnt = self.positional_embedding.to(states.dtype)
        if learnt.shape[1] < states.shape[1]:
            learnt = F.pad(learnt, (0, 0, told, 0 if self.prd_embedding is None else 1))
        if learnt.shape[1] != states.shape[1]:
            raise InvalidArgument("hidden_states", f"{learnt.shape[1]} places, with what is told", str(states.shape[1]))
        return learnt

    def _mask(self, attention_mask: Tensor, states: Tensor) -> Tensor:
        """What is added to the scores (batch, queries, keys): nothing later, and no word that does not stand there."""
        length = states.shape[1]
        hidden = F.pad((1 - attention_mask.to(states.dtype)) * UNSEEN, (0, length - attention_mask.shape[1]))
        later = torch.full((length, length), UNSEEN, dtype=states.dtype, device=states.device).triu(1)
        return hidden[:, None, :] + later
