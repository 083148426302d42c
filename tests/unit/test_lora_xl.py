"""A LoRA for SDXL changes a UNet and two text encoders, under the names that trainers have for them."""

from __future__ import annotations

import pytest
import torch

import calotype
from calotype.core.errors import IncompatibleWeights, InvalidArgument
from tests.loras import assert_same, kohya, pairs, peft, product, read, spelled, with_weights
from tests.tiny import tiny_stable_diffusion, tiny_stable_diffusion_xl

PARTS = ("unet", "text_encoder", "text_encoder_2")
TO_Q = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
WORDS = ["text_model.encoder.layers.0.self_attn.q_proj", "text_model.encoder.layers.1.mlp.fc2"]
LAYERS = {"unet": [TO_Q], "text_encoder": WORDS, "text_encoder_2": [*WORDS, "text_projection"]}


@pytest.fixture
def pipe():
    return tiny_stable_diffusion_xl(calotype.StableDiffusionXLPipeline)


def made(pipe, **options):
    return pairs({name: getattr(pipe, name) for name in PARTS}, LAYERS, **options)


def expected(pipe, tensors, component):
    added = {layer: product(*pair) for (name, layer), pair in tensors.items() if name == component}
    return with_weights(getattr(pipe, component), added)


def omi(component, layer, role):
    start = {"unet": "unet", "text_encoder": "clip_l", "text_encoder_2": "clip_g"}[component]
    return f"{start}.{layer}.lora_{role}.weight"


def numbered(component, layer, role):
    return kohya(component, layer, role).replace("lora_te_", "lora_te1_")


@pytest.mark.parametrize("key", [peft, kohya, numbered, omi])
def test_both_encoders_are_changed_in_every_spelling(pipe, key):
    tensors = made(pipe)
    want = {name: expected(pipe, tensors, name) for name in PARTS}
    pipe.load_lora_weights(spelled(tensors, key), "a")
    assert pipe.get_list_adapters() == {name: ["a"] for name in PARTS}
    for name in ("text_encoder", "text_encoder_2"):
        assert_same(read(getattr(pipe, name)), read(want[name]))
    ids = torch.arange(7)[None]
    assert_same(pipe.text_encoder_2(ids).text_embeds, want["text_encoder_2"](ids).text_embeds)
    x = torch.randn(2, 5, pipe.unet.get_submodule(TO_Q).in_features)
    assert_same(pipe.unet.get_submodule(TO_Q)(x), want["unet"].get_submodule(TO_Q)(x))


def call(pipe, **options):
    given = {"num_inference_steps": 2, "output_type": "latent", "height": 32, "width": 32, "generator": 0}
    return pipe("a cat", **given | options).images


def test_the_scale_of_a_call_reaches_every_network(pipe):
    plain = call(pipe)
    pipe.load_lora_weights(spelled(made(pipe), peft), "a")
    worn = call(pipe)
    assert torch.equal(call(pipe, cross_attention_kwargs={"scale": 0.0}), plain)
    assert not torch.equal(worn, plain)
    for name in PARTS:
        pipe.set_adapters("a", {name: 0.0})
        assert not torch.equal(call(pipe), worn)
    pipe.unload_lora_weights()
    assert torch.equal(call(pipe), plain)


def test_saved_layers_of_all_networks_come_back(pipe, tmp_path):
    state = spelled(made(pipe), peft)
    layers = {
        f"{name}_lora_layers": {
            key.removeprefix(f"{name}."): t for key, t in state.items() if key.startswith(f"{name}.")
        }
        for name in PARTS
    }
    pipe.save_lora_weights(tmp_path, **layers)
    pipe.load_lora_weights(state)
    worn = call(pipe)
    pipe.load_lora_weights(tmp_path)
    assert torch.equal(call(pipe), worn)


def test_the_second_encoder_can_be_given_alone(pipe):
    tensors = made(pipe)
    want = expected(pipe, tensors, "text_encoder_2")
    state = spelled(tensors, peft)
    pipe.load_lora_into_text_encoder(state, None, pipe.text_encoder_2, prefix="text_encoder_2", adapter_name="a")
    assert pipe.get_list_adapters() == {"text_encoder_2": ["a"]}
    assert_same(read(pipe.text_encoder_2), read(want))
    with pytest.raises(InvalidArgument, match="prefix"):
        pipe.load_lora_into_text_encoder(state, None, pipe.text_encoder_2, prefix="text_encoder_3")


def test_families_are_told_apart(pipe):
    plain = tiny_stable_diffusion(calotype.StableDiffusionPipeline)
    with pytest.raises(
        IncompatibleWeights, match="looks like a LoRA for Stable Diffusion XL; there is no text_encoder_2"
    ):
        plain.load_lora_weights(spelled(made(pipe), kohya))
    narrow = {f"unet.{TO_Q.replace('attn1.to_q', 'attn2.to_k')}.lora_A.weight": torch.ones(2, 768)}
    with pytest.raises(IncompatibleWeights, match=r"looks like a LoRA for Stable Diffusion 1\.x"):
        pipe.load_lora_weights(narrow | {key.replace("_A", "_B"): torch.ones(64, 2) for key in narrow})
