"""What a network is told beside the picture and the words: the time, a class, an image, sizes.

Each kind is a row of a table: the layer it needs, the entries of ``added_cond_kwargs`` it reads, and how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from calotype.core.config import FrozenDict
from calotype.core.errors import InvalidArgument, UnknownArgument
from calotype.core.model import ModelMixin
from calotype.models.layers.activations import activation
from calotype.models.layers.embeddings import (
    GaussianFourierProjection,
    ImageHintTimeEmbedding,
    ImageProjection,
    ImageTimeEmbedding,
    TextImageProjection,
    TextImageTimeEmbedding,
    TextTimeEmbedding,
    TimestepEmbedding,
    Timesteps,
    sinusoids,
)

Tensors = Mapping[str, Any]  # tensors; of several IP-Adapters a list of them


@dataclass(frozen=True)
class Condition:
    """A layer made from the config and the time embedding's width, read with the words and ``added_cond_kwargs``."""

    make: Callable[[FrozenDict, int], nn.Module]
    read: Callable[[Any, FrozenDict, Any, Tensors], torch.Tensor]  # the words are None where an image stands for them
    needs: tuple[str, ...] = ()  # entries of added_cond_kwargs
    may: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()  # entries of the config that may not be None


def _text_and_sizes(layer: nn.Module, config: FrozenDict, states: torch.Tensor, told: Tensors) -> torch.Tensor:
    text, sizes = told["text_embeds"], told["time_ids"]
    waves = sinusoids(sizes.flatten(), config.addition_time_embed_dim, config.flip_sin_to_cos, config.freq_shift)
    return layer(torch.cat([text, waves.reshape(len(text), -1)], dim=-1).to(states.dtype))


def _brought_by_adapters() -> nn.Module:
    fix = "Load the network without, then call load_ip_adapter."
    raise InvalidArgument("encoder_hid_dim_type", "a layer that networks have of themselves", "'ip_image_proj'", fix)


def _words(config: FrozenDict) -> int:
    """The width of the words that cross-attention reads."""
    width = config.cross_attention_dim
    return width if isinstance(width, int) else width[0]


# addition_embed_type: what is added to the time embedding
ADDED = {
    "text": Condition(
        make=lambda c, time: TextTimeEmbedding(c.encoder_hid_dim or _words(c), time, c.addition_embed_type_num_heads),
        read=lambda layer, c, states, told: layer(states),
    ),
    "text_image": Condition(
        make=lambda c, time: TextImageTimeEmbedding(_words(c), _words(c), time),
        read=lambda layer, c, states, told: layer(told.get("text_embeds", states), told["image_embeds"]),
        needs=("image_embeds",),
        may=("text_embeds",),
    ),
    "text_time": Condition(
        make=lambda c, time: TimestepEmbedding(c.projection_class_embeddings_input_dim, time),
        read=_text_and_sizes,
        needs=("text_embeds", "time_ids"),
        sizes=("addition_time_embed_dim", "projection_class_embeddings_input_dim"),
    ),
    "image": Condition(
        make=lambda c, time: ImageTimeEmbedding(c.encoder_hid_dim, time),
        read=lambda layer, c, states, told: layer(told["image_embeds"]),
        needs=("image_embeds",),
        sizes=("encoder_hid_dim",),
    ),
    "image_hint": Condition(
        make=lambda c, time: ImageHintTimeEmbedding(c.encoder_hid_dim, time),
        read=lambda layer, c, states, told: layer(told["image_embeds"]),
        needs=("image_embeds",),
        may=("hint", "embedded_hint"),
        sizes=("encoder_hid_dim",),
    ),
}

# encoder_hid_dim_type: where the words of cross-attention come from
WORDS = {
    "text_proj": Condition(
        make=lambda c, _: nn.Linear(c.encoder_hid_dim, _words(c)),
        read=lambda layer, c, states, told: layer(states),
        sizes=("encoder_hid_dim",),
    ),
    "text_image_proj": Condition(
        make=lambda c, _: TextImageProjection(c.encoder_hid_dim, _words(c), _words(c)),
        read=lambda layer, c, states, told: layer(states, told["image_embeds"]),
        needs=("image_embeds",),
        sizes=("encoder_hid_dim",),
    ),
    "image_proj": Condition(
        make=lambda c, _: ImageProjection(c.encoder_hid_dim, _words(c)),
        read=lambda layer, c, states, told: layer(told["image_embeds"]),
        needs=("image_embeds",),
        sizes=("encoder_hid_dim",),
    ),
    # words of pictures stand beside those of the text, and layers that adapters bring look at them
    "ip_image_proj": Condition(
        make=lambda c, _: _brought_by_adapters(),
        read=lambda layer, c, states, told: states,
        needs=("image_embeds",),
    ),
}

# class_embed_type: config, width of a projected timestep, width of the time embedding; without a type, a row per class
CLASSES: dict[str, Callable[[FrozenDict, int, int], nn.Module]] = {
    "timestep": lambda c, wave, time: TimestepEmbedding(wave, time, c.act_fn),
    "identity": lambda c, wave, time: nn.Identity(),
    "projection": lambda c, wave, time: TimestepEmbedding(c.projection_class_embeddings_input_dim, time),
    "simple_projection": lambda c, wave, time: nn.Linear(c.projection_class_embeddings_input_dim, time),
}


class Conditioned(ModelMixin):
    """A network told the time, the words, and what else its config names; abstract, for UNets and their kin."""

    def make_conditioning(self, c: FrozenDict) -> int:
        """Add the layers that a UNet's config asks for; returns the width of what residual blocks are told."""
        if c.time_embedding_type == "fourier":
            width = c.time_embedding_dim or c.block_out_channels[0] * 2
            self.time_proj, waves = GaussianFourierProjection(width // 2, c.flip_sin_to_cos), width
        else:
            width, waves = c.time_embedding_dim or c.block_out_channels[0] * 4, c.block_out_channels[0]
            self.time_proj = Timesteps(waves, c.flip_sin_to_cos, c.freq_shift)
        self.time_embedding = TimestepEmbedding(waves, width, c.act_fn, c.timestep_post_act, c.time_cond_proj_dim)
        if c.encoder_hid_dim and c.encoder_hid_dim_type is None:
            self.register_to_config(encoder_hid_dim_type="text_proj")
        self.encoder_hid_proj = self._make(self._words, width)
        self.class_embedding = self._make_classes(waves, width)
        self.add_embedding = self._make(self._added, width)
        act = c.time_embedding_act_fn
        self.time_embed_act = activation(act, "time_embedding_act_fn") if act else nn.Identity()
        return width * 2 if c.class_embeddings_concat else width

    @property
    def _added(self) -> Condition | None:
        return ADDED.get(self.config.addition_embed_type)

    @property
    def _words(self) -> Condition | None:
        return WORDS.get(self.config.encoder_hid_dim_type)

    @property
    def reads(self) -> frozenset[str]:
        """The entries of ``added_cond_kwargs`` that mean something to this network."""
        return frozenset([*self._named("needs"), *self._named("may")])

    def _named(self, column: Literal["needs", "may"]) -> list[str]:
        conditions = [condition for condition in (self._added, self._words) if condition is not None]
        return [name for condition in conditions for name in getattr(condition, column)]

    def _make(self, condition: Condition | None, width: int) -> nn.Module | None:
        if condition is None:
            return None
        self._require(condition.sizes)
        return condition.make(self.config, width)

    def _make_classes(self, waves: int, width: int) -> nn.Module | None:
        c = self.config
        if c.class_embed_type is None:
            return None if c.num_class_embeds is None else nn.Embedding(c.num_class_embeds, width)
        if c.class_embed_type.endswith("projection"):
            self._require(("projection_class_embeddings_input_dim",))
        return CLASSES[c.class_embed_type](c, waves, width)

    def _require(self, names: tuple[str, ...]) -> None:
        for name in names:
            if self.config[name] is None:
                raise InvalidArgument(name, "a number, for the conditions that this config names", "None")

    def embed_time(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor | float,
        timestep_cond: torch.Tensor | None,
        class_labels: torch.Tensor | None,
    ) -> torch.Tensor:
        """The time, with the guidance scale in ``timestep_cond`` and the class, (batch, width)."""
        times = torch.as_tensor(timestep, device=sample.device).reshape(-1).expand(len(sample))
        if timestep_cond is not None and self.time_embedding.cond_proj is None:
            raise InvalidArgument("timestep_cond", "None: this network has no time_cond_proj_dim", "a tensor")
        told = self.time_embedding(self.time_proj(times).to(sample.dtype), timestep_cond)
        if self.class_embedding is None:
            if class_labels is not None:
                raise InvalidArgument("class_labels", "None: this network knows no classes", "a tensor")
            return told
        if class_labels is None:
            raise InvalidArgument("class_labels", "a tensor: this network is told a class", "None")
        if self.config.class_embed_type == "timestep":
            class_labels = self.time_proj(class_labels).to(sample.dtype)
        kind = self.class_embedding(class_labels).to(sample.dtype)
        return torch.cat([told, kind], dim=-1) if self.config.get("class_embeddings_concat") else told + kind

    def embed_added(
        self, time: torch.Tensor, states: torch.Tensor | None, added_cond_kwargs: Tensors | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The time with what ``added_cond_kwargs`` adds to it, and the words that cross-attention will read."""
        told, added, words = added_cond_kwargs or {}, self._added, self._words
        for name in self._named("needs"):
            if name not in told:
                raise InvalidArgument("added_cond_kwargs", f"an entry {name!r}", ", ".join(told) or "none")
        for name in told:
            if name not in self.reads:
                known = ", ".join(sorted(self.reads)) or "no entries"
                raise UnknownArgument(f"added_cond_kwargs[{name!r}]", known)
        if added is not None:
            time = time + added.read(self.add_embedding, self.config, states, told)
        if words is not None:
            states = words.read(self.encoder_hid_proj, self.config, states, told)
        return self.time_embed_act(time), states
