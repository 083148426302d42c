"""How an attention layer is run: small objects that users may replace by their own."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from calotype.core.errors import MissingDependency
from calotype.ops.attention import attend

if TYPE_CHECKING:
    from calotype.models.layers.attention import Attention

GIVEN_BY_LAYER = {"attn", "hidden_states", "encoder_hidden_states", "attention_mask", "temb"}


def arguments_of(processor: Any) -> frozenset[str] | None:
    """The ``cross_attention_kwargs`` that this processor takes, or None if it takes any."""
    call = processor.forward if isinstance(processor, nn.Module) else processor
    parameters = inspect.signature(call).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters) - GIVEN_BY_LAYER


class Processor(ABC):
    """Norms, projections, heads, residual and scale of an attention layer, around one's own way to weigh."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        residual, picture = hidden_states, hidden_states.ndim == 4
        if attn.spatial_norm is not None:
            hidden_states = attn.spatial_norm(hidden_states, temb)
        if attn.group_norm is not None:
            if picture:
                hidden_states = attn.group_norm(hidden_states)
            else:
                hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
        if picture:
            hidden_states = hidden_states.flatten(2).transpose(1, 2)
        if encoder_hidden_states is not None and attn.norm_cross is not None:
            encoder_hidden_states = attn.norm_encoder_hidden_states(encoder_hidden_states)
        query, key, value = attn.project(hidden_states, encoder_hidden_states)
        if attention_mask is not None:
            attention_mask = attention_mask.unflatten(0, (len(query), -1))
            if attn.add_k_proj is not None:  # the mask speaks of the encoder's keys, which come first
                attention_mask = F.pad(attention_mask, (0, key.shape[2] - attention_mask.shape[-1]))
        hidden_states = self.weigh(attn, query, key, value, attention_mask).transpose(1, 2).flatten(2)
        hidden_states = attn.to_out[1](attn.to_out[0](hidden_states))
        if picture:
            hidden_states = hidden_states.transpose(1, 2).unflatten(2, residual.shape[2:])
        if attn.residual_connection:
            hidden_states = hidden_states + residual
        return hidden_states if attn.rescale_output_factor == 1 else hidden_states / attn.rescale_output_factor

    @abstractmethod
    def weigh(
        self, attn: Attention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """The values as the queries see them; all tensors are (batch, heads, length, width)."""


@dataclass(frozen=True)
class AttnProcessor2_0(Processor):
    """The fastest kernel there is; it adds up in float32 whatever the dtype, so ``upcast_*`` ask nothing more of it."""

    def weigh(
        self, attn: Attention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        return attend(query, key, value, mask, attn.scale)


@dataclass(frozen=True)
class AttnProcessor(Processor):
    """Scores written out, for looking at them and for devices without a kernel."""

    def weigh(
        self, attn: Attention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        shape = query.shape[:2]
        if mask is not None:
            mask = mask.expand(*shape, -1, -1).flatten(0, 1)
        scores = attn.get_attention_scores(query.flatten(0, 1), key.flatten(0, 1), mask)
        return torch.bmm(scores, value.flatten(0, 1)).unflatten(0, shape)


@dataclass(frozen=True)
class SlicedAttnProcessor(Processor):
    """A few heads at a time: the same numbers in less memory, for kernels that write the scores out."""

    slice_size: int

    def weigh(
        self, attn: Attention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        if mask is not None:
            mask = mask.expand(-1, attn.heads, -1, -1)
        result = torch.empty_like(query)
        for start in range(0, attn.heads, self.slice_size):
            heads = slice(start, start + self.slice_size)
            few = None if mask is None else mask[:, heads]
            result[:, heads] = attend(query[:, heads], key[:, heads], value[:, heads], few, attn.scale)
        return result


@dataclass(frozen=True)
class XFormersAttnProcessor(Processor):
    """The kernels of xformers, ``attention_op`` being one of theirs or None for their choice."""

    attention_op: Any = None

    def __post_init__(self) -> None:
        if importlib.util.find_spec("xformers") is None:
            raise MissingDependency(
                "xformers", "an installed xformers", "none", "pip install xformers, or keep the default: it is as fast"
            )

    def weigh(
        self, attn: Attention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        efficient = importlib.import_module("xformers.ops").memory_efficient_attention
        query, key, value = (tensor.transpose(1, 2) for tensor in (query, key, value))
        if mask is not None:
            mask = mask.expand(-1, attn.heads, query.shape[1], -1)
        return efficient(query, key, value, attn_bias=mask, op=self.attention_op, scale=attn.scale).transpose(1, 2)
