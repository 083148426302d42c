"""LoRAs in the transformer of Helios: every spelling that the peer reads makes the same velocities."""

from __future__ import annotations

import inspect
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from calotype.adapters.lora_families import HeliosLoraLoaderMixin
from tests.tiny_helios import TRANSFORMER, helios_inputs, transformer

ATTENTION = [
    f"blocks.{n}.attn{i}.{way}" for n in (0, 1) for i in (1, 2) for way in ("to_q", "to_k", "to_v", "to_out.0")
]
FORWARD = [f"blocks.{n}.ffn.net.{place}" for n in (0, 1) for place in ("0.proj", "2")]
AROUND = [
    "condition_embedder.time_proj",
    *[f"condition_embedder.{kind}_embedder.linear_{place}" for kind in ("time", "text") for place in (1, 2)],
    "proj_out",
]
PATCHES = ["patch_embedding", "patch_short", "patch_mid", "patch_long"]


def wan(layer: str) -> str:
    """The layer's name in Wan, written another way than the package does."""
    parts = layer.split(".")
    if parts[0] == "condition_embedder":
        if parts[1] == "time_proj":
            return "time_projection.1"
        return f"{parts[1].replace('embedder', 'embedding')}.{2 * (int(parts[2][-1]) - 1)}"
    if layer == "proj_out":
        return "head.head"
    kind = {"attn1": "self_attn", "attn2": "cross_attn", "ffn": "ffn"}[parts[2]]
    return f"blocks.{parts[1]}.{kind}.{parts[4] if kind == 'ffn' else parts[3][3]}"


def halves(network: Any, layers: list[str], rank: int = 3) -> dict[str, tuple[Tensor, Tensor]]:
    """A pair of small random tensors for each of these layers."""
    generator = torch.Generator().manual_seed(4)
    made: dict[str, tuple[Tensor, Tensor]] = {}
    for name in layers:
        outputs, inputs, *kernel = network.get_submodule(name).weight.shape
        down = torch.randn(rank, inputs, *kernel, generator=generator) * 0.2
        made[name] = down, torch.randn(outputs, rank, *[1] * len(kernel), generator=generator) * 0.2
    return made


def own(network: Any) -> dict[str, Tensor]:
    made = halves(network, [*ATTENTION, *FORWARD, *AROUND, *PATCHES])
    return {
        f"transformer.{layer}.lora_{half}.weight": tensor
        for layer, pair in made.items()
        for half, tensor in zip("AB", pair, strict=True)
    }


def own_with_biases(network: Any) -> dict[str, Tensor]:
    state = own(network)
    biases = {
        key.replace(".weight", ".bias"): torch.linspace(-1, 1, len(up)) for key, up in state.items() if "lora_B" in key
    }
    return state | {key: bias for key, bias in biases.items() if "patch" not in key}


def wan_original(network: Any, alpha: float | None = None, biases: bool = False) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for layer, (down, up) in halves(network, [*ATTENTION, *FORWARD, *AROUND]).items():
        name = f"diffusion_model.{wan(layer)}"
        state |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
        if alpha is not None and ".attn1." in layer:  # the peer leaves others out, or refuses them
            state[f"{name}.alpha"] = torch.tensor(alpha)
        if biases:
            state[f"{name}.diff_b"] = torch.linspace(-1, 1, len(up))
    return state


def wan_original_with_norms(network: Any) -> dict[str, Tensor]:
    state = wan_original(network, biases=True)
    for n in (0, 1):
        state[f"diffusion_model.blocks.{n}.norm3.diff"] = torch.ones(24)
        state[f"diffusion_model.blocks.{n}.norm3.diff_b"] = torch.ones(24)
        state[f"diffusion_model.blocks.{n}.self_attn.norm_q.diff"] = torch.ones(24)
    return state


def musubi(network: Any) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for layer, (down, up) in halves(network, [*ATTENTION, *FORWARD]).items():
        name = f"lora_unet_{wan(layer).replace('.', '_')}"
        state |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(1.5)}
    return state


SPELLINGS: dict[str, Any] = {
    "own": own,
    "own, biases": own_with_biases,
    "Wan": wan_original,
    "Wan, alphas": lambda network: wan_original(network, 1.5),
    "Wan, biases": lambda network: wan_original(network, biases=True),
    "Wan, norms": wan_original_with_norms,
    "musubi": musubi,
}


def velocity(network: Any, told: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        return network(**told, return_dict=False)[0]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_lora_makes_the_peers_velocities(spelling: str) -> None:
    ours, told = transformer(), helios_inputs()
    peers = diffusers.HeliosTransformer3DModel(**TRANSFORMER).eval()
    peers.load_state_dict(ours.state_dict())
    before = velocity(ours, told)
    torch.testing.assert_close(before, velocity(peers, told), rtol=0, atol=1e-5)
    state = SPELLINGS[spelling](ours)
    read = diffusers.HeliosPipeline.lora_state_dict(dict(state))
    diffusers.HeliosPipeline.load_lora_into_transformer(read, transformer=peers)
    HeliosLoraLoaderMixin.load_lora_into_transformer(state, ours)
    after = velocity(ours, told)
    assert float((after - before).abs().max()) > 0.05
    torch.testing.assert_close(after, velocity(peers, told), rtol=1e-4, atol=1e-4)


def test_our_state_dict_goes_where_the_peers_goes() -> None:
    state = wan_original(transformer(), 1.5)
    ours, told = [transformer(), transformer()], helios_inputs()
    HeliosLoraLoaderMixin.load_lora_into_transformer(HeliosLoraLoaderMixin.lora_state_dict(state), ours[0])
    HeliosLoraLoaderMixin.load_lora_into_transformer(diffusers.HeliosPipeline.lora_state_dict(dict(state)), ours[1])
    torch.testing.assert_close(velocity(ours[0], told), velocity(ours[1], told), rtol=1e-5, atol=1e-5)


def test_signatures_are_the_peers() -> None:
    for name in ("load_lora_into_transformer", "save_lora_weights"):
        mine, theirs = (
            inspect.signature(getattr(cls, name)).parameters.values()
            for cls in (HeliosLoraLoaderMixin, diffusers.HeliosPipeline)
        )
        assert [(p.name, p.default) for p in mine] == [(p.name, p.default) for p in theirs]
