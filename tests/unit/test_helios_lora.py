"""LoRAs in the transformer of Helios: biases, patches and norms, in and out again."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from calotype.adapters.lora_families import HeliosLoraLoaderMixin
from calotype.adapters.lora_files import checked
from calotype.adapters.lora_sets import Loras
from calotype.core.errors import IncompatibleWeights
from tests.tiny_helios import helios_inputs, transformer

QUERY, PATCH, WIDTH = "blocks.0.attn1.to_q", "patch_mid", 24


def velocity(network: Any) -> Tensor:
    with torch.no_grad():
        return network(**helios_inputs(), return_dict=False)[0]


def pair(network: Any, layer: str) -> dict[str, Tensor]:
    """The two halves of a LoRA of rank 2 in one layer."""
    generator = torch.Generator().manual_seed(2)
    outputs, inputs, *kernel = network.get_submodule(layer).weight.shape
    return {
        f"transformer.{layer}.lora_A.weight": torch.randn(2, inputs, *kernel, generator=generator),
        f"transformer.{layer}.lora_B.weight": torch.randn(outputs, 2, *[1] * len(kernel), generator=generator),
    }


def everything(network: Any) -> dict[str, Tensor]:
    """A LoRA in a linear layer and in patches, with biases of both kinds, and a bias that comes alone."""
    biases = {
        f"transformer.{QUERY}.lora_B.bias": torch.linspace(-1, 1, WIDTH),
        f"transformer.{PATCH}.diff_b": torch.linspace(1, -1, WIDTH),
        "transformer.blocks.1.ffn.net.2.diff_b": torch.linspace(-2, 1, WIDTH),
    }
    alphas = {f"transformer.{layer}.alpha": torch.tensor(0.5) for layer in (QUERY, PATCH)}
    return pair(network, QUERY) | pair(network, PATCH) | biases | alphas


def merged(state: dict[str, Tensor], share: float = 1.0) -> Any:
    """A transformer that has the LoRA in its weights: half of rank 2 is a quarter, but not of what is told in full."""
    network = transformer()
    for layer in (QUERY, PATCH):
        down, up = (state[f"transformer.{layer}.lora_{half}.weight"] for half in "AB")
        weight = network.get_submodule(layer).weight
        weight.data += share * 0.25 * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    for key, scale in ((f"{QUERY}.lora_B.bias", 0.25), (f"{PATCH}.diff_b", 1.0), ("blocks.1.ffn.net.2.diff_b", 1.0)):
        layer = key.removesuffix(".lora_B.bias").removesuffix(".diff_b")
        network.get_parameter(f"{layer}.bias").data += share * scale * state[f"transformer.{key}"]
    return network


def test_biases_and_patches_are_changed_as_in_the_weights() -> None:
    network = transformer()
    state = everything(network)
    HeliosLoraLoaderMixin.load_lora_into_transformer(state, network)
    torch.testing.assert_close(velocity(network), velocity(merged(state)), rtol=1e-4, atol=1e-5)


def test_fused_biases_are_there_and_come_out_again() -> None:
    network = transformer()
    weights = copy.deepcopy(network.state_dict())
    state = everything(network)
    loras = Loras({"transformer": network})
    for part, choice in loras.load(checked("a LoRA", dict(state), {}), "one").items():
        loras.parts[part].choice = choice
    loras.fuse(["transformer"], None, 0.5)
    expected = merged(state, 0.5).state_dict()
    for key, weight in network.state_dict().items():
        torch.testing.assert_close(weight, expected[key], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(velocity(network), velocity(merged(state, 0.5)), rtol=1e-4, atol=1e-5)
    loras.unfuse(["transformer"])
    for key, weight in network.state_dict().items():
        assert torch.equal(weight, weights[key])


def test_changes_of_norms_are_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    state = {"diffusion_model.blocks.0.norm3.diff": torch.ones(WIDTH), **pair(transformer(), QUERY)}
    networks = [transformer(), transformer()]
    with caplog.at_level(logging.WARNING):
        HeliosLoraLoaderMixin.load_lora_into_transformer(state, networks[0])
    assert "1 changes of norms are left out" in caplog.text
    HeliosLoraLoaderMixin.load_lora_into_transformer(pair(transformer(), QUERY), networks[1])
    assert torch.equal(velocity(networks[0]), velocity(networks[1]))


def test_dora_is_heard() -> None:
    """Lengths of the rows as they are change nothing of a weight that is turned by nothing."""
    network = transformer()
    state = pair(network, QUERY)
    state[f"transformer.{QUERY}.lora_B.weight"].zero_()
    lengths = network.get_submodule(QUERY).weight.detach().norm(dim=1)
    before = velocity(network)
    HeliosLoraLoaderMixin.load_lora_into_transformer(
        state | {f"transformer.{QUERY}.lora_magnitude_vector": lengths}, network, "as it is"
    )
    torch.testing.assert_close(velocity(network), before, rtol=0, atol=1e-5)
    HeliosLoraLoaderMixin.load_lora_into_transformer(
        state | {f"transformer.{QUERY}.lora_magnitude_vector": 3 * lengths}, network, "three times"
    )
    assert float((velocity(network) - before).abs().max()) > 1e-3


@pytest.mark.parametrize(
    ("key", "tensor", "named"),
    [
        ("transformer.blocks.9.attn1.to_q.lora_A.weight", torch.ones(2, WIDTH), "the nearest layer is"),
        ("diffusion_model.blocks.0.cross_attn.k_img.lora_A.weight", torch.ones(2, WIDTH), "k_img"),
        (f"transformer.{QUERY}.diff_b", torch.ones(3), r"shape \(24,\)"),
        (f"transformer.{PATCH}.lora_A.weight", torch.ones(2, 4, 2, 2), r"shape \(2, 4, 2, 4, 4\)"),
    ],
)
def test_what_does_not_fit_is_refused_whole(key: str, tensor: Tensor, named: str) -> None:
    network = transformer()
    before = velocity(network)
    with pytest.raises(IncompatibleWeights, match=named):
        HeliosLoraLoaderMixin.load_lora_into_transformer(everything(network) | {key: tensor}, network)
    assert torch.equal(velocity(network), before)


def test_what_was_saved_is_read_again(tmp_path: Any) -> None:
    state = pair(transformer(), QUERY)
    HeliosLoraLoaderMixin.save_lora_weights(tmp_path, transformer_lora_layers=state)
    back = HeliosLoraLoaderMixin.lora_state_dict(tmp_path)
    assert back.keys() == state.keys() and all(torch.equal(back[key], state[key]) for key in state)
