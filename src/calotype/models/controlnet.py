"""A ControlNet: the way down of a UNet once more, with a hint added at its beginning (arXiv:2302.05543)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from calotype.core.config import FrozenDict, register_to_config
from calotype.core.errors import InvalidArgument
from calotype.core.outputs import BaseOutput
from calotype.core.schema import Count
from calotype.models.layers.conditioning import Conditioned
from calotype.models.layers.switches import WithAttention
from calotype.models.single_file import SingleFile
from calotype.models.unet import UNet2DConditionModel, as_scores
from calotype.models.unet_blocks import Told
from calotype.models.unet_layout import Layout, per_level

BY_DEFAULT = {p.name: p.default for p in inspect.signature(UNet2DConditionModel).parameters.values()}
# Options of a UNet's way down that a ControlNet's config has no word for: they are as a UNet has them by default.
UNSAID = (
    "center_input_sample", "time_embedding_type", "time_embedding_dim", "time_embedding_act_fn", "timestep_post_act",
    "time_cond_proj_dim", "conv_in_kernel", "resnet_skip_time_act", "resnet_out_scale_factor",
    "class_embeddings_concat", "mid_block_only_cross_attention", "cross_attention_norm",
)  # fmt: skip
# What begins as the UNet's own.
COPIED = (
    "conv_in",
    "time_embedding",
    "class_embedding",
    "add_embedding",
    "encoder_hid_proj",
    "down_blocks",
    "mid_block",
)


@dataclass
class ControlNetOutput(BaseOutput):
    """What a UNet adds to all that its way up looks back at, and to its middle."""

    down_block_res_samples: list[torch.Tensor]
    mid_block_res_sample: torch.Tensor


class ControlNetConditioningEmbedding(nn.Module):
    """A hint (batch, channels, height, width) as an addition to the first layer of latents: halved at every width."""

    def __init__(self, out_channels: int, conditioning_channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        if not widths:
            raise InvalidArgument("conditioning_embedding_out_channels", "at least one width", "none")
        self.conv_in = nn.Conv2d(conditioning_channels, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for narrow, wide in pairwise(widths):
            self.blocks += [nn.Conv2d(narrow, narrow, 3, padding=1), nn.Conv2d(narrow, wide, 3, padding=1, stride=2)]
        self.conv_out = silent(nn.Conv2d(widths[-1], out_channels, 3, padding=1))

    def forward(self, hint: torch.Tensor) -> torch.Tensor:
        seen = F.silu(self.conv_in(hint))
        for block in self.blocks:
            seen = F.silu(block(seen))
        return self.conv_out(seen)


class ControlNetModel(Conditioned, WithAttention, SingleFile):
    """Reads a hint beside the latents, the time and the words; says what the UNet shall add to what it sees."""

    component = "controlnet"

    @register_to_config
    def __init__(
        self,
        in_channels: Count = 4,
        conditioning_channels: Count = 3,
        flip_sin_to_cos: bool = True,
        freq_shift: int = 0,
        down_block_types: tuple[str, ...] = (
            "CrossAttnDownBlock2D",
            "CrossAttnDownBlock2D",
            "CrossAttnDownBlock2D",
            "DownBlock2D",
        ),
        mid_block_type: str = "UNetMidBlock2DCrossAttn",
        only_cross_attention: bool | tuple[bool, ...] = False,
        block_out_channels: tuple[Count, ...] = (320, 640, 1280, 1280),
        layers_per_block: Count | tuple[Count, ...] = 2,
        downsample_padding: int = 1,
        mid_block_scale_factor: float = 1,
        act_fn: str = "silu",
        norm_num_groups: Count = 32,
        norm_eps: float = 1e-5,
        cross_attention_dim: Count | tuple[Count, ...] = 1280,
        transformer_layers_per_block: int | tuple[int | tuple[int, ...], ...] = 1,
        encoder_hid_dim: Count | None = None,
        encoder_hid_dim_type: Literal["text_proj", "text_image_proj"] | None = None,
        attention_head_dim: Count | tuple[Count, ...] = 8,
        num_attention_heads: Count | tuple[Count, ...] | None = None,
        use_linear_projection: bool = False,
        class_embed_type: Literal["timestep", "identity", "projection", "simple_projection"] | None = None,
        addition_embed_type: Literal["text", "text_image", "text_time"] | None = None,
        addition_time_embed_dim: Count | None = None,
        num_class_embeds: Count | None = None,
        upcast_attention: bool = False,
        resnet_time_scale_shift: Literal["default", "scale_shift"] = "default",
        projection_class_embeddings_input_dim: Count | None = None,
        controlnet_conditioning_channel_order: Literal["rgb", "bgr"] = "rgb",
        conditioning_embedding_out_channels: tuple[Count, ...] = (16, 32, 96, 256),
        global_pool_conditions: bool = False,
        addition_embed_type_num_heads: Count = 64,
    ) -> None:
        super().__init__()
        options = as_unet(self.config)
        channels = per_level("block_out_channels", block_out_channels, len(down_block_types))
        first, last = channels[0], channels[-1]
        self.conv_in = nn.Conv2d(in_channels, first, 3, padding=1)
        layout = Layout.of(options, self.make_conditioning(options))
        self.down_blocks = layout.down_blocks()
        self.mid_block = layout.mid_block(mid_block_type)
        self.controlnet_cond_embedding = ControlNetConditioningEmbedding(
            first, conditioning_channels, conditioning_embedding_out_channels
        )
        self.controlnet_down_blocks = nn.ModuleList(silent(nn.Conv2d(width, width, 1)) for width in layout.passed())
        self.controlnet_mid_block = silent(nn.Conv2d(last, last, 1))

    @classmethod
    def from_unet(
        cls,
        unet: UNet2DConditionModel,
        controlnet_conditioning_channel_order: str = "rgb",
        conditioning_embedding_out_channels: tuple[int, ...] = (16, 32, 96, 256),
        load_weights_from_unet: bool = True,
        conditioning_channels: int = 3,
    ) -> ControlNetModel:
        """A ControlNet to be trained for a UNet: it begins as the UNet's way down, and says nothing yet."""
        for name in UNSAID:
            value, default = unet.config[name], BY_DEFAULT[name]
            if value != default:
                raise InvalidArgument(f"unet: {name}", f"{default!r}, for a ControlNet", repr(value))
        made = cls(
            **{name: value for name, value in unet.config.items() if name in cls.init_names()},
            controlnet_conditioning_channel_order=controlnet_conditioning_channel_order,  # pyright: ignore[reportArgumentType]
            conditioning_embedding_out_channels=conditioning_embedding_out_channels,
            conditioning_channels=conditioning_channels,
        )
        if load_weights_from_unet:
            weights = {key: value for key, value in unet.state_dict().items() if key.partition(".")[0] in COPIED}
            made.load_state_dict({**made.state_dict(), **weights})
        return made

    def embed_hint(self, hint: torch.Tensor) -> torch.Tensor:
        """The hint as it is added to the latents' first layer; the same at every step of a call."""
        channels = self.config.conditioning_channels
        if hint.ndim != 4 or hint.shape[1] != channels:
            shape = f"shape (batch, {channels}, height, width)"
            raise InvalidArgument("controlnet_cond", shape, f"shape {tuple(hint.shape)}")
        if self.config.controlnet_conditioning_channel_order == "bgr":
            hint = hint.flip(1)
        return self.controlnet_cond_embedding(hint)

    def forward(
        self,
        sample: torch.Tensor,  # (batch, in_channels, height, width)
        timestep: torch.Tensor | float,
        encoder_hidden_states: torch.Tensor,
        controlnet_cond: torch.Tensor | None,  # the hint: (batch, conditioning_channels, height, width) in pixels
        conditioning_scale: float = 1.0,
        class_labels: torch.Tensor | None = None,
        timestep_cond: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        added_cond_kwargs: Mapping[str, torch.Tensor] | None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
        guess_mode: bool = False,
        return_dict: bool = True,
        embedded_hint: torch.Tensor | None = None,  # of ``embed_hint``, in place of controlnet_cond
    ) -> ControlNetOutput | tuple[list[torch.Tensor], torch.Tensor]:
        if embedded_hint is None:
            if controlnet_cond is None:
                raise InvalidArgument("controlnet_cond", "a hint, or embedded_hint", "neither")
            embedded_hint = self.embed_hint(controlnet_cond)
        time = self.embed_time(sample, timestep, timestep_cond, class_labels)
        time, states = self.embed_added(time, encoder_hidden_states, added_cond_kwargs)
        mask = as_scores(attention_mask, sample.dtype)
        told = Told(time, states, mask, None, self.known_to_processors(cross_attention_kwargs))

        sample = self.conv_in(sample)
        if embedded_hint.shape[-2:] != sample.shape[-2:] or len(sample) % len(embedded_hint):
            wanted, found = (f"{len(x)} of {x.shape[-1]}x{x.shape[-2]}" for x in (sample, embedded_hint))
            raise InvalidArgument("controlnet_cond", f"hints that become {wanted} latents", found)
        if len(embedded_hint) > 1:  # one is added to all
            embedded_hint = embedded_hint.repeat(len(sample) // len(embedded_hint), 1, 1, 1)
        sample = sample + embedded_hint
        seen = [sample]
        for block in self.down_blocks:
            sample, passed = block(hidden_states=sample, **told.to(block))
            seen += passed
        sample = self.mid_block(sample, **told.to(self.mid_block))

        said = [silence(x) for silence, x in zip(self.controlnet_down_blocks, seen, strict=True)]
        said.append(self.controlnet_mid_block(sample))
        if self.config.global_pool_conditions:
            said = [x.mean(dim=(2, 3), keepdim=True) for x in said]
        scales = [conditioning_scale] * len(said)
        if guess_mode and not self.config.global_pool_conditions:
            scales = [conditioning_scale * 10 ** (i / (len(said) - 1) - 1) for i in range(len(said))]  # 0.1 up to 1
        *down, middle = (x * scale for x, scale in zip(said, scales, strict=True))
        return ControlNetOutput(down, middle) if return_dict else (down, middle)


def as_unet(config: FrozenDict) -> FrozenDict:
    """The config with what it does not say as a UNet has it by default."""
    return FrozenDict({**BY_DEFAULT, **config})


def silent(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer, saying nothing until it is trained."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
