"""LoRAs are chosen, mixed, weighed and taken away; the network under them never changes."""

from __future__ import annotations

import copy
import gc
import threading
import weakref

import pytest
import torch

import calotype
from calotype.adapters.injection import injected
from calotype.core.errors import InvalidArgument, NotFinite
from tests.loras import assert_same, kohya, pairs, peft, predicted, product, read, spelled, with_pairs, with_weights
from tests.tiny import tiny_stable_diffusion

PARTS = ("unet", "text_encoder")
TO_Q = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture
def pipe():
    return tiny_stable_diffusion(calotype.StableDiffusionPipeline)


def networks(pipe):
    return {name: getattr(pipe, name) for name in PARTS}


def lora(pipe, seed=0, **options):
    return spelled(pairs(networks(pipe), seed=seed, **options), peft)


def call(pipe, **options):
    given = {"num_inference_steps": 2, "output_type": "latent", "height": 32, "width": 32, "generator": 0}
    return pipe("a cat", **given | options).images


def hooks(network):
    return [hook for module in network.modules() for hook in (*module._forward_hooks, *module._forward_pre_hooks)]


def snapshot(pipe):
    return {name: {key: t.clone() for key, t in part.state_dict().items()} for name, part in pipe.networks.items()}


def assert_as_before(pipe, before):
    """Every tensor of every network is where and what it was, and nobody listens to any layer."""
    for name, part in pipe.networks.items():
        now = part.state_dict()
        assert [*now] == [*before[name]]
        assert all(torch.equal(now[key], tensor) for key, tensor in before[name].items())
        assert not hooks(part)


def test_unloading_restores_every_weight_and_every_picture(pipe):
    before, picture = snapshot(pipe), call(pipe)
    pipe.load_lora_weights(lora(pipe))
    assert not torch.equal(call(pipe), picture)
    assert [*pipe.unet.state_dict()] == [*before["unet"]]
    pipe.unload_lora_weights()
    assert_as_before(pipe, before)
    assert torch.equal(call(pipe), picture)
    assert pipe.get_list_adapters() == {} and pipe.get_active_adapters() == []


def test_the_last_loaded_is_used_alone_and_others_wait(pipe):
    pipe.load_lora_weights(lora(pipe, 1))
    first = predicted(pipe.unet)
    pipe.load_lora_weights(lora(pipe, 2), adapter_name="second")
    assert pipe.get_active_adapters() == ["second"]
    assert pipe.get_list_adapters() == {"unet": ["default_0", "second"], "text_encoder": ["default_0", "second"]}
    assert not torch.allclose(predicted(pipe.unet), first)
    pipe.set_adapters("default_0")
    assert torch.equal(predicted(pipe.unet), first)


def test_a_mixture_is_the_weighed_sum(pipe):
    one, two = pairs(networks(pipe), seed=1), pairs(networks(pipe), seed=2, rank=3)
    expected = with_pairs(with_pairs(networks(pipe), one, 0.5), two, -0.25)
    pipe.load_lora_weights(spelled(one, peft), "one")
    pipe.load_lora_weights(spelled(two, kohya), "two")
    pipe.set_adapters(["one", "two"], [0.5, -0.25])
    assert_same(predicted(pipe.unet), predicted(expected["unet"]))
    assert_same(read(pipe.text_encoder), read(expected["text_encoder"]))


def test_blocks_and_layers_have_weights_of_their_own(pipe):
    made = pairs(networks(pipe))
    told = {"down": 0.5, "up": {"block_0": [0.0, 0.25]}}

    def weight(layer):
        scales = {"down_blocks.1.att": 0.5, "up_blocks.0.attentions.1": 0.25, "up_blocks.0.resnets.1": 0.25}
        return next((scale for start, scale in scales.items() if layer.startswith(start)), 1.0)

    added = {layer: weight(layer) * product(*pair) for (name, layer), pair in made.items() if name == "unet"}
    expected, states = with_weights(pipe.unet, added), with_pairs(networks(pipe), made)["text_encoder"]
    pipe.load_lora_weights(spelled(made, peft), "a")
    pipe.set_adapters("a", {"unet": told})
    assert_same(predicted(pipe.unet), predicted(expected))
    assert_same(read(pipe.text_encoder), read(states))


def test_a_network_can_be_left_out(pipe):
    plain = read(pipe.text_encoder)
    pipe.load_lora_weights(lora(pipe), "a")
    worn = predicted(pipe.unet)
    pipe.set_adapters("a", {"text_encoder": 0.0})
    assert torch.equal(read(pipe.text_encoder), plain)
    assert torch.equal(predicted(pipe.unet), worn)


def test_disabled_adapters_are_remembered(pipe):
    plain = call(pipe)
    pipe.load_lora_weights(lora(pipe), "a")
    pipe.set_adapters("a", 0.5)
    worn = call(pipe)
    pipe.disable_lora()
    assert torch.equal(call(pipe), plain)
    pipe.enable_lora()
    assert pipe.get_active_adapters() == ["a"]
    assert torch.equal(call(pipe), worn)


def test_deleted_adapters_leave_the_others(pipe):
    for number in (1, 2):
        pipe.load_lora_weights(lora(pipe, number), f"a{number}")
    second = call(pipe)
    pipe.delete_adapters("a1")
    assert torch.equal(call(pipe), second)
    assert pipe.get_list_adapters() == {"unet": ["a2"], "text_encoder": ["a2"]}
    pipe.delete_adapters(["a2"])
    assert not hooks(pipe.unet)


def test_a_hot_swap_keeps_the_name_and_the_company(pipe):
    for number in (1, 2):
        pipe.load_lora_weights(lora(pipe, number), f"a{number}")
    pipe.set_adapters(["a1", "a2"])
    pipe.load_lora_weights(lora(pipe, 3), "a1", hotswap=True)
    swapped = predicted(pipe.unet)
    assert sorted(pipe.get_active_adapters()) == ["a1", "a2"]
    pipe.load_lora_weights(lora(pipe, 3), "a3")
    pipe.set_adapters(["a3", "a2"])
    assert_same(predicted(pipe.unet), swapped)


# ---------------------------------------------------------------- one call


def test_a_scale_counts_for_its_call_alone(pipe):
    plain = call(pipe)
    pipe.load_lora_weights(lora(pipe), "a")
    worn = call(pipe)
    half = call(pipe, cross_attention_kwargs={"scale": 0.5})
    assert torch.equal(call(pipe), worn)
    assert torch.equal(call(pipe, cross_attention_kwargs={"scale": 0.0}), plain)
    pipe.set_adapters("a", 0.5)
    assert_same(call(pipe), half)


def test_a_scale_reaches_networks_that_are_called_alone(pipe):
    plain = predicted(pipe.unet)
    states = read(pipe.text_encoder)
    pipe.load_lora_weights(lora(pipe), "a")
    assert torch.equal(predicted(pipe.unet, cross_attention_kwargs={"scale": 0}), plain)
    assert not torch.equal(predicted(pipe.unet), plain)
    told = pipe.encode_prompt("a cat", torch.device("cpu"), 1, False, lora_scale=0.0)[0]
    assert not torch.equal(pipe.encode_prompt("a cat", torch.device("cpu"), 1, False)[0], told)
    pipe.unload_lora_weights()
    assert torch.equal(pipe.encode_prompt("a cat", torch.device("cpu"), 1, False)[0], told)
    assert torch.equal(read(pipe.text_encoder), states)


def test_a_failed_call_leaves_no_scale_behind(pipe):
    pipe.load_lora_weights(lora(pipe))
    worn = predicted(pipe.unet)
    for options in ({"cross_attention_kwargs": {"scale": "much"}}, {"class_labels": torch.zeros(2)}):
        with pytest.raises(InvalidArgument):
            predicted(pipe.unet, **{"cross_attention_kwargs": {"scale": 0.1}} | options)
        assert torch.equal(predicted(pipe.unet), worn)


def test_two_calls_at_once_have_scales_of_their_own(pipe):
    pipe.load_lora_weights(lora(pipe))
    scales = [0.0, 0.3, 1.0, 2.0]
    alone = [call(pipe, cross_attention_kwargs={"scale": scale}) for scale in scales]
    together, ready = [None] * len(scales), threading.Barrier(len(scales))

    def work(i):
        ready.wait()
        together[i] = call(pipe, cross_attention_kwargs={"scale": scales[i]})

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(scales))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        assert_same(one, other)


CHANGES = {
    "chosen": lambda pipe: pipe.set_adapters("a", 0.1),
    "disabled": lambda pipe: pipe.disable_lora(),
    "loaded": lambda pipe: pipe.load_lora_weights(lora(pipe, 5)),
    "unloaded": lambda pipe: pipe.unload_lora_weights(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_call_keeps_the_adapters_that_it_began_with(pipe, change):
    pipe.load_lora_weights(lora(pipe), "a")
    expected = call(pipe)
    given = {"num_inference_steps": 2, "output_type": "latent", "height": 32, "width": 32, "generator": 0}
    stream = pipe.stream("a cat", **given)
    next(stream)
    CHANGES[change](pipe)
    assert torch.equal(stream.output.images, expected)
    pipe.unload_lora_weights()
    del stream
    gc.collect()
    assert not hooks(pipe.unet) and not hooks(pipe.text_encoder)


def test_a_callback_chooses_for_its_own_call(pipe):
    pipe.load_lora_weights(lora(pipe), "a")
    whole = call(pipe)

    def stop_wearing(inner, i, t, tensors):
        inner.disable_lora()
        return tensors

    assert not torch.equal(call(pipe, callback_on_step_end=stop_wearing), whole)
    assert torch.equal(call(pipe), whole)


# ---------------------------------------------------------------- in the weights


def test_fused_adapters_are_in_the_weights_until_they_are_unfused(pipe):
    before = snapshot(pipe)
    pipe.load_lora_weights(lora(pipe, 1), "one")
    pipe.load_lora_weights(lora(pipe, 2), "two")
    pipe.set_adapters(["one", "two"], [0.5, 0.25])
    worn = predicted(pipe.unet), read(pipe.text_encoder)
    pipe.fuse_lora()
    assert pipe.num_fused_loras == 2 and pipe.fused_loras == {"one", "two"}
    pipe.disable_lora()
    assert_same(predicted(pipe.unet), worn[0])
    assert_same(read(pipe.text_encoder), worn[1])
    pipe.enable_lora()
    assert_same(predicted(pipe.unet), worn[0])
    pipe.unfuse_lora()
    assert pipe.num_fused_loras == 0
    assert torch.equal(predicted(pipe.unet), worn[0])
    pipe.unload_lora_weights()
    assert_as_before(pipe, before)


def test_unloading_takes_fused_adapters_out_again(pipe, caplog):
    before = snapshot(pipe)
    pipe.load_lora_weights(lora(pipe), "a")
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    assert "taken out of the weights too: a" in caplog.text
    assert_as_before(pipe, before)


def test_adapters_are_fused_one_after_the_other_and_at_a_scale(pipe):
    one, two = pairs(networks(pipe), seed=1), pairs(networks(pipe), seed=2)
    expected = with_pairs(with_pairs(networks(pipe), one, 0.5), two)["unet"]
    pipe.load_lora_weights(spelled(one, peft), "one")
    pipe.load_lora_weights(spelled(two, peft), "two")
    pipe.fuse_lora(adapter_names=["one"], lora_scale=0.5)
    assert_same(predicted(pipe.unet), predicted(expected))
    pipe.fuse_lora(components=["unet"])
    assert_same(predicted(pipe.unet), predicted(expected))
    for names in (None, ["one"]):
        with pytest.raises(InvalidArgument, match="not fused"):
            pipe.fuse_lora(components=["unet"], adapter_names=names)
    with pytest.raises(InvalidArgument, match="unfuse_lora"):
        pipe.delete_adapters("one")


def test_weights_that_would_not_be_finite_are_not_fused(pipe):
    before = snapshot(pipe)
    pipe.load_lora_weights({key: tensor * 1e18 for key, tensor in lora(pipe).items()})
    with pytest.raises(NotFinite, match="weight"):
        pipe.fuse_lora(lora_scale=1e30)
    with pytest.raises(InvalidArgument, match="lora_scale"):
        pipe.fuse_lora(lora_scale=float("inf"))
    assert pipe.num_fused_loras == 0
    pipe.unload_lora_weights()
    assert_as_before(pipe, before)


@pytest.mark.parametrize("fused_first", [True, False])
def test_adapters_work_beside_fused_projections(pipe, fused_first):
    pipe.load_lora_weights(lora(pipe), "a")
    worn = predicted(pipe.unet)
    pipe.unload_lora_weights()
    steps = [lambda: pipe.fuse_qkv_projections(vae=False), lambda: pipe.load_lora_weights(lora(pipe), "a")]
    for step in steps if fused_first else reversed(steps):
        step()
    assert_same(predicted(pipe.unet), worn)
    pipe.fuse_lora()
    pipe.unet.fuse_qkv_projections()
    assert_same(predicted(pipe.unet), worn)
    pipe.unload_lora_weights()
    fused = predicted(pipe.unet)
    pipe.unfuse_qkv_projections(vae=False)
    assert_same(predicted(pipe.unet), fused)


# ---------------------------------------------------------------- and all the rest


def test_a_thousand_switches_leave_nothing_behind(pipe):
    for number in range(3):
        pipe.load_lora_weights(lora(pipe, number), f"a{number}")
    pipe.set_adapters("a0")
    first, listeners = predicted(pipe.unet), hooks(pipe.unet)
    gc.collect()
    tracked = len(gc.get_objects())
    for turn in range(1000):
        pipe.set_adapters(f"a{turn % 3}", 1 + turn / 1000)
    pipe.set_adapters("a0")
    gc.collect()
    assert len(gc.get_objects()) - tracked < 100
    assert hooks(pipe.unet) == listeners
    assert torch.equal(predicted(pipe.unet), first)


def test_unloaded_adapters_and_dropped_networks_are_freed():
    pipe = tiny_stable_diffusion(calotype.StableDiffusionPipeline)
    pipe.load_lora_weights(lora(pipe))
    adapter = weakref.ref(injected(pipe.unet).adapters["default_0"])
    network = weakref.ref(pipe.unet)
    pipe.unload_lora_weights()
    assert adapter() is None
    pipe.load_lora_weights(lora(pipe))
    adapter = weakref.ref(injected(pipe.unet).adapters["default_0"])
    del pipe
    gc.collect()
    assert network() is None and adapter() is None


def test_adapters_rest_where_they_are_told_and_work_where_their_layers_are(pipe):
    pipe.load_lora_weights(lora(pipe), "a")
    worn = predicted(pipe.unet)
    pipe.set_lora_device(["a"], "cpu")
    assert torch.equal(predicted(pipe.unet), worn)
    pipe.set_lora_device("a", "meta")
    changes = injected(pipe.unet).adapters["a"].changes.values()
    assert all(tensor.is_meta for change in changes for tensor in change.tensors.values())
    with pytest.raises(InvalidArgument, match="a device, found 'nowhere'"):
        pipe.set_lora_device("a", "nowhere")


def test_gradients_flow_after_calls_without_any(pipe):
    pipe.load_lora_weights({key: tensor.double() for key, tensor in lora(pipe).items()})
    with torch.inference_mode():
        predicted(pipe.unet)
    predicted.__wrapped__(pipe.unet).sum().backward()
    assert pipe.unet.conv_in.weight.grad is not None


@pytest.mark.parametrize(
    "offload", ["enable_model_cpu_offload", "enable_sequential_cpu_offload", "enable_group_offload"]
)
@pytest.mark.parametrize("before", [True, False])
def test_adapters_follow_offloaded_layers(pipe, offload, before):
    state = lora(pipe)
    pipe.load_lora_weights(state)
    worn = call(pipe)
    if before:
        pipe.unload_lora_weights()
    device = "onload_device" if "group" in offload else "device"
    getattr(pipe, offload)(**{device: torch.device("cpu", 0)})
    if before:
        pipe.load_lora_weights(state)
    assert torch.equal(call(pipe), worn)


def test_a_copy_of_a_network_wears_what_the_network_wears(pipe):
    pipe.load_lora_weights(lora(pipe))
    twin = copy.deepcopy(pipe.unet)
    assert torch.equal(predicted(twin), predicted(pipe.unet))
    pipe.unload_lora_weights()
    assert torch.equal(predicted(twin), predicted(pipe.unet))


def test_pipelines_of_the_same_networks_share_their_adapters(pipe):
    pipe.load_lora_weights(lora(pipe), "a")
    other = calotype.StableDiffusionImg2ImgPipeline.from_pipe(pipe)
    assert other.get_active_adapters() == ["a"]
    other.unload_lora_weights()
    assert pipe.get_active_adapters() == []


def test_networks_can_be_given_alone(pipe):
    expected = with_pairs(networks(pipe), pairs(networks(pipe)))
    tensors, alphas = pipe.lora_state_dict(lora(pipe))
    assert alphas is None
    pipe.load_lora_into_unet(tensors, alphas, pipe.unet, "a")
    pipe.load_lora_into_text_encoder(tensors, alphas, pipe.text_encoder, prefix="text_encoder", adapter_name="a")
    assert_same(predicted(pipe.unet), predicted(expected["unet"]))
    assert_same(read(pipe.text_encoder), read(expected["text_encoder"]))
    assert pipe.get_active_adapters() == ["a"]


def test_alphas_go_the_same_way_apart_from_the_tensors(pipe):
    made = pairs(networks(pipe), {"unet": [TO_Q]})
    expected = with_pairs(networks(pipe), made, 0.25)["unet"]
    tensors, alphas = pipe.lora_state_dict(spelled(made, kohya, 0.5))
    assert [*alphas.values()] == [0.5]
    pipe.load_lora_into_unet(tensors, alphas, pipe.unet)
    assert_same(predicted(pipe.unet), predicted(expected))
