"""Fresh pairs learn beside a frozen network, and what they learnt is a LoRA."""

from __future__ import annotations

import copy

import pytest
import torch

import calotype
from calotype.adapters.lora_training import fresh_pairs
from calotype.core.errors import InvalidArgument
from tests.loras import assert_same, predicted, read
from tests.tiny import tiny_stable_diffusion

LAYERS = ("to_q", "to_out.0", "downsamplers.0.conv", "proj_in", "q_proj", "fc1")


@pytest.fixture
def pipe():
    return tiny_stable_diffusion(calotype.StableDiffusionPipeline)


def taught(network, look, layers=LAYERS):
    """Pairs that took a few steps towards zero beside the network, and whether its own weights felt it."""
    network.requires_grad_(False)
    pairs = fresh_pairs(network, layers, rank=2, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(pairs.parameters(), 1e-2)
    losses = []
    for _ in range(3):
        with pairs.beside(network):
            loss = look(network).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return pairs, losses


def test_fresh_pairs_add_nothing_and_learn(pipe):
    plain = predicted(pipe.unet)
    before = {key: tensor.clone() for key, tensor in pipe.unet.state_dict().items()}
    pairs, losses = taught(pipe.unet, predicted.__wrapped__)
    assert losses[0] == pytest.approx(plain.square().mean().item())
    assert losses[0] > losses[1] > losses[2]
    assert all(p.grad is not None for p in pairs.parameters())
    assert torch.equal(predicted(pipe.unet), plain)
    assert all(torch.equal(before[key], tensor) for key, tensor in pipe.unet.state_dict().items())


def test_what_was_learnt_is_a_lora(pipe, tmp_path):
    pairs, _ = taught(pipe.unet, predicted.__wrapped__)
    words, _ = taught(pipe.text_encoder, read.__wrapped__)
    with pairs.beside(pipe.unet), words.beside(pipe.text_encoder):
        learnt, heard = predicted(pipe.unet), read(pipe.text_encoder)
    pipe.save_lora_weights(tmp_path, pairs, words)
    pipe.load_lora_weights(tmp_path)
    assert_same(predicted(pipe.unet), learnt)
    assert_same(read(pipe.text_encoder), heard)


def test_pairs_are_named_as_the_layers_are(pipe):
    pairs = fresh_pairs(pipe.unet, ["mid_block.attentions.0.proj_in"])
    assert [*pairs.state_dict()] == [f"mid_block.attentions.0.proj_in.lora_{half}.weight" for half in "AB"]
    assert all(name.rsplit(".", 1)[-1] in ("to_q", "to_k", "to_v", "0") for name in fresh_pairs(pipe.unet).layers)


def test_a_copy_of_pairs_is_on_its_own(pipe):
    pairs, _ = taught(pipe.unet, predicted.__wrapped__)
    averaged = copy.deepcopy(pairs)
    torch.nn.init.zeros_(pairs.get_submodule(f"{pairs.layers[0]}.lora_B").weight)
    with pairs.beside(pipe.unet), averaged.beside(pipe.unet):
        both = predicted(pipe.unet)
    with averaged.beside(pipe.unet):
        assert not torch.equal(predicted(pipe.unet), both)


def test_layers_that_are_not_there_and_ranks_below_1_are_refused(pipe):
    with pytest.raises(InvalidArgument, match="to_q"):
        fresh_pairs(pipe.unet, ["to_w"])
    with pytest.raises(InvalidArgument, match="rank"):
        fresh_pairs(pipe.unet, rank=0)
