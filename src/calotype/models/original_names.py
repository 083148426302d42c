"""Where each tensor of our networks lies in an original checkpoint: one table of rules, read in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from calotype.core.weights import slots

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Way:
    """How a tensor of ours is had from an original one, and how an original one is made of ours again."""

    shape: Callable[[Shape], Shape] = lambda shape: shape
    read: Callable[[Tensor], Tensor] = lambda tensor: tensor
    write: Callable[[Sequence[Tensor]], Tensor] = lambda tensors: tensors[0]
    place: int = 0  # among those that make an original one


def _third(i: int, tensor: Tensor) -> Tensor:
    return tensor.tensor_split(3)[i]


def _third_of(shape: Shape) -> Shape:
    return (shape[0] // 3, *shape[1:]) if shape and shape[0] % 3 == 0 else shape


AS_IS = Way()
# a convolution of one pixel, as a matrix
FLAT = Way(lambda shape: shape[:2], lambda t: t.flatten(1), lambda own: own[0][:, :, None, None])
TURNED = Way(lambda shape: shape[::-1], lambda t: t.t().contiguous(), lambda own: own[0].t())
# query, key and value on top of each other
THIRDS = [Way(_third_of, partial(_third, i), lambda own: torch.cat([*own]), i) for i in range(3)]


@dataclass(frozen=True)
class Home:
    """A place in the original, and the way from there."""

    name: str
    way: Way = AS_IS


Places = Iterator[tuple[str, Home]]

# ------------------------------------------------------------------ rules: our name within a part, the original's name

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
TOP = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE_TOP = {
    "quant_conv": "quant_conv",
    "post_quant_conv": "post_quant_conv",
    **{f"{side}.{name}": f"{side}.{name}" for side in ("encoder", "decoder") for name in ("conv_in", "conv_out")},
    **{f"{side}.conv_norm_out": f"{side}.norm_out" for side in ("encoder", "decoder")},
}
VAE_RESNET = {"conv_shortcut": "nin_shortcut"}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
CLIP_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
CLIP_TOP = {
    "text_model.embeddings.token_embedding": Home("token_embedding"),
    "text_model.embeddings.position_embedding.weight": Home("positional_embedding"),
    "text_model.final_layer_norm": Home("ln_final"),
    "text_projection.weight": Home("text_projection", TURNED),
}


def _within(ours: str, theirs: str, rules: Mapping[str, str]) -> Places:
    """A part, and in it what the original calls otherwise."""
    yield ours, Home(theirs)
    for own, name in rules.items():
        yield f"{ours}.{own}", Home(f"{theirs}.{name}")


# ------------------------------------------------------------------ networks: which part is where


def _way_down(network: Any) -> Places:
    """What UNets and ControlNets have in common: the top, a flat list on the way down, and a middle."""
    yield from ((own, Home(name)) for own, name in TOP.items())
    place = 0  # input_blocks.0 is the first convolution
    for i, block in enumerate(network.down_blocks):
        for j in range(len(block.resnets)):
            place += 1
            yield from _within(f"down_blocks.{i}.resnets.{j}", f"input_blocks.{place}.0", RESNET)
            yield f"down_blocks.{i}.attentions.{j}", Home(f"input_blocks.{place}.1")
        if block.downsamplers is not None:
            place += 1
            yield f"down_blocks.{i}.downsamplers.0.conv", Home(f"input_blocks.{place}.0.op")
    if network.mid_block is not None:
        for j in range(len(network.mid_block.resnets)):
            yield from _within(f"mid_block.resnets.{j}", f"middle_block.{2 * j}", RESNET)
            yield f"mid_block.attentions.{j}", Home(f"middle_block.{2 * j + 1}")


def _unet(unet: Any) -> Places:
    yield from _way_down(unet)
    place = -1
    for i, block in enumerate(unet.up_blocks):
        for j in range(len(block.resnets)):
            place += 1
            yield from _within(f"up_blocks.{i}.resnets.{j}", f"output_blocks.{place}.0", RESNET)
            yield f"up_blocks.{i}.attentions.{j}", Home(f"output_blocks.{place}.1")
        if block.upsamplers is not None:
            after = 2 if block.attentions else 1
            yield f"up_blocks.{i}.upsamplers.0", Home(f"output_blocks.{place}.{after}")


def _controlnet(net: Any) -> Places:
    yield from _way_down(net)
    for i in range(len(net.controlnet_down_blocks)):
        yield f"controlnet_down_blocks.{i}", Home(f"zero_convs.{i}.0")
    yield "controlnet_mid_block", Home("middle_block_out.0")
    hint = [f"blocks.{i}" for i in range(len(net.controlnet_cond_embedding.blocks))]
    for i, name in enumerate(["conv_in", *hint, "conv_out"]):
        yield f"controlnet_cond_embedding.{name}", Home(f"input_hint_block.{2 * i}")  # every other one is an activation


def _vae(vae: Any) -> Places:
    yield from ((own, Home(name)) for own, name in VAE_TOP.items())
    for side in ("encoder", "decoder"):
        yield from _within(f"{side}.mid_block.resnets.0", f"{side}.mid.block_1", VAE_RESNET)
        yield from _within(f"{side}.mid_block.resnets.1", f"{side}.mid.block_2", VAE_RESNET)
        yield from _vae_attention(f"{side}.mid_block.attentions.0", f"{side}.mid.attn_1")
    down, up = vae.encoder.down_blocks, vae.decoder.up_blocks
    for i, block in enumerate(down):
        yield from _vae_level(block, f"encoder.down_blocks.{i}", f"encoder.down.{i}")
        yield f"encoder.down_blocks.{i}.downsamplers.0.conv", Home(f"encoder.down.{i}.downsample.conv")
    for i, block in enumerate(up):
        level = len(up) - 1 - i  # the original counts from the largest picture
        yield from _vae_level(block, f"decoder.up_blocks.{i}", f"decoder.up.{level}")
        yield f"decoder.up_blocks.{i}.upsamplers.0.conv", Home(f"decoder.up.{level}.upsample.conv")


def _vae_level(block: Any, ours: str, theirs: str) -> Places:
    for j in range(len(block.resnets)):
        yield from _within(f"{ours}.resnets.{j}", f"{theirs}.block.{j}", VAE_RESNET)
        yield from _vae_attention(f"{ours}.attentions.{j}", f"{theirs}.attn.{j}")


def _vae_attention(ours: str, theirs: str) -> Places:
    for own, name in VAE_ATTENTION.items():
        yield f"{ours}.{own}", Home(f"{theirs}.{name}")
        if own != "group_norm":
            yield f"{ours}.{own}.weight", Home(f"{theirs}.{name}.weight", FLAT)


def _open_clip(encoder: Any) -> Places:
    yield from CLIP_TOP.items()
    for i in range(len(encoder.text_model.encoder.layers)):
        ours, theirs = f"text_model.encoder.layers.{i}", f"transformer.resblocks.{i}"
        yield from _within(ours, theirs, CLIP_LAYER)
        for kind in ("weight", "bias"):
            for letter, way in zip("qkv", THIRDS, strict=True):
                yield f"{ours}.self_attn.{letter}_proj.{kind}", Home(f"{theirs}.attn.in_proj_{kind}", way)


SPELLINGS: dict[str, Callable[[Any], Iterable[tuple[str, Home]]]] = {
    "unet": _unet,
    "controlnet": _controlnet,
    "vae": _vae,
    "open_clip": _open_clip,
    "own": lambda _: (),  # as we and the files of the ecosystem call them
}


def homes(network: nn.Module, spelling: str) -> dict[str, Home]:
    """Where each tensor of a network lies in an original file of this spelling."""
    places = dict(SPELLINGS[spelling](network))
    return {key: _home(key, places) for key in slots(network)}


def _home(key: str, places: Mapping[str, Home]) -> Home:
    """The home that the longest known beginning of the key has."""
    part = key
    while part:
        if part in places:
            return Home(places[part].name + key[len(part) :], places[part].way)
        part = part.rpartition(".")[0]
    return Home(key)


def original_names(unet: Any) -> dict[str, str]:
    """The original name of each linear layer and convolution of a UNet that has one, by its present name."""
    places = dict(_unet(unet))
    layers = (name for name, module in unet.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d)))
    found = {name: _home(name, places).name for name in layers}
    return {name: home for name, home in found.items() if home != name}
