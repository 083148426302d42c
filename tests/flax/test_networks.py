"""Each network of JAX computes what its twin in PyTorch does, from the same weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import calotype
from calotype.core.errors import IncompatibleWeights, InvalidArgument
from calotype.flax.names import leaves
from tests.tiny import tiny_safety_checker, tiny_text_encoder, tiny_unet, tiny_vae


def twins(kind, network):
    """The network in JAX, and its weights."""
    made = kind(**{key: value for key, value in network.config.items() if not key.startswith("_")})
    return made, made.as_params(network.state_dict())


def values(tensor):
    return jnp.asarray(tensor.numpy())


def close(ours, theirs):
    np.testing.assert_allclose(np.asarray(ours), theirs.numpy(), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(
    "config",
    [{}, {"use_linear_projection": True, "resnet_time_scale_shift": "scale_shift", "only_cross_attention": True}],
    ids=["as published", "of other options"],
)
def test_the_unet_predicts_the_same_at_odd_sizes_too(config):
    network = tiny_unet(**config)
    made, params = twins(calotype.FlaxUNet2DConditionModel, network)
    sample, times, states = torch.randn(2, 4, 15, 18), torch.tensor([3, 700]), torch.randn(2, 7, 32)
    predict = jax.jit(lambda weights, *inputs: made.apply({"params": weights}, *inputs).sample)
    close(predict(params, *map(values, (sample, times, states))), network(sample, times, states).sample)


@torch.no_grad()
def test_the_autoencoder_encodes_and_decodes_the_same():
    network = tiny_vae()
    made, params = twins(calotype.FlaxAutoencoderKL, network)
    pixels = torch.randn(2, 3, 16, 20)
    theirs = network.encode(pixels).latent_dist

    def there_and_back(weights, pixels):
        seen = made.apply({"params": weights}, pixels, method=made.encode).latent_dist
        return seen, made.decode(seen.mode(), params=weights).sample

    ours, decoded = jax.jit(there_and_back)(params, values(pixels))
    close(ours.mean, theirs.mean)
    close(ours.std, theirs.std)
    close(decoded, network.decode(theirs.mean).sample)


@torch.no_grad()
def test_the_text_encoder_reads_the_same():
    network = tiny_text_encoder()
    made, params = twins(calotype.FlaxCLIPTextModel, network)
    ids = torch.randint(0, 500, (2, 77), generator=torch.Generator().manual_seed(0))
    close(jax.jit(lambda weights, ids: made(ids, params=weights)[0])(params, values(ids)), network(ids)[0])


@torch.no_grad()
def test_the_safety_checker_blocks_the_same_pictures_and_in_doubt_all():
    network = tiny_safety_checker()
    pixels = torch.randn(6, 3, 30, 30, generator=torch.Generator().manual_seed(1))
    seen = torch.nn.functional.normalize(network.visual_projection(network.vision_model(pixels)[0]))
    network.concept_embeds[0], network.concept_embeds_weights[0] = seen[2], 0.999
    made, params = twins(calotype.FlaxStableDiffusionSafetyChecker, network)
    _, theirs = network(pixels, np.zeros((6, 4, 4, 3)))
    assert made(pixels.numpy(), params=params) == theirs
    assert theirs[2] and not all(theirs)
    broken = params | {"visual_projection": {"kernel": params["visual_projection"]["kernel"] * jnp.nan}}
    assert all(made(pixels.numpy(), params=broken))


def test_weights_lie_where_published_files_have_them():
    unet, vae, text, checker = (
        set(leaves(twins(kind, network)[1]))
        for kind, network in (
            (calotype.FlaxUNet2DConditionModel, tiny_unet()),
            (calotype.FlaxAutoencoderKL, tiny_vae()),
            (calotype.FlaxCLIPTextModel, tiny_text_encoder()),
            (calotype.FlaxStableDiffusionSafetyChecker, tiny_safety_checker()),
        )
    )
    block = "down_blocks_1/attentions_0/transformer_blocks_0"
    assert {"conv_in/kernel", "time_embedding/linear_1/bias", "down_blocks_0/downsamplers_0/conv/kernel"} <= unet
    assert {f"{block}/attn2/to_out_0/kernel", f"{block}/ff/net_0/proj/kernel", f"{block}/norm1/scale"} <= unet
    assert {"encoder/mid_block/attentions_0/query/kernel", "decoder/mid_block/attentions_0/proj_attn/bias"} <= vae
    assert "text_model/encoder/layers/2/self_attn/q_proj/kernel" in text
    assert "text_model/embeddings/token_embedding/embedding" in text
    assert {"concept_embeds_weights", "vision_model/vision_model/embeddings/class_embedding"} <= checker


def test_kernels_are_as_jax_wants_them():
    _, params = twins(calotype.FlaxUNet2DConditionModel, tiny_unet())
    assert params["conv_in"]["kernel"].shape == (3, 3, 4, 32)
    assert params["time_embedding"]["linear_1"]["kernel"].shape == (32, 128)


def test_fresh_weights_follow_the_key():
    made = calotype.FlaxCLIPTextModel.from_config(tiny_text_encoder().config)
    first, again, other = (leaves(made.init_weights(jax.random.PRNGKey(seed))) for seed in (0, 0, 1))
    key = "text_model/encoder/layers/0/mlp/fc1/kernel"
    made.check_params(made.init_weights(jax.random.PRNGKey(2)))
    assert (first[key] == again[key]).all() and not (first[key] == other[key]).all()


def test_weights_are_cast_and_whole_numbers_are_not():
    made = calotype.FlaxUNet2DConditionModel.from_config(tiny_unet().config)
    tree = {"a": {"kernel": jnp.ones(2)}, "step": jnp.ones(1, jnp.int32)}
    half = made.to_bf16(tree)
    assert half["a"]["kernel"].dtype == jnp.bfloat16 and half["step"].dtype == jnp.int32
    assert made.to_fp32(made.to_fp16(half))["a"]["kernel"].dtype == jnp.float32


def test_what_jax_has_no_layers_for_is_refused_by_name():
    with pytest.raises(InvalidArgument, match=r"down_block_types: .*SimpleCrossAttnDownBlock2D"):
        calotype.FlaxUNet2DConditionModel(down_block_types=("SimpleCrossAttnDownBlock2D",) * 4)
    with pytest.raises(InvalidArgument, match="class_embed_type"):
        calotype.FlaxUNet2DConditionModel(class_embed_type="timestep")
    with pytest.raises(InvalidArgument, match="dtype"):
        calotype.FlaxUNet2DConditionModel(dtype="int32")


def test_weights_of_another_shape_are_refused_by_path():
    made, params = twins(calotype.FlaxUNet2DConditionModel, tiny_unet())
    with pytest.raises(IncompatibleWeights, match="conv_out/bias"):
        made.check_params(params | {"conv_out": {"kernel": params["conv_out"]["kernel"], "bias": jnp.zeros(3)}})
