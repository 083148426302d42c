"""A LoRA means the same in every spelling: the network with ``W + scale * up @ down`` in its weights."""

from __future__ import annotations

import pytest
import torch

import calotype
from tests.loras import (
    ATTENTION,
    LAYERS,
    assert_same,
    kohya,
    pairs,
    peft,
    predicted,
    product,
    read,
    spelled,
    with_pairs,
    with_weights,
)
from tests.tiny import tiny_stable_diffusion, tiny_unet

PARTS = ("unet", "text_encoder")


@pytest.fixture
def pipe():
    return tiny_stable_diffusion(calotype.StableDiffusionPipeline)


def networks(pipe, *names):
    return {name: getattr(pipe, name) for name in names or PARTS}


def assert_worn(pipe, expected):
    """The networks of the pipeline say what the expected ones say, which is not what they say without adapters."""
    for name, network in expected.items():
        look = predicted if name == "unet" else read
        worn = look(getattr(pipe, name))
        assert_same(worn, look(network))
        pipe.disable_lora()
        assert (look(getattr(pipe, name)) - worn).abs().max() > 1e-2
        pipe.enable_lora()


def diffusers(component, layer, role):
    kind = "lora" if component == "unet" else "lora_linear_layer"
    return f"{component}.{layer}.{kind}.{role}.weight"


def beside_processors(component, layer, role):
    home, last = layer.rsplit(".", 1) if not layer.endswith("to_out.0") else (layer.removesuffix(".to_out.0"), "to_out")
    return f"{home}.processor.{last}_lora.{role}.weight"


SPELLINGS = {
    "diffusers": (diffusers, LAYERS, PARTS),
    "diffusers, beside processors": (beside_processors, ATTENTION, ("unet",)),
    "diffusers, beside processors, with the network's name": (
        lambda *names: f"unet.{beside_processors(*names)}",
        ATTENTION,
        ("unet",),
    ),
    "diffusers, text encoders at first": (
        lambda c, layer, role: (
            f"{c}.{layer.replace('q_proj', 'to_q').replace('out_proj', 'to_out')}_lora.{role}.weight"
        ),
        ATTENTION,
        ("text_encoder",),
    ),
    "diffusers, text encoders of late": (
        lambda c, layer, role: diffusers(c, layer.removeprefix("text_model."), role),
        LAYERS,
        ("text_encoder",),
    ),
    "PEFT": (peft, LAYERS, PARTS),
    "PEFT, with the adapter's name": (lambda *n: peft(*n).replace(".weight", ".my_lora.weight"), LAYERS, PARTS),
    "PEFT, whole": (lambda *names: f"base_model.model.{peft(*names)}", LAYERS, PARTS),
    "OneTrainer": (
        lambda c, layer, role: f"{'lora_unet' if c == 'unet' else 'lora_te'}.{layer}.lora_{role}.weight",
        LAYERS,
        PARTS,
    ),
    "kohya": (kohya, LAYERS, PARTS),
    "kohya, for the first of two encoders": (lambda *n: kohya(*n).replace("lora_te_", "lora_te1_"), LAYERS, PARTS),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_the_same_lora(pipe, spelling):
    key, layers, names = SPELLINGS[spelling]
    made = pairs(networks(pipe, *names), layers)
    expected = with_pairs(networks(pipe, *names), made)
    pipe.load_lora_weights(spelled(made, key))
    assert_worn(pipe, expected)


@pytest.mark.parametrize("alpha", [1.0, 4.0, 0.5])
@pytest.mark.parametrize("key", [kohya, peft], ids=["kohya", "PEFT"])
def test_an_alpha_scales_by_itself_over_the_rank(pipe, key, alpha):
    made = pairs(networks(pipe), rank=4)
    expected = with_pairs(networks(pipe), made, alpha / 4)
    pipe.load_lora_weights(spelled(made, key, alpha))
    assert_worn(pipe, expected)


def test_ranks_and_alphas_belong_to_layers(pipe, caplog):
    one, two = LAYERS["unet"][2], LAYERS["unet"][5]
    small, large = pairs(networks(pipe), {"unet": [one]}, rank=1), pairs(networks(pipe), {"unet": [two]}, rank=5)
    added = {one: 3.0 * product(*small["unet", one]), two: product(*large["unet", two])}
    expected = {"unet": with_weights(pipe.unet, added)}
    pipe.load_lora_weights(spelled(small, kohya, 3.0) | spelled(large, kohya))
    assert_worn(pipe, expected)
    assert "1 of 2 layers have no alpha, so theirs is the rank" in caplog.text


def test_types_may_be_mixed_and_follow_their_layers(pipe):
    made = pairs(networks(pipe))
    state = {key: t.half() if "lora_down" in key else t.double() for key, t in spelled(made, kohya).items()}
    expected = with_pairs(networks(pipe), {place: (down.half().float(), up) for place, (down, up) in made.items()})
    pipe.load_lora_weights(state)
    assert_worn(pipe, expected)
    pipe.to(torch.bfloat16)
    assert predicted(pipe.unet).dtype is torch.bfloat16


def test_a_linear_pair_fits_a_convolution_of_one_pixel(pipe):
    made = pairs(networks(pipe), {"unet": ["down_blocks.1.attentions.0.proj_in"]})
    expected = with_pairs(networks(pipe, "unet"), made)
    pipe.load_lora_weights({key: tensor.flatten(1) for key, tensor in spelled(made, peft).items()})
    assert_worn(pipe, expected)


ORIGINAL = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_2": "time_embed.2",
    "down_blocks.0.resnets.0.conv1": "input_blocks.1.0.in_layers.2",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "down_blocks.1.resnets.0.time_emb_proj": "input_blocks.3.0.emb_layers.1",
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q": "input_blocks.3.1.transformer_blocks.0.attn1.to_q",
    "mid_block.resnets.1.conv2": "middle_block.2.out_layers.3",
    "mid_block.attentions.0.proj_out": "middle_block.1.proj_out",
    "up_blocks.0.attentions.1.transformer_blocks.0.ff.net.2": "output_blocks.1.1.transformer_blocks.0.ff.net.2",
    "up_blocks.0.upsamplers.0.conv": "output_blocks.1.2.conv",
    "up_blocks.1.resnets.1.conv_shortcut": "output_blocks.3.0.skip_connection",
    "conv_out": "out.2",
}


@pytest.mark.parametrize("start", ["lora_unet_", "unet.", "diffusion_model."])
def test_layers_have_the_names_of_the_original_unet_too(pipe, start):
    made = pairs(networks(pipe), {"unet": [*ORIGINAL]})

    def key(_, layer, role):
        name = ORIGINAL[layer]
        return f"{start}{name.replace('.', '_') if start.endswith('_') else name}.lora_{role}.weight"

    expected = with_pairs(networks(pipe, "unet"), made)
    pipe.load_lora_weights(spelled(made, key))
    assert_worn(pipe, expected)


def test_the_original_names_of_sdxl_are_those_of_its_checkpoints():
    from calotype.models.original_names import original_names

    down, up = ("DownBlock2D", *("CrossAttnDownBlock2D",) * 2), (*("CrossAttnUpBlock2D",) * 2, "UpBlock2D")
    unet = tiny_unet(block_out_channels=(8, 16, 24), layers_per_block=2, down_block_types=down, up_block_types=up)
    names = original_names(unet)
    assert names["down_blocks.1.attentions.0.proj_in"] == "input_blocks.4.1.proj_in"
    assert names["down_blocks.2.attentions.1.proj_in"] == "input_blocks.8.1.proj_in"
    assert names["up_blocks.0.attentions.0.proj_in"] == "output_blocks.0.1.proj_in"
    assert names["up_blocks.0.upsamplers.0.conv"] == "output_blocks.2.2.conv"
    assert names["up_blocks.1.upsamplers.0.conv"] == "output_blocks.5.2.conv"
    assert names["up_blocks.2.resnets.2.conv1"] == "output_blocks.8.0.in_layers.2"


# ---------------------------------------------------------------- kinds of change

LINEAR = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"  # 64 to 64
WIDE = "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.2"  # 256 to 64
CONV = "down_blocks.0.resnets.0.conv1"  # 32 to 32, 3 x 3
STRIDED = "down_blocks.0.downsamplers.0.conv"


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape) + seed)) * 0.5


def tucker_low_rank(shape):
    down, mid, up = normal(2, shape[1], 1, 1), normal(2, 2, 3, 3), normal(shape[0], 2, 1, 1)
    added = torch.zeros(shape)
    for a in range(2):
        for b in range(2):
            added += up[:, a].reshape(-1, 1, 1, 1) * mid[a, b] * down[b].reshape(1, -1, 1, 1)
    return {"lora_down.weight": down, "lora_mid.weight": mid, "lora_up.weight": up}, added, 2


def hadamard(shape):
    inner = torch.Size(shape[1:]).numel()
    a1, b1, a2, b2 = normal(shape[0], 3), normal(3, inner), normal(shape[0], 3, seed=1), normal(3, inner, seed=1)
    state = {"hada_w1_a": a1, "hada_w1_b": b1, "hada_w2_a": a2, "hada_w2_b": b2}
    return state, ((a1 @ b1) * (a2 @ b2)).reshape(shape), 3


def core(left, middle, right):
    """``sum_ij left[i, o] * middle[i, j] * right[j, n]``, for each pixel of the kernel."""
    return torch.einsum("io,ijkl,jn->onkl", left, middle, right)


def tucker_hadamard(shape):
    halves = [(normal(2, shape[0], seed=s), normal(2, shape[1], seed=s), normal(2, 2, 3, 3, seed=s)) for s in (0, 1)]
    state = {
        f"hada_{name}{i}{end}": t
        for i, half in enumerate(halves, 1)
        for name, end, t in zip("wwt", ("_a", "_b", ""), half, strict=True)
    }
    first, second = (core(a, t, b) for a, b, t in halves)
    return state, first * second, 2


def kronecker(low, shape):
    """A product of (4, 2) and the rest; ``low`` names the factors that are of low rank themselves."""
    outer, inner, kernel = shape[0] // 4, shape[1] // 2, shape[2:]
    first, second, rank = normal(4, 2), normal(outer, inner, *kernel), None
    state = {"lokr_w1": first, "lokr_w2": second}
    if "w1" in low:
        a, b, rank = normal(4, 2, seed=1), normal(2, 2, seed=2), 2
        first = a @ b
        state = {"lokr_w1_a": a, "lokr_w1_b": b, "lokr_w2": second}
    if "w2" in low:
        a, b, rank = normal(outer, 3), normal(3, inner * torch.Size(kernel).numel()), 3
        second = (a @ b).reshape(outer, inner, *kernel)
        del state["lokr_w2"]
        state |= {"lokr_w2_a": a, "lokr_w2_b": b}
    if "t2" in low:
        a, b, t, rank = normal(3, outer), normal(3, inner), normal(3, 3, *kernel), 3
        second = core(a, t, b)
        del state["lokr_w2"]
        state |= {"lokr_w2_a": a, "lokr_w2_b": b, "lokr_t2": t}
    added = torch.cat([torch.cat([first[i, j] * second for j in range(2)], dim=1) for i in range(4)])
    return state, added, rank


def whole(shape):
    added = normal(*shape)
    return {"diff": added}, added, None


KINDS = {
    "LoCon, Tucker": (tucker_low_rank, (CONV, STRIDED)),
    "LoHa": (hadamard, (LINEAR, WIDE, CONV, STRIDED)),
    "LoHa, Tucker": (tucker_hadamard, (CONV, STRIDED)),
    "LoKr": (lambda shape: kronecker((), shape), (LINEAR, WIDE, CONV)),
    "LoKr, first of low rank": (lambda shape: kronecker(("w1",), shape), (LINEAR, CONV)),
    "LoKr, second of low rank": (lambda shape: kronecker(("w2",), shape), (LINEAR, WIDE, CONV, STRIDED)),
    "LoKr, both of low rank": (lambda shape: kronecker(("w1", "w2"), shape), (LINEAR, CONV)),
    "LoKr, Tucker": (lambda shape: kronecker(("t2",), shape), (CONV, STRIDED)),
    "the whole difference": (whole, (LINEAR, CONV)),
}


@pytest.mark.parametrize(("kind", "layer"), [(kind, layer) for kind, (_, layers) in KINDS.items() for layer in layers])
def test_every_kind_of_change_is_what_its_formula_says(pipe, kind, layer):
    state, added, rank = KINDS[kind][0](pipe.unet.get_submodule(layer).weight.shape)
    name = f"lora_unet_{layer.replace('.', '_')}"
    alpha = {} if rank is None else {f"{name}.alpha": torch.tensor(1.5)}
    expected = {"unet": with_weights(pipe.unet, {layer: added * (1.5 / rank if rank else 1.0)})}
    pipe.load_lora_weights({f"{name}.{role}": tensor for role, tensor in state.items()} | alpha)
    assert_worn(pipe, expected)


@pytest.mark.parametrize("layer", [LINEAR, WIDE, CONV])
@pytest.mark.parametrize("spelling", ["dora_scale", "dora_scale of columns", "lora_magnitude_vector"])
def test_dora_gives_rows_or_columns_lengths_of_their_own(pipe, spelling, layer):
    weight = pipe.unet.get_submodule(layer).weight.detach()
    made = pairs(networks(pipe), {"unet": [layer]})
    down, up = made["unet", layer]
    turned = weight + 0.5 * product(down, up)
    columns = "columns" in spelling
    lengths = 1 + normal(weight.shape[1] if columns else weight.shape[0]).abs()
    over, shape = ((0, *range(2, weight.ndim)), (1, -1)) if columns else (tuple(range(1, weight.ndim)), (-1, 1))
    shape = (*shape, *[1] * (weight.ndim - 2))
    expected = lengths.reshape(shape) * turned / turned.square().sum(over, keepdim=True).sqrt()
    stored = lengths.reshape(shape) if "dora" in spelling else lengths
    key = f"lora_unet_{layer.replace('.', '_')}.{spelling.split()[0]}"
    expected = {"unet": with_weights(pipe.unet, {layer: expected - weight})}
    pipe.load_lora_weights(spelled(made, kohya, 1.0) | {key: stored})
    assert_worn(pipe, expected)
