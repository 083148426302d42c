"""LoRAs small enough to be made on the spot, in every spelling, and networks that have them in their weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

# By network: attention, feed-forward, convolutions with and without a kernel, on the way down, in the middle, on the way up.
LAYERS: dict[str, list[str]] = {
    "unet": [
        "conv_in",
        "time_embedding.linear_1",
        "down_blocks.0.resnets.0.conv1",
        "down_blocks.0.downsamplers.0.conv",
        "down_blocks.1.attentions.0.proj_in",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k",
        "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj",
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0",
        "up_blocks.0.attentions.1.transformer_blocks.0.attn1.to_v",
        "up_blocks.0.resnets.1.conv_shortcut",
        "up_blocks.1.resnets.0.time_emb_proj",
    ],
    "text_encoder": [
        "text_model.encoder.layers.0.self_attn.q_proj",
        "text_model.encoder.layers.1.self_attn.out_proj",
        "text_model.encoder.layers.2.mlp.fc1",
    ],
}
ATTENTION = {
    "unet": [name for name in LAYERS["unet"] if ".attn" in name],
    "text_encoder": [name for name in LAYERS["text_encoder"] if "self_attn" in name],
}

Pairs = dict[tuple[str, str], tuple[Tensor, Tensor]]  # (network, layer): down, up


def pairs(
    networks: Mapping[str, nn.Module], layers: Mapping[str, list[str]] = LAYERS, rank: int = 2, seed: int = 0
) -> Pairs:
    """A pair of small random tensors for each of these layers."""
    generator = torch.Generator().manual_seed(seed)
    made: Pairs = {}
    for component, network in networks.items():
        for name in layers.get(component, []):
            outputs, inputs, *kernel = network.get_submodule(name).weight.shape
            down = torch.randn(rank, inputs, *kernel, generator=generator) * 0.3
            up = torch.randn(outputs, rank, *[1] * len(kernel), generator=generator) * 0.3
            made[component, name] = down, up
    return made


def spelled(made: Pairs, key: Callable[[str, str, str], str], alpha: float | None = None) -> dict[str, Tensor]:
    """The state dict of pairs; ``key`` names a tensor by network, layer and "down", "up" or "alpha"."""
    state: dict[str, Tensor] = {}
    for (component, layer), (down, up) in made.items():
        state |= {key(component, layer, "down"): down, key(component, layer, "up"): up}
        if alpha is not None:
            state[key(component, layer, "alpha")] = torch.tensor(alpha)
    return state


def peft(component: str, layer: str, role: str) -> str:
    return f"{component}.{layer}.{ {'down': 'lora_A.weight', 'up': 'lora_B.weight'}.get(role, role) }"


def kohya(component: str, layer: str, role: str) -> str:
    prefix = {"unet": "lora_unet", "text_encoder": "lora_te", "text_encoder_2": "lora_te2"}[component]
    return f"{prefix}_{layer.replace('.', '_')}.{role if role == 'alpha' else f'lora_{role}.weight'}"


def product(down: Tensor, up: Tensor) -> Tensor:
    """What a pair adds to a weight."""
    return (up.flatten(1) @ down.flatten(1)).reshape(len(up), *down.shape[1:])


def with_weights(network: nn.Module, added: Mapping[str, Tensor]) -> Any:
    """A copy of the network with these added to the weights of its layers."""
    changed = copy.deepcopy(network)
    with torch.no_grad():
        for name, difference in added.items():
            changed.get_submodule(name).weight += difference
    return changed


def with_pairs(networks: Mapping[str, nn.Module], made: Pairs, scale: float = 1.0) -> dict[str, Any]:
    """Copies of the networks with these pairs in their weights."""
    added: dict[str, dict[str, Tensor]] = {name: {} for name in networks}
    for (component, layer), (down, up) in made.items():
        added[component][layer] = scale * product(down, up)
    return {name: with_weights(network, added[name]) for name, network in networks.items()}


@torch.no_grad()
def predicted(unet: Any, **options: Any) -> Tensor:
    """What a tiny UNet says of a fixed sample."""
    generator = torch.Generator().manual_seed(0)
    sample, states = torch.randn(2, 4, 16, 16, generator=generator), torch.randn(2, 7, 32, generator=generator)
    return unet(sample.to(unet.dtype), torch.tensor([9, 400]), states.to(unet.dtype), **options).sample


@torch.no_grad()
def read(text_encoder: Any) -> Tensor:
    """What a tiny text encoder makes of fixed tokens."""
    return text_encoder(torch.arange(7)[None]).last_hidden_state


def assert_same(found: Tensor, expected: Tensor) -> None:
    """Nothing differs by more than a ten-thousandth of the largest number."""
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
