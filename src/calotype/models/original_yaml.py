"""The configs that original checkpoints were trained with, in our words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calotype.core.errors import CorruptFile, InvalidArgument, MissingFile
from calotype.core.paths import regular_file

MAX_BYTES = 2**20
MISSING = object()


def read_original(given: Any) -> Mapping[str, Any]:
    """The original's config, from a mapping or from the YAML file at a path."""
    if isinstance(given, Mapping):
        return given
    if not isinstance(given, (str, os.PathLike)) or not Path(given).is_file():
        raise MissingFile(f"original_config={given!r}", "a YAML file on this machine, or a mapping", "neither")
    import yaml

    path = Path(given)
    size = regular_file(path).st_size
    if size > MAX_BYTES:
        raise CorruptFile(str(path), f"at most {MAX_BYTES:,} bytes of YAML", f"{size:,}")
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CorruptFile(str(path), "YAML", " ".join(str(error).split())[:200]) from None
    if not isinstance(told, dict):
        raise CorruptFile(str(path), "a mapping", type(told).__name__)
    return told


def config_of(component: str, original: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The config of a network, as the original's describes it."""
    told = _Told(original, where)
    return {"unet": _unet, "controlnet": _controlnet, "vae": _vae}[component](told)


def scheduler_of(original: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What a scheduler needs to know of the training."""
    told = _Told(original, where).at("model", "params")
    velocity = told.get("parameterization", "eps") == "v" or "VScaling" in str(told.get("denoiser_config", ""))
    return {
        "num_train_timesteps": told.get("timesteps", 1000),
        "beta_start": told.get("linear_start", 0.00085),
        "beta_end": told.get("linear_end", 0.012),
        "prediction_type": "v_prediction" if velocity else "epsilon",
    }


class _Told:
    """A part of a config, and where it stands."""

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, Mapping):
            raise InvalidArgument(where, "a mapping", type(values).__name__)
        self.values, self.where = values, where

    def at(self, *names: str) -> _Told:
        """A part of it, some levels down; names of which one must be there are joined by a bar."""
        here = self
        for name in names:
            found = next((key for key in name.split("|") if key in here.values), None)
            if found is None:
                raise InvalidArgument(
                    here.where, name.replace("|", " or "), ", ".join(map(str, here.values)) or "nothing"
                )
            here = _Told(here.values[found], f"{here.where}.{found}")
        return here

    def get(self, name: str, default: Any = MISSING) -> Any:
        """A value."""
        if name not in self.values and default is MISSING:
            raise InvalidArgument(self.where, name, ", ".join(map(str, self.values)) or "nothing")
        return self.values.get(name, default)


def _unet(told: _Told) -> dict[str, Any]:
    c = told.at("model", "params", "unet_config|network_config", "params")
    down = _way_down(c)
    up = [name.replace("Down", "Up") for name in reversed(down["down_block_types"])]
    sizes = {"sample_size": c.get("image_size", None), "out_channels": c.get("out_channels")}
    return down | sizes | {"up_block_types": tuple(up)}


def _controlnet(told: _Told) -> dict[str, Any]:
    c = told.at("model", "params", "control_stage_config", "params")
    return _way_down(c) | {"conditioning_channels": c.get("hint_channels", 3)}


def _way_down(c: _Told) -> dict[str, Any]:
    widths = tuple(c.get("model_channels") * times for times in c.get("channel_mult"))
    attends = [2**level in c.get("attention_resolutions") for level in range(len(widths))]
    depth, context, per_head = c.get("transformer_depth", 1), c.get("context_dim"), c.get("num_head_channels", -1)
    layers = c.get("num_res_blocks")
    config: dict[str, Any] = {
        "in_channels": c.get("in_channels"),
        "block_out_channels": widths,
        "down_block_types": tuple("CrossAttnDownBlock2D" if attended else "DownBlock2D" for attended in attends),
        "layers_per_block": tuple(layers) if isinstance(layers, list) else layers,
        "cross_attention_dim": context[0] if isinstance(context, list) else context,
        "transformer_layers_per_block": tuple(depth) if isinstance(depth, list) else depth,
        "attention_head_dim": tuple(width // per_head for width in widths) if per_head > 0 else c.get("num_heads"),
        "use_linear_projection": c.get("use_linear_in_transformer", False),
    }
    if c.get("num_classes", None) == "sequential":
        told = {"addition_embed_type": "text_time", "addition_time_embed_dim": 256}
        config |= told | {"projection_class_embeddings_input_dim": c.get("adm_in_channels")}
    return config


def _vae(told: _Told) -> dict[str, Any]:
    model = told.at("model", "params")
    c = model.at("first_stage_config", "params", "ddconfig")
    widths = tuple(c.get("ch") * times for times in c.get("ch_mult"))
    return {
        "in_channels": c.get("in_channels"),
        "out_channels": c.get("out_ch"),
        "block_out_channels": widths,
        "down_block_types": ("DownEncoderBlock2D",) * len(widths),
        "up_block_types": ("UpDecoderBlock2D",) * len(widths),
        "layers_per_block": c.get("num_res_blocks"),
        "latent_channels": c.get("z_channels"),
        "sample_size": c.get("resolution"),
        "scaling_factor": model.get("scale_factor", 0.18215),
    }
