"""Cross-attention that looks at pictures beside the text (IP-Adapter, arXiv 2308.06721)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from calotype.models.layers.processors import AttnProcessor2_0, Processor

if TYPE_CHECKING:
    from calotype.models.layers.attention import Attention

Scale = float | Sequence[float]  # of an adapter, or of each of its pictures, which then have masks


@dataclass(frozen=True)
class Look:
    """Keys and values (batch, heads, words, width) of pictures, how much they count, and for which queries."""

    key: Tensor
    value: Tensor
    scale: float
    mask: Tensor | None = None  # (1, 1, queries, 1)


@dataclass(frozen=True)
class LooksBeside(Processor):
    """Weighs the text as another processor does, then each picture the same way, and adds up."""

    text: Processor
    looks: Sequence[Look]

    def weigh(self, attn: Attention, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        seen = self.text.weigh(attn, query, key, value, mask)
        for look in self.looks:
            added = self.text.weigh(attn, query, look.key, look.value, None)
            seen = seen + look.scale * (added if look.mask is None else added * look.mask)
        return seen


class IPAdapterAttnProcessor2_0(nn.Module):
    """The layers that one cross-attention layer needs for the pictures of one adapter or of several.

    ``text`` is the processor that ran the layer before; it goes on weighing.
    """

    def __init__(
        self,
        hidden_size: int,
        cross_attention_dim: int,
        num_tokens: Sequence[int] = (4,),
        scale: float | Sequence[Scale] = 1.0,
        text: Processor | None = None,
    ) -> None:
        super().__init__()
        self.hidden_size, self.cross_attention_dim, self.num_tokens = hidden_size, cross_attention_dim, num_tokens
        self.scale: list[Scale] = [scale] * len(num_tokens) if isinstance(scale, (int, float)) else list(scale)
        self.text = text or AttnProcessor2_0()
        for name in ("to_k_ip", "to_v_ip"):
            layers = [nn.Linear(cross_attention_dim, hidden_size, bias=False) for _ in num_tokens]
            self.add_module(name, nn.ModuleList(layers))

    def forward(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        image_words: Sequence[Tensor] = (),  # for each adapter (batch, pictures, words, width)
        image_scales: Mapping[nn.Module, Sequence[Scale]] | None = None,  # of a call, in place of those here
        ip_adapter_masks: Tensor
        | Sequence[Tensor | None]
        | None = None,  # for each adapter (1, pictures, rows, columns)
    ) -> Tensor:
        scales = self.scale if image_scales is None else image_scales[self]
        masks = listed_masks(ip_adapter_masks, len(image_words))
        queries = hidden_states.shape[1] if hidden_states.ndim == 3 else hidden_states[0, 0].numel()
        looks = list[Look]()
        for i, (words, scale, mask) in enumerate(zip(image_words, scales, masks, strict=True)):
            if mask is None:
                looks += self._looks(attn, i, words.flatten(1, 2), scale, None)
                continue
            small = spread_over(mask[0].to(words), queries)
            each = [scale] * len(small) if isinstance(scale, (int, float)) else scale
            for k, own in enumerate(each):
                looks += self._looks(attn, i, words[:, k], own, small[k])
        return LooksBeside(self.text, looks)(attn, hidden_states, encoder_hidden_states, attention_mask)

    def _looks(self, attn: Attention, i: int, words: Tensor, scale: Scale, mask: Tensor | None) -> list[Look]:
        """The look of one adapter at these words, if it counts at all."""
        assert isinstance(scale, (int, float))
        if not scale:
            return []
        key, value = (self.get_submodule(f"{name}.{i}")(words) for name in ("to_k_ip", "to_v_ip"))
        heads = attn.head_to_batch_dim(key, out_dim=4), attn.head_to_batch_dim(value, out_dim=4)
        return [Look(*heads, scale, None if mask is None else mask[None, None, :, None])]


def listed_masks(masks: Tensor | Sequence[Tensor | None] | None, adapters: int) -> list[Tensor | None]:
    """The masks of each adapter: those of one tensor (adapters, 1, rows, columns) are each for one picture."""
    if masks is None:
        return [None] * adapters
    return list(masks.unsqueeze(1)) if isinstance(masks, Tensor) else list(masks)


def spread_over(masks: Tensor, queries: int) -> Tensor:
    """Masks (count, rows, columns) as (count, queries): small, at their own ratio, with zeros where that is too few."""
    ratio = masks.shape[2] / masks.shape[1]
    rows = int((queries / ratio) ** 0.5)
    rows += int(bool(queries % rows)) if rows else 1
    small = F.interpolate(masks[None], size=(rows, max(1, queries // rows)), mode="bicubic")[0].flatten(1)
    return F.pad(small, (0, max(0, queries - small.shape[1])))[:, :queries]
