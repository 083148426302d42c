"""LoRAs against the peer and PEFT: the same file, the same choice, the same picture."""

from __future__ import annotations

import inspect

import diffusers
import numpy as np
import pytest
import torch
from diffusers.training_utils import _collate_lora_metadata
from peft import LoraConfig, get_peft_model_state_dict

import calotype
from tests.parity.pairs import pair, save_peer
from tests.parity.test_stable_diffusion_xl import save_peer_xl

KIND = "StableDiffusionPipeline"
UNET = ["to_k", "to_q", "to_out.0", "ff.net.0.proj"]
CONVOLUTIONS = ["conv1", "conv_shortcut", "proj_in", "downsamplers.0.conv"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_peer(tmp_path_factory.mktemp("sd"))


@pytest.fixture
def pipes(folder):
    return pair(folder, KIND)


def trained(folder, to, spelled="peft", metadata=False, text=True, seed=0, **options):
    """A folder with a LoRA as the peer's training scripts save it, with values that are not zero."""
    pipe = pair(folder, KIND)[0]
    torch.manual_seed(seed)
    given = {"r": 4, "lora_alpha": 4, "target_modules": [*UNET, *CONVOLUTIONS], "init_lora_weights": False, **options}
    pipe.unet.add_adapter(LoraConfig(**given), "default")
    parts, layers = {"unet": pipe.unet}, {}
    if text:
        small = {**given, "r": 2, "lora_alpha": 2, "target_modules": ["q_proj", "out_proj", "fc1"]}
        pipe.text_encoder.add_adapter(LoraConfig(**small), "default")
        parts["text_encoder"] = pipe.text_encoder
    for name, part in parts.items():
        state = {key: tensor * 2 for key, tensor in get_peft_model_state_dict(part, adapter_name="default").items()}
        if spelled == "diffusers":
            state = diffusers.utils.convert_state_dict_to_diffusers(state)
        layers[f"{name}_lora_layers"] = state
    told = _collate_lora_metadata(parts) if metadata else {}
    diffusers.StableDiffusionPipeline.save_lora_weights(to, **layers, **told)
    return to


def drawn(pipe, **options):
    given = dict(num_inference_steps=4, output_type="np", height=32, width=32)
    return pipe("a red cube", generator=torch.Generator().manual_seed(0), **given | options).images


def compare(pipes, **options):
    """Both draw the same picture."""
    theirs, ours = (drawn(pipe, **options) for pipe in pipes)
    assert np.abs(theirs - ours).max() <= 1e-4
    return theirs


def load(pipes, path, **options):
    for pipe in pipes:
        pipe.load_lora_weights(path, **options)


FILES = {
    "PEFT": {},
    # beside convolutions, the peer drops what it has so spelled
    "diffusers": {"spelled": "diffusers", "target_modules": UNET},
    "with a config": {"metadata": True, "lora_alpha": 8},
    "with ranks and alphas of layers": {
        "metadata": True,
        "rank_pattern": {"to_q": 3, "conv1": 6},
        "alpha_pattern": {"to_q": 9, "conv1": 2},
        "text": False,
    },
    "with the root of the rank": {"metadata": True, "use_rslora": True, "text": False},
    "of linear layers": {"target_modules": UNET, "text": False},
    "of convolutions": {"target_modules": CONVOLUTIONS, "text": False},
    "DoRA": {"use_dora": True, "text": False, "metadata": True},
}


@pytest.mark.parametrize("file", FILES)
def test_files_of_the_peers_training_give_the_same_picture(folder, pipes, tmp_path, file):
    plain = compare(pipes)
    load(pipes, trained(folder, tmp_path, **FILES[file]))
    assert np.abs(compare(pipes) - plain).max() > 0.01


def test_scales_of_calls_give_the_same_picture(folder, pipes, tmp_path):
    load(pipes, trained(folder, tmp_path))
    for scale in (0.3, 1.7):
        compare(pipes, cross_attention_kwargs={"scale": scale})


def test_dora_at_another_scale_gives_the_same_picture(folder, pipes, tmp_path):
    load(pipes, trained(folder, tmp_path, use_dora=True, text=False, metadata=True))
    compare(pipes, cross_attention_kwargs={"scale": 0.5})


WEIGHTS = {
    "one": (["a"], None),
    "one, weighed": (["b"], [0.4]),
    "both": (["a", "b"], None),
    "both, weighed": (["a", "b"], [0.5, -0.3]),
    "by network": (["a"], [{"unet": 0.5, "text_encoder": 0.2}]),
    "by block": (["a"], [{"unet": {"down": 0.3, "mid": 0.6, "up": {"block_0": [0.2, 0.9]}}}]),
    "by part of the network": (["a"], [{"unet": {"down": {"block_1": 0.3}}}]),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_choices_give_the_same_picture(folder, pipes, tmp_path, case):
    load(pipes, trained(folder, tmp_path / "a"), adapter_name="a")
    load(pipes, trained(folder, tmp_path / "b", seed=1, r=3), adapter_name="b")
    for pipe in pipes:
        pipe.set_adapters(*WEIGHTS[case])
    compare(pipes)
    assert pipes[0].get_active_adapters() == pipes[1].get_active_adapters()
    assert pipes[0].get_list_adapters() == {
        name: names for name, names in pipes[1].get_list_adapters().items() if name in pipes[0].get_list_adapters()
    }


def test_fused_disabled_and_deleted_adapters_give_the_same_picture(folder, pipes, tmp_path):
    load(pipes, trained(folder, tmp_path / "a"), adapter_name="a")
    load(pipes, trained(folder, tmp_path / "b", seed=1), adapter_name="b")
    for step in (
        lambda pipe: pipe.fuse_lora(lora_scale=0.7),
        lambda pipe: (pipe.unfuse_lora(), pipe.set_adapters("b")),  # the peer leaves the scale behind
        lambda pipe: pipe.disable_lora(),
        lambda pipe: pipe.enable_lora(),
        lambda pipe: pipe.set_adapters(["a", "b"], [0.5, 0.5]),
        lambda pipe: pipe.delete_adapters("a"),
        lambda pipe: pipe.unload_lora_weights(),
    ):
        for pipe in pipes:
            step(pipe)
        compare(pipes)


def test_kohya_files_give_the_same_picture(pipes):
    names = {
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q": (64, 64),
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k": (32, 64),
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_out_0": (64, 64),
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_ff_net_0_proj": (64, 512),
    }
    torch.manual_seed(0)
    state = {}
    for name, (inputs, outputs) in names.items():
        state |= {f"{name}.lora_down.weight": torch.randn(4, inputs), f"{name}.lora_up.weight": torch.randn(outputs, 4)}
        state[f"{name}.alpha"] = torch.tensor(2.0)
    for pipe in pipes:
        pipe.load_lora_weights(dict(state))
    compare(pipes)


def test_what_we_save_the_peer_reads(folder, pipes, tmp_path):
    trained(folder, tmp_path / "theirs")
    state, _ = pipes[1].lora_state_dict(tmp_path / "theirs")
    parts = {
        f"{part}_lora_layers": {k.removeprefix(f"{part}."): t for k, t in state.items() if k.startswith(f"{part}.")}
        for part in ("unet", "text_encoder")
    }
    pipes[1].save_lora_weights(tmp_path / "ours", **parts)
    pipes[0].load_lora_weights(tmp_path / "ours")
    pipes[1].load_lora_weights(tmp_path / "theirs")
    compare(pipes)


def test_what_was_trained_here_the_peer_reads(pipes, tmp_path):
    from calotype.adapters.lora_training import fresh_pairs

    pairs = fresh_pairs(pipes[1].unet, ["to_q", "to_v", "conv1"], rank=3)
    torch.manual_seed(0)
    for parameter in pairs.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    pipes[1].save_lora_weights(tmp_path, pairs)
    load(pipes, tmp_path)
    compare(pipes)


def test_sdxl_gives_the_same_picture(tmp_path):
    folder = save_peer_xl(tmp_path)
    pipes = pair(folder, "StableDiffusionXLPipeline")
    theirs = pipes[0]
    parts = {"unet": UNET, "text_encoder": ["q_proj", "fc1"], "text_encoder_2": ["v_proj", "fc2"]}
    torch.manual_seed(0)
    layers = {}
    for name, targets in parts.items():
        config = LoraConfig(r=3, lora_alpha=3, target_modules=targets, init_lora_weights=False)
        getattr(theirs, name).add_adapter(config, "default")
        layers[f"{name}_lora_layers"] = get_peft_model_state_dict(getattr(theirs, name), adapter_name="default")
    diffusers.StableDiffusionXLPipeline.save_lora_weights(tmp_path / "lora", **layers)
    pipes = pair(folder, "StableDiffusionXLPipeline")
    load(pipes, tmp_path / "lora", adapter_name="a")
    compare(pipes)
    compare(pipes, cross_attention_kwargs={"scale": 0.4})
    for pipe in pipes:
        pipe.set_adapters("a", {"unet": {"mid": 0.2}, "text_encoder_2": 0.5})
    compare(pipes)


METHODS = (
    "load_lora_weights", "save_lora_weights", "lora_state_dict", "load_lora_into_unet", "load_lora_into_text_encoder",
    "set_adapters", "get_active_adapters", "get_list_adapters", "delete_adapters", "enable_lora", "disable_lora",
    "fuse_lora", "unfuse_lora", "unload_lora_weights", "set_lora_device",
)  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", [KIND, "StableDiffusionXLPipeline"])
def test_methods_take_what_the_peers_take(kind, name):
    theirs, ours = (
        {
            p.name: p.default
            for p in inspect.signature(getattr(getattr(library, kind), name)).parameters.values()
            # which networks are fused by default: all that there are
            if p.kind is not p.VAR_KEYWORD and p.name != "components"
        }
        for library in (diffusers, calotype)
    )
    assert ours == theirs
