"""What training scripts ask of a network and of the helpers beside it."""

from __future__ import annotations

import copy

import peft
import pytest
import torch
from torch import nn

from calotype.compat.averages import EMAModel
from calotype.compat.learning_rates import get_scheduler
from calotype.compat.spellings import convert_state_dict_to_diffusers, convert_unet_state_dict_to_peft
from calotype.core.errors import InvalidArgument
from calotype.core.trainable import Recomputed
from tests.tiny import tiny_text_encoder, tiny_unet, tiny_vae


def slopes(network, *told):
    network.zero_grad()
    network(*told)[0].sum().backward()
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (tiny_unet(), (torch.ones(1, 4, 16, 16), 3, torch.ones(1, 5, 32))),
        (tiny_vae(), (torch.ones(1, 3, 16, 16),)),
        (tiny_text_encoder(), (torch.tensor([[1, 2, 3]]),)),
    ],
    ids=["unet", "vae", "text encoder"],
)
def test_layers_gone_through_once_more_have_the_same_gradients(network, told):
    network.train()
    torch.manual_seed(0)
    expected = slopes(network, *told)
    network.enable_gradient_checkpointing()
    torch.manual_seed(0)
    assert network.is_gradient_checkpointing
    got = slopes(network, *told)
    assert len(got) == len(expected)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(got, expected, strict=True))
    network.disable_gradient_checkpointing()
    assert not network.is_gradient_checkpointing


def test_a_copy_of_a_network_goes_through_its_own_layers():
    network = tiny_text_encoder()
    network.enable_gradient_checkpointing()
    twin = copy.deepcopy(network)
    layers = [layer for layer in twin.modules() if isinstance(layer.forward, Recomputed)]
    assert layers and all(layer.forward.layer is layer for layer in layers)


def test_layers_of_peft_are_trained_alone_and_can_be_passed_over():
    unet = tiny_unet().requires_grad_(False)
    told = torch.ones(1, 4, 16, 16), 3, torch.ones(1, 5, 32)
    with torch.no_grad():
        expected = unet(*told).sample
    unet.add_adapter(peft.LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False))
    assert all("lora_" in name for name, p in unet.named_parameters() if p.requires_grad)
    assert unet.active_adapters() == ["default"]
    with torch.no_grad():
        assert not torch.allclose(unet(*told).sample, expected)
        unet.disable_adapters()
        assert torch.equal(unet(*told).sample, expected)
        unet.enable_adapters()
        unet.set_adapter("default")
        assert not torch.allclose(unet(*told).sample, expected)


def test_a_network_without_adapters_says_so():
    with pytest.raises(InvalidArgument, match="add_adapter"):
        tiny_vae().disable_adapters()


def test_an_average_of_equal_weights_is_that_weight_and_goes_in_and_out():
    layer = nn.Linear(2, 2)
    average = EMAModel(layer.parameters())
    before = layer.weight.detach().clone()
    for _ in range(3):
        average.step(layer.parameters())
    assert torch.allclose(average.shadow_params[0], before)
    average.store(layer.parameters())
    nn.init.zeros_(layer.weight)
    average.restore(layer.parameters())
    assert torch.equal(layer.weight, before)


def test_parameters_of_another_network_are_refused_by_an_average():
    average = EMAModel(nn.Linear(2, 2).parameters())
    with pytest.raises(ValueError, match="zip"):
        average.step(nn.Linear(2, 2, bias=False).parameters())


@pytest.mark.parametrize(("name", "value"), [("decay", 1.5), ("optimization_step", "3"), ("shadow_params", [1])])
def test_a_state_that_no_average_has_is_refused_by_name_and_changes_nothing(name, value):
    average = EMAModel(nn.Linear(2, 2).parameters())
    with pytest.raises(InvalidArgument, match=name):
        average.load_state_dict({"power": 0.5, name: value})
    assert average.power == 2 / 3


def test_learning_rates_of_no_such_name_are_refused_with_the_names_there_are():
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    with pytest.raises(InvalidArgument, match="cosine_with_restarts"):
        get_scheduler("cosin", optimizer)
    with pytest.raises(InvalidArgument, match="step_rules"):
        get_scheduler("piecewise_constant", optimizer, step_rules="1:2:3,1")


def test_keys_of_a_lora_come_back_as_they_were():
    weight = torch.zeros(1)
    keys = ["a.to_q.lora_A.weight", "a.to_out.0.lora_B.weight", "b.q_proj.lora_A.weight"]
    spelt = convert_state_dict_to_diffusers(dict.fromkeys(keys, weight))
    assert [*spelt] == [
        "a.to_q.lora.down.weight",
        "a.to_out.0.lora.up.weight",
        "b.q_proj.lora_linear_layer.down.weight",
    ]
    assert [*convert_unet_state_dict_to_peft(spelt)] == keys
    assert [*convert_unet_state_dict_to_peft({"a.processor.to_out_lora.up.weight": weight})] == [
        "a.to_out.0.lora_B.weight"
    ]
