"""The denoising network of Stable Diffusion and Kandinsky: down, middle and up, told the time and the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import nn

from calotype.core.atomic import Saving
from calotype.core.config import register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.outputs import BaseOutput
from calotype.core.schema import Count
from calotype.models.layers.activations import activation
from calotype.models.layers.conditioning import Conditioned
from calotype.models.layers.embeddings import ImageHintTimeEmbedding
from calotype.models.layers.image_words import MultiIPAdapterImageProjection
from calotype.models.layers.switches import WithAttention
from calotype.models.single_file import SingleFile
from calotype.models.unet_blocks import Told, UpBlock
from calotype.models.unet_layout import Layout, per_level


@dataclass
class UNet2DConditionOutput(BaseOutput):
    """What the network predicts for the sample, in the sample's shape."""

    sample: torch.Tensor


class UNet2DConditionModel(Conditioned, WithAttention, SingleFile):
    """Predicts the noise (or what the scheduler asks for) in latents, given a timestep and the words' states."""

    component = "unet"

    @register_to_config
    def __init__(
        self,
        sample_size: int | tuple[int, int] | None = None,
        in_channels: Count = 4,
        out_channels: Count = 4,
        center_input_sample: bool = False,
        flip_sin_to_cos: bool = True,
        freq_shift: int = 0,
        down_block_types: tuple[str, ...] = (
            "CrossAttnDownBlock2D",
            "CrossAttnDownBlock2D",
            "CrossAttnDownBlock2D",
            "DownBlock2D",
        ),
        mid_block_type: str | None = "UNetMidBlock2DCrossAttn",
        up_block_types: tuple[str, ...] = (
            "UpBlock2D",
            "CrossAttnUpBlock2D",
            "CrossAttnUpBlock2D",
            "CrossAttnUpBlock2D",
        ),
        only_cross_attention: bool | tuple[bool, ...] = False,
        block_out_channels: tuple[Count, ...] = (320, 640, 1280, 1280),
        layers_per_block: Count | tuple[Count, ...] = 2,
        downsample_padding: int = 1,
        mid_block_scale_factor: float = 1,
        dropout: float = 0.0,
        act_fn: str = "silu",
        norm_num_groups: Count = 32,
        norm_eps: float = 1e-5,
        cross_attention_dim: Count | tuple[Count, ...] = 1280,
        transformer_layers_per_block: int | tuple[int | tuple[int, ...], ...] = 1,
        reverse_transformer_layers_per_block: tuple[int | tuple[int, ...], ...] | None = None,
        encoder_hid_dim: Count | None = None,
        encoder_hid_dim_type: Literal["text_proj", "text_image_proj", "image_proj", "ip_image_proj"] | None = None,
        attention_head_dim: Count | tuple[Count, ...] = 8,
        num_attention_heads: Count | tuple[Count, ...] | None = None,
        dual_cross_attention: Literal[False] = False,
        use_linear_projection: bool = False,
        class_embed_type: Literal["timestep", "identity", "projection", "simple_projection"] | None = None,
        addition_embed_type: Literal["text", "text_image", "text_time", "image", "image_hint"] | None = None,
        addition_time_embed_dim: Count | None = None,
        num_class_embeds: Count | None = None,
        upcast_attention: bool = False,
        resnet_time_scale_shift: Literal["default", "scale_shift"] = "default",
        resnet_skip_time_act: bool = False,
        resnet_out_scale_factor: float = 1.0,
        time_embedding_type: Literal["positional", "fourier"] = "positional",
        time_embedding_dim: Count | None = None,
        time_embedding_act_fn: str | None = None,
        timestep_post_act: str | None = None,
        time_cond_proj_dim: Count | None = None,
        conv_in_kernel: Count = 3,
        conv_out_kernel: Count = 3,
        projection_class_embeddings_input_dim: Count | None = None,
        attention_type: Literal["default"] = "default",
        class_embeddings_concat: bool = False,
        mid_block_only_cross_attention: bool | None = None,
        cross_attention_norm: Literal["layer_norm", "group_norm"] | None = None,
        addition_embed_type_num_heads: Count = 64,
    ) -> None:
        super().__init__()
        first = per_level("block_out_channels", block_out_channels, len(down_block_types))[0]
        self.conv_in = nn.Conv2d(in_channels, first, conv_in_kernel, padding=(conv_in_kernel - 1) // 2)
        layout = Layout.of(self.config, self.make_conditioning(self.config))
        self.down_blocks = layout.down_blocks()
        self.up_blocks = layout.up_blocks()
        self.mid_block = None if mid_block_type is None else layout.mid_block(mid_block_type)
        self.conv_norm_out = nn.GroupNorm(norm_num_groups, first, eps=norm_eps)
        self.conv_act = activation(act_fn)
        self.conv_out = nn.Conv2d(first, out_channels, conv_out_kernel, padding=(conv_out_kernel - 1) // 2)

    def forward(
        self,
        sample: torch.Tensor,  # (batch, in_channels, height, width)
        timestep: torch.Tensor | float,  # one for all, or (batch,)
        encoder_hidden_states: torch.Tensor | None,  # (batch, length, width); None where an image stands for the words
        class_labels: torch.Tensor | None = None,
        timestep_cond: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,  # both masks: (batch, keys), 1 where to look and 0 where not
        cross_attention_kwargs: dict[str, Any] | None = None,
        added_cond_kwargs: Mapping[str, Any] | None = None,
        down_block_additional_residuals: Sequence[torch.Tensor] | None = None,
        mid_block_additional_residual: torch.Tensor | None = None,
        down_intrablock_additional_residuals: Sequence[torch.Tensor] | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> UNet2DConditionOutput | tuple[torch.Tensor]:
        if down_block_additional_residuals is not None and mid_block_additional_residual is None:
            fix = "An adapter's go into down_intrablock_additional_residuals."
            raise InvalidArgument(
                "mid_block_additional_residual", "the middle of a ControlNet's residuals", "None", fix
            )
        if (
            encoder_hidden_states is None
            and self.config.encoder_hid_dim_type != "image_proj"
            and self.attention_layers()
        ):
            raise InvalidArgument("encoder_hidden_states", "the words' states (batch, length, width)", "None")
        kwargs = self.known_to_processors(cross_attention_kwargs)
        masks = as_scores(attention_mask, sample.dtype), as_scores(encoder_attention_mask, sample.dtype)
        if self.config.center_input_sample:
            sample = 2 * sample - 1
        time = self.embed_time(sample, timestep, timestep_cond, class_labels)
        time, states = self.embed_added(time, encoder_hidden_states, added_cond_kwargs)
        if isinstance(self.encoder_hid_proj, MultiIPAdapterImageProjection):
            kwargs["image_words"] = self.encoder_hid_proj((added_cond_kwargs or {})["image_embeds"])
        told = Told(time, states, *masks, kwargs)
        if isinstance(self.add_embedding, ImageHintTimeEmbedding):
            sample = torch.cat([sample, self._hint(added_cond_kwargs or {})], dim=1)

        sample = self.conv_in(sample)
        seen, adapted = [sample], list(down_intrablock_additional_residuals or ())
        for block in self.down_blocks:
            extra = {"additional_residuals": adapted.pop(0)} if adapted else {}
            sample, passed = block(hidden_states=sample, **told.to(block), **extra)
            seen += passed
        if down_block_additional_residuals is not None:
            if len(down_block_additional_residuals) != len(seen):
                count = str(len(down_block_additional_residuals))
                raise InvalidArgument("down_block_additional_residuals", f"{len(seen)} tensors", count)
            seen = [skip + extra for skip, extra in zip(seen, down_block_additional_residuals, strict=True)]
        if self.mid_block is not None:
            sample = self.mid_block(sample, **told.to(self.mid_block))
            if adapted and sample.shape == adapted[0].shape:  # adapters of SDXL have one more, for the middle
                sample = sample + adapted[0]
        if mid_block_additional_residual is not None:
            sample = sample + mid_block_additional_residual
        for block in self._way_up():
            own, seen = seen[-len(block.resnets) :], seen[: -len(block.resnets)]
            size = seen[-1].shape[2:] if seen else None
            sample = block(hidden_states=sample, res_hidden_states_tuple=own, upsample_size=size, **told.to(block))
        sample = self.conv_out(self.conv_act(self.conv_norm_out(sample)))
        return UNet2DConditionOutput(sample) if return_dict else (sample,)

    def embed_hint(self, hint: torch.Tensor) -> torch.Tensor:
        """A hint (batch, 3, height, width) as it stands beside the latents; the same at every step of a call."""
        if not isinstance(self.add_embedding, ImageHintTimeEmbedding):
            raise InvalidArgument("hint", "None: this UNet reads none", "a tensor")
        return self.add_embedding.embed_hint(hint)

    def _hint(self, told: Mapping[str, Any]) -> torch.Tensor:
        if "embedded_hint" in told:
            return told["embedded_hint"]
        if "hint" not in told:
            raise InvalidArgument("added_cond_kwargs", "an entry 'hint', or 'embedded_hint'", ", ".join(told))
        return self.embed_hint(told["hint"])

    def stage(self, save: Saving, folder: str, *options: Any, **named: Any) -> None:
        """Write weights and config; those of adapters are not the network's."""
        if isinstance(self.encoder_hid_proj, MultiIPAdapterImageProjection):
            fix = "Call unload_ip_adapter() first."
            raise InvalidArgument("save_pretrained", "a UNet as it is without IP-Adapters", "one beside it", fix)
        super().stage(save, folder, *options, **named)

    def enable_freeu(self, s1: float, s2: float, b1: float, b2: float) -> None:
        """Weigh what the first two blocks on the way up hear (FreeU, arXiv 2309.11497).

        ``s`` is the factor of what they look back at, ``b`` of what comes to them.
        """
        for block, factors in zip(self._way_up(), ((s1, b1), (s2, b2)), strict=False):
            block.freeu = factors

    def disable_freeu(self) -> None:
        """Hear everything as it is again."""
        for block in self._way_up():
            block.freeu = None

    def _way_up(self) -> list[UpBlock]:
        return cast("list[UpBlock]", [*self.up_blocks])


def as_scores(mask: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor | None:
    """A mask of ones and zeros (batch, keys) as what is added to the scores (batch, 1, keys)."""
    return None if mask is None else ((1 - mask.to(dtype)) * -10000.0).unsqueeze(1)
