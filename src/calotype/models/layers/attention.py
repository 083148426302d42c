"""Attention under the file format's names."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from calotype.core.errors import InvalidArgument
from calotype.models.layers.image_attention import IPAdapterAttnProcessor2_0
from calotype.models.layers.processors import (
    AttnProcessor2_0,
    Processor,
    SlicedAttnProcessor,
    XFormersAttnProcessor,
    arguments_of,
)
from calotype.models.layers.spatial_norm import SpatialNorm

Heads = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
CROSS_NORMS = ("layer_norm", "group_norm")


def _cross_norm(kind: str | None, context: int, added: int | None, groups: int) -> nn.Module | None:
    if kind is None:
        return None
    if kind not in CROSS_NORMS:
        raise InvalidArgument("cross_attention_norm", f"None or one of {', '.join(CROSS_NORMS)}", repr(kind))
    return nn.LayerNorm(context) if kind == "layer_norm" else nn.GroupNorm(groups, added or context)


class Stacked(nn.Module):
    """Linear layers that read the same states, as one; no part of the file, which keeps the layers apart."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, *layers: nn.Linear) -> None:
        super().__init__()
        weights: list[torch.Tensor] = [layer.weight.detach() for layer in layers]
        biases: list[torch.Tensor] = [layer.bias.detach() for layer in layers if layer.bias is not None]
        self.register_buffer("weight", torch.cat(weights), persistent=False)
        self.register_buffer("bias", torch.cat(biases) if biases else None, persistent=False)
        self._layers = layers

    @property
    def stands_for_all(self) -> bool:
        """Whether nobody listens to the single layers; adapters do."""
        return not any(layer._forward_hooks for layer in self._layers)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden_states, self.weight, self.bias)


class Attention(nn.Module):
    """Queries from the hidden states; keys and values from them or from the encoder's, with ``added_kv_proj_dim`` both.

    The layer holds the weights and the parts; its ``processor`` tells the story, and may be replaced.
    """

    def __init__(
        self,
        query_dim: int,
        cross_attention_dim: int | None = None,
        heads: int = 8,
        dim_head: int = 64,
        dropout: float = 0.0,
        bias: bool = False,
        upcast_attention: bool = False,
        upcast_softmax: bool = False,
        cross_attention_norm: str | None = None,
        cross_attention_norm_num_groups: int = 32,
        added_kv_proj_dim: int | None = None,
        norm_num_groups: int | None = None,
        only_cross_attention: bool = False,
        eps: float = 1e-5,
        rescale_output_factor: float = 1.0,
        residual_connection: bool = False,
        spatial_norm_dim: int | None = None,
    ) -> None:
        super().__init__()
        inner, context = heads * dim_head, cross_attention_dim or query_dim
        self.heads, self.scale = heads, dim_head**-0.5
        self.is_cross_attention, self.only_cross_attention = cross_attention_dim is not None, only_cross_attention
        self.upcast_attention, self.upcast_softmax = upcast_attention, upcast_softmax
        self.rescale_output_factor, self.residual_connection = rescale_output_factor, residual_connection
        self.group_norm = nn.GroupNorm(norm_num_groups, query_dim, eps=eps) if norm_num_groups else None
        self.spatial_norm = SpatialNorm(query_dim, spatial_norm_dim) if spatial_norm_dim else None
        self.norm_cross = _cross_norm(cross_attention_norm, context, added_kv_proj_dim, cross_attention_norm_num_groups)
        self.to_q = nn.Linear(query_dim, inner, bias=bias)
        self.to_k = self.to_v = self.add_k_proj = self.add_v_proj = self.to_qkv = self.to_kv = None
        if added_kv_proj_dim is None or not only_cross_attention:
            self.to_k, self.to_v = nn.Linear(context, inner, bias=bias), nn.Linear(context, inner, bias=bias)
        if added_kv_proj_dim is not None:
            self.add_k_proj, self.add_v_proj = nn.Linear(added_kv_proj_dim, inner), nn.Linear(added_kv_proj_dim, inner)
        self.to_out = nn.ModuleList([nn.Linear(inner, query_dim), nn.Dropout(dropout)])
        self.processor: Any = AttnProcessor2_0()

    def forward(
        self,
        hidden_states: torch.Tensor,  # (batch, length, channels) or (batch, channels, height, width)
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,  # (batch, 1, keys), added to the scores
        temb: torch.Tensor | None = None,  # the latents that a spatial norm looks at
        **cross_attention_kwargs: Any,
    ) -> torch.Tensor:
        if cross_attention_kwargs:  # the network's door refuses what no processor takes; each gets what it knows
            known = arguments_of(self.processor)
            cross_attention_kwargs = {k: v for k, v in cross_attention_kwargs.items() if known is None or k in known}
        if self.spatial_norm is not None:
            cross_attention_kwargs["temb"] = temb
        return self.processor(
            self,
            hidden_states,
            encoder_hidden_states=encoder_hidden_states,
            attention_mask=attention_mask,
            **cross_attention_kwargs,
        )

    def project(self, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor | None) -> Heads:
        """Queries, keys and values, each (batch, heads, length, width)."""
        if self.to_qkv is not None and encoder_hidden_states is None and self.to_qkv.stands_for_all:
            query, key, value = self.to_qkv(hidden_states).chunk(3, dim=-1)
            return self._split(query), self._split(key), self._split(value)
        query = self._split(self.to_q(hidden_states))
        if self.add_k_proj is None or self.add_v_proj is None:
            return query, *self._keys_and_values(
                hidden_states if encoder_hidden_states is None else encoder_hidden_states
            )
        key, value = (
            self._split(self.add_k_proj(encoder_hidden_states)),
            self._split(self.add_v_proj(encoder_hidden_states)),
        )
        if self.to_k is None:
            return query, key, value
        own_key, own_value = self._keys_and_values(hidden_states)
        return query, torch.cat([key, own_key], dim=2), torch.cat([value, own_value], dim=2)

    def _keys_and_values(self, context: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.to_kv is not None and self.to_kv.stands_for_all:
            key, value = self.to_kv(context).chunk(2, dim=-1)
        else:
            assert self.to_k is not None and self.to_v is not None
            key, value = self.to_k(context), self.to_v(context)
        return self._split(key), self._split(value)

    def _split(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def norm_encoder_hidden_states(self, encoder_hidden_states: torch.Tensor) -> torch.Tensor:
        assert self.norm_cross is not None
        if isinstance(self.norm_cross, nn.GroupNorm):
            return self.norm_cross(encoder_hidden_states.transpose(1, 2)).transpose(1, 2)
        return self.norm_cross(encoder_hidden_states)

    # for processors that users bring along

    def head_to_batch_dim(self, tensor: torch.Tensor, out_dim: int = 3) -> torch.Tensor:
        """(batch, length, channels) to (batch x heads, length, width), or with ``out_dim=4`` the heads apart."""
        heads = self._split(tensor)
        return heads if out_dim == 4 else heads.flatten(0, 1)

    def batch_to_head_dim(self, tensor: torch.Tensor) -> torch.Tensor:
        """(batch x heads, length, width) back to (batch, length, channels)."""
        return tensor.unflatten(0, (-1, self.heads)).transpose(1, 2).flatten(2)

    def prepare_attention_mask(
        self, attention_mask: torch.Tensor | None, target_length: int, batch_size: int, out_dim: int = 3
    ) -> torch.Tensor | None:
        """A mask for every head; one of another length than the target's is followed by ``target_length`` zeros."""
        if attention_mask is None:
            return None
        if attention_mask.shape[-1] != target_length:
            attention_mask = F.pad(attention_mask, (0, target_length))
        if out_dim == 4:
            return attention_mask.unsqueeze(1).repeat_interleave(self.heads, dim=1)
        told_per_head = len(attention_mask) >= batch_size * self.heads
        return attention_mask if told_per_head else attention_mask.repeat_interleave(self.heads, dim=0)

    def get_attention_scores(
        self, query: torch.Tensor, key: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """``softmax(query @ key * scale + mask)``, (batch x heads, queries, keys), in float32 if the layer says so."""
        dtype = query.dtype
        if self.upcast_attention:
            query, key = query.float(), key.float()
        if attention_mask is None:
            scores = torch.bmm(query, key.transpose(1, 2)) * self.scale
        else:
            scores = torch.baddbmm(attention_mask.to(query.dtype), query, key.transpose(1, 2), alpha=self.scale)
        return (scores.float() if self.upcast_softmax else scores).softmax(dim=-1).to(dtype)

    # switches

    def get_processor(self) -> Any:
        return self.processor

    def set_processor(self, processor: Any) -> None:
        """Let this processor run the layer: ``processor(attn, hidden_states, encoder_hidden_states=..., ...)``."""
        if not callable(processor):
            raise InvalidArgument("processor", "a callable attention processor", type(processor).__name__)
        self._modules.pop("processor", None)  # a module with weights may give way to a plain object, and back
        self.__dict__.pop("processor", None)
        self.processor = processor

    def weigh_with(self, processor: Processor) -> None:
        """Weigh in this way; pictures that the layer looks at beside the text, it goes on looking at."""
        if isinstance(self.processor, IPAdapterAttnProcessor2_0):
            self.processor.text = processor
        else:
            self.set_processor(processor)

    def set_attention_slice(self, slice_size: int | None) -> None:
        """Weigh so many heads at a time, or all at once with None."""
        self.check_slice(slice_size)
        self.weigh_with(AttnProcessor2_0() if slice_size is None else SlicedAttnProcessor(slice_size))

    def check_slice(self, slice_size: int | None) -> None:
        """Refuse a number of heads that this layer does not have."""
        if slice_size is not None and not 1 <= slice_size <= self.heads:
            raise InvalidArgument("slice_size", f"1 to {self.heads}, the heads of the layer", repr(slice_size))

    def set_use_memory_efficient_attention_xformers(
        self, use_memory_efficient_attention_xformers: bool, attention_op: Any = None
    ) -> None:
        """Weigh with xformers, or no longer."""
        wanted = use_memory_efficient_attention_xformers
        self.weigh_with(XFormersAttnProcessor(attention_op) if wanted else AttnProcessor2_0())

    def fuse_projections(self, fuse: bool = True) -> None:
        """One matrix product where several read the same states (``to_qkv``, or ``to_kv`` across); the parts stay."""
        self.to_qkv = self.to_kv = None
        if not fuse or self.to_k is None or self.to_v is None or self.add_k_proj is not None:
            return
        if self.is_cross_attention:
            self.to_kv = Stacked(self.to_k, self.to_v)
        else:
            self.to_qkv = Stacked(self.to_q, self.to_k, self.to_v)
