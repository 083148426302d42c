"""The transformer of Helios, which makes films a chunk at a time from noise, a text and what it remembers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from types import MethodType
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from calotype.core.config import register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.model import ModelMixin, see_hooks
from calotype.core.outputs import BaseOutput
from calotype.core.schema import Count
from calotype.models.helios_attention import ScaleMode
from calotype.models.helios_blocks import HeliosBlock, OutputNorm, Told
from calotype.models.helios_conditioning import HeliosConditioning, TextMemory
from calotype.models.helios_history import POOLS, History, check_latents, checked_indices, pieces
from calotype.models.helios_patches import Patches, film, grid_of
from calotype.models.helios_rope import Places, places, together
from calotype.models.layers.spread import ALONE, Spread


@dataclass
class HeliosTransformerOutput(BaseOutput):
    """The velocity from clean frames to noise."""

    sample: Tensor  # (batch, channels, frames, height, width)


class HeliosTransformer3DModel(ModelMixin):
    """Predicts the velocity of a chunk of latent frames, told a text and the frames before."""

    keys_to_ignore_on_load: ClassVar[tuple[str, ...]] = (r"\bnorm_added_q\b",)
    _keep_in_fp32_modules: ClassVar[tuple[str, ...]] = (
        "time_embedder", "scale_shift_table", "norm1", "norm2", "norm3", "history_key_scale",
    )  # fmt: skip
    spread: Spread = ALONE  # who shares the tokens

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[Count, Count, Count] = (1, 2, 2),
        num_attention_heads: Count = 40,
        attention_head_dim: Count = 128,
        in_channels: Count = 16,
        out_channels: Count | None = 16,
        text_dim: Count = 4096,
        freq_dim: Count = 256,
        ffn_dim: Count = 13824,
        num_layers: Count = 40,
        cross_attn_norm: bool = True,
        qk_norm: Literal["rms_norm_across_heads"] = "rms_norm_across_heads",
        eps: float = 1e-6,
        added_kv_proj_dim: None = None,
        rope_dim: tuple[Count, Count, Count] = (44, 42, 42),
        rope_theta: float = 10000.0,
        guidance_cross_attn: bool = True,
        zero_history_timestep: bool = True,
        has_multi_term_memory_patch: bool = True,
        is_amplify_history: bool = False,
        history_scale_mode: ScaleMode = "per_head",
    ) -> None:
        super().__init__()
        if patch_size[0] != 1:
            raise InvalidArgument("patch_size", "(1, height, width): patches of one frame", str(patch_size))
        if sum(rope_dim) != attention_head_dim or any(width % 2 for width in rope_dim):
            expected = f"three even numbers that make attention_head_dim={attention_head_dim}"
            raise InvalidArgument("rope_dim", expected, str(rope_dim))
        dim = num_attention_heads * attention_head_dim
        self.patch_embedding = Patches(in_channels, dim, patch_size)
        if has_multi_term_memory_patch:
            self.patch_short = Patches(in_channels, dim, patch_size, POOLS["short"])
            self.patch_mid = Patches(in_channels, dim, patch_size, POOLS["mid"])
            self.patch_long = Patches(in_channels, dim, patch_size, POOLS["long"])
        self.condition_embedder = HeliosConditioning(dim, freq_dim, text_dim)
        self.blocks = nn.ModuleList(
            HeliosBlock(
                dim,
                ffn_dim,
                num_attention_heads,
                eps,
                norms_before_text=cross_attn_norm,
                everyone_reads=not guidance_cross_attn,
                history_scale=history_scale_mode if is_amplify_history else None,
            )
            for _ in range(num_layers)
        )
        self.norm_out = OutputNorm(dim, eps)
        self.proj_out = nn.Linear(dim, (out_channels or in_channels) * patch_size[1] * patch_size[2])

    @classmethod
    def old_keys(cls, key: str) -> str:
        """The present names of what files called otherwise before the release."""
        return re.sub(
            r"^scale_shift_table$", "norm_out.scale_shift_table", key.removeprefix("multi_term_memory_patch.")
        )

    def forward(
        self,
        hidden_states: Tensor,  # (batch, channels, frames, height, width)
        timestep: Tensor,  # (batch,), or one for all
        encoder_hidden_states: Tensor,  # (batch, words, text_dim)
        indices_hidden_states: Tensor | None = None,  # (1 or batch, frames), as all indices
        indices_latents_history_short: Tensor | None = None,
        indices_latents_history_mid: Tensor | None = None,
        indices_latents_history_long: Tensor | None = None,
        latents_history_short: Tensor | None = None,  # (batch, channels, frames, height, width) at their full size
        latents_history_mid: Tensor | None = None,
        latents_history_long: Tensor | None = None,
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
    ) -> HeliosTransformerOutput | tuple[Tensor]:
        if attention_kwargs:
            fix = "Pipelines take it: it is the strength of LoRAs."
            raise InvalidArgument("attention_kwargs", "None", repr(attention_kwargs), fix)
        history = self.read_history(
            latents_history_short=latents_history_short,
            latents_history_mid=latents_history_mid,
            latents_history_long=latents_history_long,
            indices_latents_history_short=indices_latents_history_short,
            indices_latents_history_mid=indices_latents_history_mid,
            indices_latents_history_long=indices_latents_history_long,
        )
        text = self.read_text(encoder_hidden_states)
        before = latents_history_short, latents_history_mid, latents_history_long
        self.spread.agree(hidden_states, timestep, encoder_hidden_states, *before)
        sample = self.predict(hidden_states, timestep, text, history, indices_hidden_states)
        return HeliosTransformerOutput(sample) if return_dict else (sample,)

    def read_text(self, encoder_hidden_states: Tensor) -> TextMemory:
        """What all layers look at of the texts (batch, words, text_dim): once for each prompt."""
        shape, width = tuple(encoder_hidden_states.shape), self.config.text_dim
        if len(shape) != 3 or shape[2] != width or 0 in shape:
            raise InvalidArgument("encoder_hidden_states", f"shape (batch, words, {width})", f"shape {shape}")
        text = self.condition_embedder.text_embedder(encoder_hidden_states.to(self.dtype))
        return TextMemory(tuple(cast(HeliosBlock, block).attn2.read(text) for block in self.blocks))

    def read_history(
        self,
        *,
        latents_history_short: Tensor | None = None,
        latents_history_mid: Tensor | None = None,
        latents_history_long: Tensor | None = None,
        indices_latents_history_short: Tensor | None = None,
        indices_latents_history_mid: Tensor | None = None,
        indices_latents_history_long: Tensor | None = None,
    ) -> History | None:
        """The frames before as tokens: once for each chunk. None if there are none."""
        latents = latents_history_short, latents_history_mid, latents_history_long
        indices = indices_latents_history_short, indices_latents_history_mid, indices_latents_history_long
        found = pieces(latents, indices, self.config.in_channels, self.config.patch_size[1:])
        if not found:
            return None
        if not self.config.has_multi_term_memory_patch:
            expected = "None: this network has no patches for a history"
            raise InvalidArgument(f"latents_history_{found[0].distance}", expected, "latents")
        tokens = [self.get_submodule(f"patch_{piece.distance}")(piece.latents.to(self.dtype)) for piece in found]
        where = together([self._places(piece.indices, piece.latents, piece.pool) for piece in found])
        clean = self.config.zero_history_timestep
        rows = self.condition_embedder(torch.zeros(1, device=where.cos.device), self.dtype)[1] if clean else None
        return History(self.spread.part(torch.cat(tokens, dim=1)), where, rows)

    def place(self, indices: Tensor, latents: Tensor) -> Places:
        """Where the patches of these latents stand, if their frames have these indices: for many ``predict``."""
        return self._places(checked_indices("indices", indices, latents), latents)

    def predict(
        self,
        hidden_states: Tensor,  # (batch, channels, frames, height, width)
        timestep: Tensor,  # (batch,), or one for all
        text: TextMemory,
        history: History | None = None,  # of one film for all, or of as many as there are latents
        indices: Tensor | Places | None = None,  # (1 or batch, frames), or what ``place`` made of them; None: 0, 1, ...
    ) -> Tensor:
        """The velocity of the latents, from what was read before."""
        check_latents("hidden_states", hidden_states, self.config.in_channels, self.config.patch_size[1:])
        if not isinstance(indices, Places):
            counted = torch.arange(hidden_states.shape[2], device=hidden_states.device)
            frames = checked_indices("indices_hidden_states", counted if indices is None else indices, hidden_states)
            indices = self._places(frames, hidden_states)
        self._check(hidden_states, timestep, text, history, indices)
        time, rows = self.condition_embedder(timestep.reshape(-1), self.dtype)
        rows = rows[:, None]
        states = self.spread.part(self.patch_embedding(hidden_states.to(self.dtype)))
        where, kinds, past = self._part(indices), [indices.tokens], 0
        if history is not None:
            past, kinds = history.tokens.shape[1], [history.places.tokens, *kinds]
            states = torch.cat([history.tokens.expand(len(states), -1, -1), states], dim=1)
            where = together([self._part(history.places), where])
            if history.rows is not None:
                rows = torch.cat([history.rows.expand_as(rows[:, 0])[:, None], rows], dim=1)
        told = Told(past, where, rows, self.spread.attention(kinds))
        for block, words in zip(self.blocks, text.layers, strict=True):
            # nothing asks for the history after the last block
            states = block(states, told, words, forgets=block is self.blocks[-1])
        made = self.spread.whole(self.proj_out(self.norm_out(states, time)), indices.tokens)
        return film(made, grid_of(hidden_states, self.config.patch_size), self.config.patch_size)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile ``predict``, by which all predictions are made."""
        see_hooks()
        predict = torch.compile(MethodType(HeliosTransformer3DModel.predict, self), *args, **kwargs)
        # with CUDA graphs the next prediction is written over this one
        vars(self)["predict"] = lambda *inputs, **named: predict(*inputs, **named).clone()

    def _check(
        self, latents: Tensor, timestep: Tensor, text: TextMemory, history: History | None, where: Places
    ) -> None:
        """Refuse what was read for another batch, or another size."""
        batch = len(latents)
        counts = [("timestep", timestep.numel()), ("encoder_hidden_states", text.batch)]
        counts += [] if history is None else [("latents_history_short", len(history.tokens))]
        for name, count in counts:
            if count not in (1, batch):
                raise InvalidArgument(name, f"one, or {batch} as there are hidden_states", str(count))
        tokens = math.prod(grid_of(latents, self.config.patch_size))
        if where.tokens != tokens:
            raise InvalidArgument("indices", f"the places of {tokens} tokens", f"those of {where.tokens}")

    def _places(self, indices: Tensor, latents: Tensor, pool: int = 1) -> Places:
        grid = grid_of(latents, self.config.patch_size)[1:]
        return places(indices, grid, self.config.rope_dim, self.config.rope_theta, pool)

    def _part(self, where: Places) -> Places:
        return Places(self.spread.part(where.cos), self.spread.part(where.sin))
