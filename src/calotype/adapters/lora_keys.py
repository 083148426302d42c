"""What keys of LoRA files mean: one table from endings to roles, one from every spelling of a layer to the layer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import nn

from calotype.adapters.changes import LAYERS
from calotype.adapters.lora_wan import wan_name
from calotype.models.original_names import original_names

# What a key may end with, and what the tensor is to its layer. Longer endings come before those that they contain.
ENDINGS: dict[str, str] = {
    **{f".lora_linear_layer.{half}.weight": half for half in ("down", "up")},  # diffusers, text encoders
    **{f".lora.{half}.weight": half for half in ("down", "up")},  # diffusers
    **{f"_lora.{half}.weight": half for half in ("down", "up")},  # diffusers, first of all: beside the processor
    **{f".lora_{half}.weight": half for half in ("down", "up", "mid")},  # kohya, LoCon, OneTrainer
    ".lora_A.weight": "down",  # PEFT
    ".lora_B.weight": "up",
    ".alpha": "alpha",
    ".dora_scale": "magnitude",
    ".lora_magnitude_vector": "magnitude",
    ".lora_magnitude_vector.weight": "magnitude",
    **{f".hada_{name}": f"hada_{name}" for name in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")},
    **{f".lokr_{name}": f"lokr_{name}" for name in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")},
    ".diff": "whole",
    ".diff_b": "shift",  # of the bias, whatever the alpha
    ".lora_B.bias": "bias",  # of what ``up`` adds
}
# Kinds of change that have no home here, and of files that are no LoRA, by what gives them away.
FOREIGN = {
    ".diff_b": "a change of biases that are not there",
    ".w_norm": "a change of norms",
    ".b_norm": "a change of norms",
    ".oft_": "OFT",
    ".boft": "BOFT",
    ".on_input": "IA3",
    ".a1.weight": "GLoRA",
    "bundle_emb.": "embeddings bundled with the LoRA: load_textual_inversion reads them from a file of their own",
    ".lora_embedding_": "a change of embeddings",
    ".lora_B.bias": "a LoRA with biases where there are none",
    "string_to_param": "a textual inversion: load_textual_inversion reads it",
    "emb_params": "a textual inversion: load_textual_inversion reads it",
    "ip_adapter.": "an IP-Adapter: load_ip_adapter reads it",
    "input_hint_block.": "a ControlNet: ControlNetModel.from_single_file reads it",
    "first_stage_model.": "a whole checkpoint: from_single_file reads it",
    "cond_stage_model.": "a whole checkpoint: from_single_file reads it",
    "conditioner.embedders.": "a whole checkpoint: from_single_file reads it",
}
# How files call the networks of a pipeline.
PREFIXES: dict[str, tuple[str, ...]] = {
    "unet": ("unet", "lora_unet", "diffusion_model", "model_diffusion_model"),
    "text_encoder": ("text_encoder", "lora_te", "lora_te1", "clip_l"),
    "text_encoder_2": ("text_encoder_2", "lora_te2", "clip_g"),
    "transformer": ("transformer", "lora_unet", "diffusion_model", "model_diffusion_model"),
}
BY_PREFIX = sorted(((prefix, name) for name, own in PREFIXES.items() for prefix in own), key=lambda pair: -len(pair[0]))
OLD_WORDS = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "out_proj": "to_out"}  # attention of text encoders
NAMED = re.compile(r"\.(lora_[AB]|lora_magnitude_vector)\.[^.]+(\.weight|\.bias|$)")  # PEFT with the adapter's own name


@dataclass(frozen=True)
class Place:
    """A layer of one of the networks."""

    component: str
    layer: str


def ending(key: str) -> tuple[str, str] | None:
    """The layer of a key as it is spelled there, and what the tensor is to it."""
    key = NAMED.sub(lambda found: f".{found[1]}{found[2]}" if found[2] or "vector" in found[1] else found[0], key)
    for end, role in ENDINGS.items():
        if key.endswith(end):
            return key.removesuffix(end), role
    return None


def places(networks: Mapping[str, nn.Module]) -> dict[str, Place]:
    """Every way to spell each layer, with dots as underscores."""
    found: dict[str, Place] = {}
    for component, network in networks.items():
        for name, module in network.named_modules():
            if isinstance(module, LAYERS):
                place = Place(component, name)
                others = [flat(wan_name(name))] if component == "transformer" else []
                for spelled in [*spellings(name), *others]:
                    for prefix in PREFIXES[component]:
                        found[f"{prefix}_{spelled}"] = place
                    if component == "unet" or len(networks) == 1:
                        found.setdefault(spelled, place)
        if component == "unet":
            for prefix in PREFIXES[component]:
                found |= {f"{prefix}_{flat(o)}": Place(component, name) for name, o in original_names(network).items()}
    return found


def spellings(layer: str) -> Iterable[str]:
    """The names of a layer under all conventions but those of the original UNet."""
    yield (name := flat(layer))
    if name.endswith("to_out_0"):
        yield name.removesuffix("_0")
    if name.startswith("text_model_"):
        yield (bare := name.removeprefix("text_model_"))
        for now, old in OLD_WORDS.items():
            if name.endswith(f"self_attn_{now}"):
                yield name.removesuffix(now) + old
                yield bare.removesuffix(now) + old


def flat(name: str) -> str:
    """A name with underscores for dots; what stood beside an attention's processor stands in the attention."""
    return name.replace(".processor.", ".").replace(".", "_")


def stripped(name: str) -> str:
    """The spelled name of a layer, as ``places`` knows it."""
    return flat(name.removeprefix("base_model.model."))


def components_of(key: str) -> list[str]:
    """The networks that a key may name, by its prefix; none, if it names no network."""
    name = stripped(key)
    longest = next((prefix for prefix, _ in BY_PREFIX if name.startswith(f"{prefix}_")), None)
    return [component for prefix, component in BY_PREFIX if prefix == longest]


def foreign(keys: Iterable[str]) -> str | None:
    """What kind of change the first key is of that no ending explains."""
    return next((kind for key in keys for mark, kind in FOREIGN.items() if mark in key), None)
