"""A LoRA that does not fit is refused with the key, what was expected and what was found; nothing of it is loaded."""

from __future__ import annotations

import math

import pytest
import torch

import calotype
from calotype.core.errors import (
    CalotypeError,
    CorruptFile,
    IncompatibleWeights,
    InvalidArgument,
    MissingFile,
    NotFinite,
    UnknownArgument,
    UnsafeFile,
)
from calotype.core.tensors import safetensors_bytes
from tests.loras import kohya, pairs, peft, predicted, spelled
from tests.tiny import tiny_stable_diffusion

TO_Q = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
TO_K = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
FLUX = "transformer.single_transformer_blocks.0.attn.to_q"


@pytest.fixture
def pipe():
    pipe = tiny_stable_diffusion(calotype.StableDiffusionPipeline)
    pipe.load_lora_weights(state(pipe), "kept")
    return pipe


def state(pipe, key=peft):
    return spelled(pairs({name: getattr(pipe, name) for name in ("unet", "text_encoder")}), key)


def pair(layer, down=(2, 64), up=(64, 2)):
    return {f"{layer}.lora_A.weight": torch.ones(down), f"{layer}.lora_B.weight": torch.ones(up)}


def alpha(value):
    return {**pair(TO_Q), f"{TO_Q}.alpha": value}


NAN = torch.full((2, 64), math.nan)
BAD = {
    "empty": ({}, IncompatibleWeights, "tensors, found none"),
    "no layer": (pair("unet.nowhere.to_q"), IncompatibleWeights, "2 of 2 keys fit no layer of unet, text_encoder"),
    "one layer misspelt": (
        pair(TO_Q) | pair(TO_Q.replace("to_q", "to_w")),
        IncompatibleWeights,
        r"2 of 4 keys fit no layer of .*; first '.*to_w.lora_A.weight'; the nearest layer is unet\..*attn1\.to_",
    ),
    "no role": ({TO_Q: torch.ones(2)}, IncompatibleWeights, "1 of 1 keys fit no layer"),
    "Flux": (pair(FLUX), IncompatibleWeights, "looks like a LoRA for Flux"),
    "SDXL, by its second encoder": (
        pair(TO_Q) | pair("text_encoder_2.text_model.encoder.layers.0.mlp.fc1"),
        IncompatibleWeights,
        "looks like a LoRA for Stable Diffusion XL; there is no text_encoder_2 here",
    ),
    "SDXL, by its width": (pair(TO_K, (2, 2048)), IncompatibleWeights, "looks like a LoRA for Stable Diffusion XL"),
    "SD 2, by its width": (pair(TO_K, (2, 1024)), IncompatibleWeights, "looks like a LoRA for Stable Diffusion 2.x"),
    "OFT": (
        {"lora_unet_mid_block_attentions_0_proj_in.oft_diag": torch.ones(2)},
        IncompatibleWeights,
        "this is OFT",
    ),
    "biases": ({f"{TO_Q}.diff_b": torch.ones(64)}, IncompatibleWeights, "a change of biases"),
    "embeddings": ({"bundle_emb.cat.string_to_param": torch.ones(2)}, IncompatibleWeights, "load_textual_inversion"),
    "a textual inversion": ({"emb_params": torch.ones(1, 32)}, IncompatibleWeights, "load_textual_inversion reads it"),
    "an IP-Adapter": (
        {"ip_adapter.1.to_k_ip.weight": torch.ones(2, 2)},
        IncompatibleWeights,
        "load_ip_adapter reads it",
    ),
    "a ControlNet": ({"control_model.input_hint_block.0.bias": torch.ones(2)}, IncompatibleWeights, "ControlNetModel"),
    "a checkpoint": (
        {"first_stage_model.quant_conv.bias": torch.ones(8)},
        IncompatibleWeights,
        "from_single_file reads it",
    ),
    "no up": (
        {f"{TO_Q}.lora_A.weight": torch.ones(2, 64)},
        IncompatibleWeights,
        "down and up of one layer, found no up",
    ),
    "half a LoHa": ({f"{TO_Q}.hada_w1_a": torch.ones(64, 2)}, IncompatibleWeights, "hada_w2_b"),
    "two kinds at once": (
        {**pair(TO_Q), f"{TO_Q}.lokr_w1": torch.ones(2, 2)},
        IncompatibleWeights,
        "found also lokr_w1",
    ),
    "a layer twice": (
        {**pair(TO_Q), f"{TO_Q}.lora.down.weight": torch.ones(2, 64)},
        IncompatibleWeights,
        "each tensor once, found .* too",
    ),
    "two ranks": (
        pair(TO_Q, up=(64, 3)),
        IncompatibleWeights,
        r"to_q.lora_B.weight': expected shape \(64, 2\) \(rank 2 from '.*lora_A.weight'\), found \(64, 3\)",
    ),
    "rank 0": (pair(TO_Q, (0, 64), (64, 0)), IncompatibleWeights, r"lora_A.weight': expected shape \(1, 64\)"),
    "another width": (pair(TO_Q, (2, 48)), IncompatibleWeights, r"expected shape \(2, 64\), found \(2, 48\)"),
    "a scalar": (pair(TO_Q, ()), IncompatibleWeights, "expected shape"),
    "a kernel": (pair(TO_Q, (2, 64, 3, 3)), IncompatibleWeights, r"found \(2, 64, 3, 3\)"),
    "a LoKr of another size": (
        {f"{TO_Q}.lokr_w1": torch.ones(4, 4), f"{TO_Q}.lokr_w2": torch.ones(16, 8)},
        IncompatibleWeights,
        r"a change of \(64, 64\)",
    ),
    "lengths of another size": ({**pair(TO_Q), f"{TO_Q}.dora_scale": torch.ones(3)}, IncompatibleWeights, "64 lengths"),
    "integers": ({f"{TO_Q}.lora_A.weight": torch.ones(2, 64, dtype=torch.int8)}, IncompatibleWeights, "torch.int8"),
    "sparse": (
        pair(TO_Q) | {f"{TO_Q}.lora_A.weight": torch.ones(2, 64).to_sparse()},
        IncompatibleWeights,
        "numbers in memory",
    ),
    "nowhere": (
        pair(TO_Q) | {f"{TO_Q}.lora_A.weight": torch.ones(2, 64, device="meta")},
        IncompatibleWeights,
        "on meta",
    ),
    "NaN in eight bits": ({f"{TO_Q}.lora_A.weight": NAN.to(torch.float8_e4m3fn)}, NotFinite, "128 NaN"),
    "no tensor": ({f"{TO_Q}.lora_A.weight": [1.0]}, IncompatibleWeights, "a tensor of floats, found list"),
    "no name": ({3: torch.ones(2)}, CorruptFile, "a name, found int"),
    "NaN": ({**pair(TO_Q), f"{TO_Q}.lora_A.weight": NAN}, NotFinite, "to_q.lora_A.weight.*128 NaN"),
    "alpha NaN": (alpha(torch.tensor(math.nan)), NotFinite, "to_q.alpha.*nan"),
    "alpha huge": (alpha(torch.tensor(1e30)), NotFinite, "at most 10,000"),
    "alpha of two numbers": (alpha(torch.ones(2)), IncompatibleWeights, r"one number, found shape \(2,\)"),
    "alpha of no layer": ({**pair(TO_Q), "unet.nowhere.alpha": torch.tensor(1.0)}, IncompatibleWeights, "1 of 3 keys"),
    "a list": ([1], InvalidArgument, "a file, a folder, a repository on the Hub, or a state dict, found list"),
    "no file": ("/nowhere/at/all.safetensors", MissingFile, "nowhere"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused_and_the_pipeline_is_as_before(pipe, case):
    bad, kind, message = BAD[case]
    before = {key: tensor.clone() for key, tensor in pipe.unet.state_dict().items()}
    worn, listeners = predicted(pipe.unet), sum(len(m._forward_hooks) for m in pipe.unet.modules())
    with pytest.raises(kind, match=message):
        pipe.load_lora_weights(bad)
    assert isinstance(kind("x"), CalotypeError)
    assert pipe.get_list_adapters() == {"unet": ["kept"], "text_encoder": ["kept"]}
    assert pipe.get_active_adapters() == ["kept"]
    assert sum(len(m._forward_hooks) for m in pipe.unet.modules()) == listeners
    assert all(torch.equal(before[key], tensor) for key, tensor in pipe.unet.state_dict().items())
    assert torch.equal(predicted(pipe.unet), worn)


NAMES = {
    "taken": "kept",
    "empty": "",
    "dotted": "a.b",
    "long": "a" * 10_000,
    "no text": 3,
}


@pytest.mark.parametrize("case", NAMES)
def test_names_that_cannot_be_given_are_refused(pipe, case):
    with pytest.raises(InvalidArgument, match="adapter_name"):
        pipe.load_lora_weights(state(pipe), NAMES[case])
    assert pipe.get_list_adapters() == {"unet": ["kept"], "text_encoder": ["kept"]}


def test_a_hot_swap_needs_an_adapter_to_replace(pipe):
    with pytest.raises(InvalidArgument, match="the name of the adapter to replace"):
        pipe.load_lora_weights(state(pipe), "new", hotswap=True)


def test_unknown_options_are_refused(pipe):
    with pytest.raises(UnknownArgument, match="weight_name"):
        pipe.load_lora_weights(state(pipe), weigth_name="x")


CHOICES = {
    "an unknown adapter": ((["kepd"],), "adapters that were loaded .kept., found 'kepd'. Did you mean 'kept'"),
    "one adapter twice": ((["kept", "kept"],), "each adapter once"),
    "too many weights": (("kept", [1.0, 2.0]), "expected 1, one for each adapter, found 2"),
    "a text": (("kept", "much"), "a finite number, found 'much'"),
    "NaN": (("kept", math.nan), "a finite number, found nan"),
    "True": (("kept", True), "a finite number, found True"),
    "an unknown network": (("kept", {"unett": 1.0}), "weights by network .unet, text_encoder., found 'unett'"),
    "an unknown part": (("kept", {"unet": {"side": 1.0}}), "weights for down, up, mid, found 'side'"),
    "a block without transformers": (
        ("kept", {"unet": {"down": {"block_0": 1.0}}}),
        r"\['down'\]: expected weights for block_1, found 'block_0'",
    ),
    "too many for a block": (("kept", {"unet": {"up": {"block_0": [1.0]}}}), r"\['block_0'\]: expected 2 weights"),
    "a layer's weight that is none": (("kept", {"unet": {"up": {"block_0": [1.0, "x"]}}}), r"\[1\]: expected a finite"),
    "blocks of a text encoder": (("kept", {"text_encoder": {"down": 1.0}}), "no blocks: this network has none"),
}


@pytest.mark.parametrize("case", CHOICES)
def test_a_choice_that_cannot_be_made_is_refused_and_the_old_one_stays(pipe, case):
    arguments, message = CHOICES[case]
    worn = predicted(pipe.unet)
    with pytest.raises(InvalidArgument, match=message):
        pipe.set_adapters(*arguments)
    assert torch.equal(predicted(pipe.unet), worn)


@pytest.mark.parametrize("method", ["delete_adapters", "set_adapters"])
def test_adapters_that_are_not_there_cannot_be_named(pipe, method):
    with pytest.raises(InvalidArgument, match="adapters that were loaded"):
        getattr(pipe, method)(["kept", "other"])
    assert pipe.get_active_adapters() == ["kept"]


def test_only_networks_of_the_pipeline_are_fused(pipe):
    with pytest.raises(InvalidArgument, match="among unet, text_encoder, found 'vae'"):
        pipe.fuse_lora(components=["vae"])


# ---------------------------------------------------------------- files


def written(path, tensors, metadata=None):
    path.write_bytes(b"".join(safetensors_bytes(tensors, metadata)))
    return path


def test_a_file_a_folder_and_a_named_file_are_the_same_lora(pipe, tmp_path):
    worn = predicted(pipe.unet)
    written(tmp_path / "pytorch_lora_weights.safetensors", state(pipe))
    ways = [(tmp_path, {}), (tmp_path / "pytorch_lora_weights.safetensors", {})]
    for path, options in [*ways, (tmp_path, {"weight_name": "pytorch_lora_weights.safetensors"})]:
        pipe.load_lora_weights(path, **options)
        assert torch.equal(predicted(pipe.unet), worn)


def test_faults_of_files_name_the_file(pipe, tmp_path):
    wrong = written(tmp_path / "style.safetensors", pair("unet.nowhere"))
    with pytest.raises(IncompatibleWeights, match=r"style.safetensors.*fit no layer"):
        pipe.load_lora_weights(wrong)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(wrong.read_bytes()[:-8])
    with pytest.raises(CorruptFile, match=r"cut\.safetensors"):
        pipe.load_lora_weights(cut)
    bad = written(tmp_path / "nan.safetensors", {f"{TO_Q}.lora_A.weight": NAN})
    with pytest.raises(NotFinite, match=r"nan.safetensors.*lora_A"):
        pipe.load_lora_weights(bad)


@pytest.mark.parametrize(
    "told",
    [
        "{",
        "[" * 200_000,
        '{"unet.lora_alpha": "4"}',
        '{"unet.alpha_pattern": {".*to_q": 4}}',
        '{"unet.alpha_pattern": [4]}',
    ],
    ids=["cut", "deep", "text", "pattern", "list"],
)
def test_faults_of_configs_name_the_file(pipe, tmp_path, told):
    file = written(tmp_path / "told.safetensors", pair(TO_Q), {"lora_adapter_metadata": told})
    with pytest.raises(CorruptFile, match=r"told\.safetensors: lora_adapter_metadata"):
        pipe.load_lora_weights(file)
    assert pipe.get_active_adapters() == ["kept"]


def test_pickles_are_read_only_when_asked_for(pipe, tmp_path):
    worn = predicted(pipe.unet)
    torch.save(state(pipe), tmp_path / "pytorch_lora_weights.bin")
    with pytest.raises(UnsafeFile, match="use_safetensors=False"):
        pipe.load_lora_weights(tmp_path)
    pipe.load_lora_weights(tmp_path, use_safetensors=False)
    assert torch.equal(predicted(pipe.unet), worn)


def test_an_alpha_of_0_is_said(pipe, caplog):
    pipe.load_lora_weights(alpha(torch.tensor(0.0)))
    assert "1 alphas are 0" in caplog.text


# ---------------------------------------------------------------- saved


def test_saved_loras_come_back(pipe, tmp_path):
    worn = predicted(pipe.unet)
    own = {key.removeprefix("unet."): t for key, t in state(pipe).items() if key.startswith("unet.")}
    text = {key.removeprefix("text_encoder."): t for key, t in state(pipe).items() if key.startswith("text_")}
    for safe in (True, False):
        pipe.save_lora_weights(tmp_path / str(safe), own, text, safe_serialization=safe)
        pipe.load_lora_weights(tmp_path / str(safe), use_safetensors=safe)
        assert torch.equal(predicted(pipe.unet), worn)


def test_a_saved_config_keeps_its_alpha(pipe, tmp_path):
    own = {key.removeprefix("unet."): tensor for key, tensor in pair(TO_Q).items()}
    pipe.save_lora_weights(
        tmp_path, own, unet_lora_adapter_metadata={"r": 2, "lora_alpha": 1, "target_modules": {"to_q"}}
    )
    pipe.load_lora_weights(tmp_path)
    half = predicted(pipe.unet)
    pipe.load_lora_weights(alpha(torch.tensor(1.0)))
    assert torch.equal(predicted(pipe.unet), half)


def test_what_cannot_be_saved_is_refused(pipe, tmp_path):
    for layers, kind in ((None, InvalidArgument), ({"a": 1}, InvalidArgument), ({"a": NAN}, NotFinite)):
        with pytest.raises(kind, match="lora_layers"):
            pipe.save_lora_weights(tmp_path, layers)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidArgument, match="a folder"):
        pipe.save_lora_weights(tmp_path / "file", pair(TO_Q))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    pipe.save_lora_weights(tmp_path, pair(TO_Q), is_main_process=False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_kohya_keys_count_too(pipe):
    broken = state(pipe, kohya)
    first = next(iter(broken))
    broken[first.replace("conv_in", "conv_on")] = broken.pop(first)
    with pytest.raises(IncompatibleWeights, match=r"conv_on.*nearest layer is unet.conv_in"):
        pipe.load_lora_weights(broken)
