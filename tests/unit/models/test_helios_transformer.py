"""What the transformer of Helios holds to: it reads once, remembers compactly, and refuses what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from calotype.core.errors import IncompatibleWeights, InvalidArgument
from calotype.core.names import component_class, written_as
from calotype.models.helios_conditioning import TextMemory
from calotype.models.helios_rope import places, turned
from calotype.models.helios_transformer import HeliosTransformer3DModel
from calotype.models.layers.spread import ALONE, Attention
from calotype.ops.attention import attend
from tests.tiny_helios import TRANSFORMER, helios_inputs, transformer

FLOAT32 = ("time_embedder", "scale_shift_table", "norm2")


def verbs(network: HeliosTransformer3DModel, told: dict[str, Any], batch: slice = slice(None)) -> Tensor:
    """One prediction from what was read before."""
    past = {name: value for name, value in told.items() if "history" in name}
    text, history = network.read_text(told["encoder_hidden_states"]), network.read_history(**past)
    sample, indices = told["hidden_states"], told["indices_hidden_states"]
    where = network.place(indices, sample)
    return network.predict(sample[batch], told["timestep"][batch], text[batch], history, where)


def test_the_published_network_has_as_many_weights_as_its_files() -> None:
    with torch.device("meta"):
        network = HeliosTransformer3DModel()
    assert len(network.state_dict()) == 1101
    assert network.num_parameters() == 14_312_427_584


def test_files_name_it_as_the_ecosystem_does() -> None:
    assert component_class("diffusers", "HeliosTransformer3DModel", "here") is HeliosTransformer3DModel
    assert written_as(transformer()) == ["diffusers", "HeliosTransformer3DModel"]


@torch.no_grad()
def test_reading_first_and_predicting_later_is_one_forward() -> None:
    network, told = transformer(), helios_inputs()
    assert torch.equal(verbs(network, told), network(**told).sample)
    assert torch.equal(network(**told, return_dict=False)[0], network(**told).sample)


@torch.no_grad()
def test_what_was_read_stays_the_same_for_every_step() -> None:
    network, told = transformer(), helios_inputs()
    past = {name: value for name, value in told.items() if "history" in name}
    text, history = network.read_text(told["encoder_hidden_states"]), network.read_history(**past)
    for time in (900, 20):
        for size in ((4, 6), (8, 12)):  # the stages of a pyramid share a history
            sample, t = torch.randn(1, 4, 3, *size), torch.tensor([time])
            now = told | {"hidden_states": sample, "timestep": t, "indices_hidden_states": torch.arange(20, 23)}
            made = network.predict(sample, t, text, history, torch.arange(20, 23))
            torch.testing.assert_close(made, network(**now).sample)


@torch.no_grad()
def test_each_of_a_batch_is_as_it_is_alone() -> None:
    network, told = transformer(), helios_inputs(batch=2)
    told |= {"timestep": torch.tensor([7, 900])}
    both = network(**told).sample
    for row in (slice(0, 1), slice(1, 2)):
        alone = {name: value if name.startswith("indices") else value[row] for name, value in told.items()}
        torch.testing.assert_close(network(**alone).sample, both[row])


@torch.no_grad()
def test_one_past_and_one_text_serve_a_whole_batch() -> None:
    network, one = transformer(), helios_inputs()
    two = {name: value if name.startswith("indices") else value.repeat_interleave(2, 0) for name, value in one.items()}
    past = {name: value for name, value in one.items() if "history" in name}
    text, history = network.read_text(one["encoder_hidden_states"]), network.read_history(**past)
    made = network.predict(two["hidden_states"], one["timestep"], text, history, one["indices_hidden_states"])
    torch.testing.assert_close(made, network(**two).sample)


@torch.no_grad()
def test_texts_are_joined_and_parted() -> None:
    network, told = transformer(), helios_inputs(batch=2)
    texts = [network.read_text(text[None]) for text in told["encoder_hidden_states"]]
    past = {name: value for name, value in told.items() if "history" in name}
    joined = network.predict(
        told["hidden_states"],
        told["timestep"],
        TextMemory.join(*texts),
        network.read_history(**past),
        told["indices_hidden_states"],
    )
    torch.testing.assert_close(joined, network(**told).sample)
    assert torch.equal(TextMemory.join(*texts)[1:].layers[0][0], texts[1].layers[0][0])


@torch.no_grad()
def test_a_past_without_noise_does_not_hear_the_time() -> None:
    told = helios_inputs()
    past = {name: value for name, value in told.items() if "history" in name}
    clean, noisy = (transformer(zero_history_timestep=zero).read_history(**past) for zero in (True, False))
    assert clean is not None and noisy is not None
    assert clean.rows is not None and clean.rows.shape == (1, 6, 24)
    assert noisy.rows is None


@torch.no_grad()
def test_modulation_is_two_rows_whatever_the_film() -> None:
    network, seen = transformer(), list[torch.Size]()
    network.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[1].rows.shape))
    for size in ((4, 6), (12, 20)):
        network(**helios_inputs(size=size))
    assert seen == [(1, 2, 6, 24)] * 2


@torch.no_grad()
def test_the_last_block_asks_for_the_current_frames_alone() -> None:
    network, told, asked = transformer(), helios_inputs(), list[int]()
    for block in network.blocks:
        block.attn1.to_q.register_forward_pre_hook(lambda _, args: asked.append(args[0].shape[1]))
    network(**told)
    tokens = told["hidden_states"][0, 0].numel() // 4
    assert asked[0] > asked[1] == tokens


class OneOfTwo:
    """A device of two, each a thread, that has every second token."""

    def __init__(self, rank: int, table: list[Any], meet: Barrier) -> None:
        self.rank, self.table, self.meet = rank, table, meet

    def both(self, own: Any) -> list[Any]:
        self.table[self.rank] = own
        self.meet.wait()
        found = [*self.table]
        self.meet.wait()
        return found

    def agree(self, *facts: Any) -> None: ...

    def part(self, tokens: Tensor) -> Tensor:
        return tokens[:, self.rank :: 2]

    def attention(self, kinds: Sequence[int]) -> Attention:
        def over_both(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys, values = zip(*self.both((key, value)), strict=True)
            return attend(query, torch.cat(keys, dim=2), torch.cat(values, dim=2))

        return over_both

    def whole(self, tokens: Tensor, total: int) -> Tensor:
        return torch.stack(self.both(tokens), dim=2).flatten(1, 2)


@pytest.mark.parametrize("config", [{}, {"is_amplify_history": True}, {"guidance_cross_attn": False}], ids=str)
def test_two_devices_with_half_of_the_tokens_each_predict_what_one_does(config: dict[str, Any]) -> None:
    told, table, meet = helios_inputs(size=(4, 6)), [None, None], Barrier(2, timeout=60)
    networks = [transformer(**config) for _ in range(3)]
    for network, spread in zip(networks, [OneOfTwo(0, table, meet), OneOfTwo(1, table, meet), ALONE], strict=True):
        network.spread = spread

    @torch.no_grad()
    def prediction(network: HeliosTransformer3DModel) -> Tensor:
        return network(**told).sample

    with ThreadPoolExecutor(2) as devices:
        for each in devices.map(prediction, networks[:2]):
            torch.testing.assert_close(each, prediction(networks[2]))


def test_angles_tell_how_far_apart_tokens_are() -> None:
    query, key = torch.randn(2, 1, 1, 1, 12).double().unbind()
    scores = [
        (turned(query, places(torch.tensor([[a]]), (1, 1), (4, 4, 4), 1e4)) * turned(key, places(torch.tensor([[b]]), (1, 1), (4, 4, 4), 1e4))).sum()
        for a, b in ((3, 5), (20, 22))
    ]  # fmt: skip
    torch.testing.assert_close(*scores)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_must_be_exact_stays_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    network = transformer()
    network.save_pretrained(tmp_path)
    loaded, moved = HeliosTransformer3DModel.from_pretrained(tmp_path, torch_dtype=dtype), transformer().to(dtype)
    for name, weight in network.state_dict().items():
        kept = any(part in FLOAT32 for part in name.split("."))
        for other in (loaded, moved):
            assert other.state_dict()[name].dtype == (torch.float32 if kept else dtype), name
            assert torch.equal(other.state_dict()[name], weight.to(other.state_dict()[name].dtype)), name
    assert loaded.dtype == dtype
    assert {weight.dtype for weight in moved.float().state_dict().values()} == {torch.float32}


@torch.no_grad()
@pytest.mark.parametrize("config", [{}, {"is_amplify_history": True}], ids=str)
def test_bfloat16_predicts_nearly_the_same(config: dict[str, Any]) -> None:
    network, told = transformer(**config), helios_inputs()
    exact = network(**told).sample
    rounded = network.to(torch.bfloat16)(**told).sample
    assert rounded.dtype == torch.bfloat16
    assert (rounded - exact).norm() < 0.01 * exact.norm()


@torch.no_grad()
@pytest.mark.parametrize("side", [1, 3])
def test_patches_of_other_sides_have_a_past_too(side: int) -> None:
    network = transformer(patch_size=(1, side, side))
    told = helios_inputs(size=(6, 9), past=(12, 15))
    assert network(**told).sample.shape == told["hidden_states"].shape
    halved = {name: value for name, value in told.items() if "short" not in name}
    with pytest.raises(InvalidArgument, match="latents_history_short"):
        network(**halved)


def test_halves_in_files_are_widened_where_it_counts(tmp_path: Path) -> None:
    transformer().save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    save_file({name: weight.half() for name, weight in load_file(file).items()}, file)
    loaded = HeliosTransformer3DModel.from_pretrained(tmp_path, torch_dtype="auto")
    assert loaded.norm_out.scale_shift_table.dtype == torch.float32
    assert loaded.proj_out.weight.dtype == torch.float16


def test_names_from_before_the_release_are_read(tmp_path: Path) -> None:
    network = transformer()
    network.save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    old = {
        name.replace("norm_out.scale", "scale").replace("patch_", "multi_term_memory_patch.patch_")
        if not name.startswith("patch_embedding")
        else name: weight
        for name, weight in load_file(file).items()
    }
    save_file(old | {"blocks.0.attn2.norm_added_q.weight": torch.ones(24)}, file)
    loaded = HeliosTransformer3DModel.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], weight) for name, weight in network.state_dict().items())


def test_other_weights_are_refused(tmp_path: Path) -> None:
    transformer(is_amplify_history=True).save_pretrained(tmp_path)
    with pytest.raises(IncompatibleWeights, match="history_key_scale"):
        HeliosTransformer3DModel.from_pretrained(tmp_path, is_amplify_history=False)


@pytest.mark.parametrize(
    ("changes", "argument"),
    [
        ({"hidden_states": torch.zeros(1, 3, 9, 6, 10)}, "hidden_states"),
        ({"hidden_states": torch.zeros(1, 4, 9, 5, 10)}, "hidden_states"),
        ({"hidden_states": torch.zeros(4, 9, 6, 10)}, "hidden_states"),
        ({"timestep": torch.tensor([1, 2])}, "timestep"),
        ({"encoder_hidden_states": torch.zeros(1, 7, 15)}, "encoder_hidden_states"),
        ({"encoder_hidden_states": torch.zeros(1, 0, 16)}, "encoder_hidden_states"),
        ({"encoder_hidden_states": torch.zeros(3, 7, 16)}, "encoder_hidden_states"),
        ({"indices_hidden_states": torch.arange(8)}, "indices_hidden_states"),
        ({"indices_latents_history_mid": torch.arange(3)[None]}, "indices_latents_history_mid"),
        ({"indices_latents_history_long": None}, "indices_latents_history_long"),
        ({"latents_history_short": None}, "latents_history_short"),
        ({"latents_history_mid": torch.zeros(1, 4, 2, 8, 8)}, "latents_history_mid"),
        ({"latents_history_long": torch.zeros(1, 5, 16, 12, 20)}, "latents_history_long"),
        ({"attention_kwargs": {"scale": 0.5}}, "attention_kwargs"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        transformer()(**helios_inputs() | changes)
    assert refused.value.where == argument


@torch.no_grad()
def test_a_past_of_another_batch_is_refused() -> None:
    one, two = helios_inputs(), helios_inputs(batch=2)
    past = {name: value for name, value in two.items() if "history" in name}
    with pytest.raises(InvalidArgument, match="latents_history_short"):
        transformer()(**helios_inputs(batch=3) | past)
    with pytest.raises(InvalidArgument, match="indices"):
        network = transformer()
        elsewhere = network.place(torch.arange(9), torch.zeros(1, 4, 9, 2, 2))
        text = network.read_text(one["encoder_hidden_states"])
        network.predict(one["hidden_states"], one["timestep"], text, None, elsewhere)


@torch.no_grad()
def test_a_network_without_patches_for_a_past_says_so() -> None:
    network, told = transformer(has_multi_term_memory_patch=False), helios_inputs()
    assert not any(name.startswith(("patch_short", "patch_mid", "patch_long")) for name in network.state_dict())
    with pytest.raises(InvalidArgument, match="latents_history_long: expected None"):
        network(**told)
    without = {name: value for name, value in told.items() if "history" not in name}
    assert network(**without).sample.shape == told["hidden_states"].shape


@pytest.mark.parametrize(
    ("config", "argument"),
    [
        ({"patch_size": (2, 2, 2)}, "patch_size"),
        ({"rope_dim": (4, 4, 2)}, "rope_dim"),
        ({"rope_dim": (3, 5, 4)}, "rope_dim"),
        ({"qk_norm": "layer_norm"}, "qk_norm"),
        ({"added_kv_proj_dim": 8}, "added_kv_proj_dim"),
        ({"history_scale_mode": "per_key"}, "history_scale_mode"),
    ],
)
def test_configs_that_make_no_network_are_refused(config: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidArgument, match=argument):
        HeliosTransformer3DModel(**TRANSFORMER | config)


def test_memories_hold_tensors_and_cannot_be_changed() -> None:
    text = transformer().read_text(torch.zeros(1, 7, 16))
    assert [field.name for field in fields(text)] == ["layers"]
    with pytest.raises(AttributeError):
        text.layers = ()  # pyright: ignore[reportAttributeAccessIssue]
