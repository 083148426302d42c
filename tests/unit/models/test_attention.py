from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from calotype.core.errors import InvalidArgument, MissingDependency
from calotype.models.layers.attention import Attention
from calotype.models.layers.processors import (
    AttnProcessor,
    AttnProcessor2_0,
    SlicedAttnProcessor,
    XFormersAttnProcessor,
    arguments_of,
)

WIDTH, WORDS = 24, 20
LAYERS: dict[str, dict[str, Any]] = {
    "self": {},
    "cross": {"cross_attention_dim": WORDS},
    "picture": {"bias": True, "norm_num_groups": 4, "residual_connection": True, "rescale_output_factor": 1.5},
    "layer_norm": {"cross_attention_dim": WORDS, "cross_attention_norm": "layer_norm"},
    "group_norm": {
        "cross_attention_dim": WORDS,
        "cross_attention_norm": "group_norm",
        "cross_attention_norm_num_groups": 5,
    },
    "added": {"cross_attention_dim": WIDTH, "added_kv_proj_dim": WORDS, "bias": True, "norm_num_groups": 4},
    "only_added": {"cross_attention_dim": WIDTH, "added_kv_proj_dim": WORDS, "only_cross_attention": True},
    "upcast": {"upcast_attention": True, "upcast_softmax": True},
}


def layer_and_inputs(kind: str, masked: bool = False) -> tuple[Attention, tuple[torch.Tensor, ...]]:
    torch.manual_seed(0)
    layer = Attention(WIDTH, heads=4, dim_head=6, **LAYERS[kind])
    hidden_states = torch.randn(2, WIDTH, 3, 3) if kind in ("picture", "added") else torch.randn(2, 9, WIDTH)
    words = torch.randn(2, 7, WORDS) if layer.is_cross_attention else None
    keys = 9 if words is None else 7
    mask = torch.where(torch.rand(2, 1, keys) > 0.3, 0.0, -10000.0) if masked else None
    return layer, (hidden_states, words, mask)


@pytest.mark.parametrize("masked", [False, True], ids=["open", "masked"])
@pytest.mark.parametrize("kind", LAYERS)
@torch.no_grad()
def test_all_processors_see_the_same(kind: str, masked: bool) -> None:
    layer, inputs = layer_and_inputs(kind, masked)
    seen = layer(*inputs)
    assert seen.shape == inputs[0].shape
    layer.set_processor(AttnProcessor())
    assert torch.allclose(layer(*inputs), seen, atol=1e-6)
    for slice_size in (1, 3, 4):
        layer.set_attention_slice(slice_size)
        assert torch.equal(layer(*inputs), seen)


@pytest.mark.parametrize("kind", ["self", "cross", "picture"])
@torch.no_grad()
def test_fusing_changes_neither_the_result_nor_the_file_and_is_undone(kind: str) -> None:
    layer, inputs = layer_and_inputs(kind)
    before, keys = layer(*inputs), list(layer.state_dict())
    layer.fuse_projections()
    assert (layer.to_kv if layer.is_cross_attention else layer.to_qkv) is not None
    assert torch.allclose(layer(*inputs), before, atol=1e-6)
    assert list(layer.state_dict()) == keys
    assert layer.to(torch.float64)(*(None if each is None else each.double() for each in inputs)).dtype == torch.float64
    layer.to(torch.float32).fuse_projections(fuse=False)
    assert layer.to_qkv is None and layer.to_kv is None
    assert torch.equal(layer(*inputs), before)


@torch.no_grad()
def test_a_fused_layer_still_reads_the_states_it_is_given() -> None:
    layer, (hidden_states, *_) = layer_and_inputs("self")
    other = torch.randn(2, 5, WIDTH)
    before = layer(hidden_states, other)
    layer.fuse_projections()
    assert torch.equal(layer(hidden_states, other), before)


class Weighted(nn.Module):
    """A processor with weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Linear(WIDTH, WIDTH)

    def forward(self, attn: Attention, hidden_states: torch.Tensor, gain: float = 1.0, **_: Any) -> torch.Tensor:
        return self.gain(hidden_states) * gain


def test_a_processor_with_weights_comes_and_goes() -> None:
    layer, inputs = layer_and_inputs("self")
    before, keys = layer(*inputs), list(layer.state_dict())
    layer.set_processor(Weighted())
    assert "processor.gain.weight" in layer.state_dict()
    assert torch.allclose(layer(*inputs, gain=2.0), 2 * layer(*inputs))
    layer.set_processor(AttnProcessor2_0())
    assert list(layer.state_dict()) == keys
    assert torch.equal(layer(*inputs), before)


def test_what_a_processor_takes() -> None:
    assert arguments_of(AttnProcessor2_0()) == frozenset()
    assert arguments_of(Weighted()) is None
    assert arguments_of(lambda attn, hidden_states, strength=1: hidden_states) == {"strength"}


@pytest.mark.parametrize("slice_size", [0, 5, -1])
def test_a_slice_of_heads_that_are_not_there_is_refused(slice_size: int) -> None:
    layer, _ = layer_and_inputs("self")
    with pytest.raises(InvalidArgument, match=f"slice_size: expected 1 to 4, .*found {slice_size}"):
        layer.set_attention_slice(slice_size)
    assert layer.get_processor() == AttnProcessor2_0()


def test_what_cannot_be_called_is_no_processor() -> None:
    layer, _ = layer_and_inputs("self")
    with pytest.raises(InvalidArgument, match="processor: expected a callable attention processor, found str"):
        layer.set_processor("fast")
    assert layer.get_processor() == AttnProcessor2_0()


def test_an_unknown_cross_norm_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"cross_attention_norm: .*layer_norm, group_norm, found 'batch'"):
        Attention(WIDTH, cross_attention_norm="batch")


def test_xformers_is_missed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xformers", None)
    layer, _ = layer_and_inputs("self")
    with pytest.raises(MissingDependency, match="pip install xformers"):
        layer.set_use_memory_efficient_attention_xformers(True)
    assert layer.get_processor() == AttnProcessor2_0()


@pytest.mark.parametrize("kind", ["self", "cross"])
def test_xformers_weighs_when_it_is_there(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in that keeps its contract: tensors are (batch, length, heads, width), the bias is for every query."""

    def memory_efficient_attention(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_bias: torch.Tensor, op: Any, scale: float
    ) -> torch.Tensor:
        assert op == "flash" and attn_bias.shape == (2, 4, query.shape[1], key.shape[1])
        scores = torch.einsum("bqhd,bkhd->bhqk", query, key) * scale + attn_bias
        return torch.einsum("bhqk,bkhd->bqhd", scores.softmax(dim=-1), value)

    xformers, ops = ModuleType("xformers"), ModuleType("xformers.ops")
    xformers.__spec__ = ModuleSpec("xformers", None)
    ops.memory_efficient_attention = memory_efficient_attention  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "xformers", xformers)
    monkeypatch.setitem(sys.modules, "xformers.ops", ops)
    layer, inputs = layer_and_inputs(kind, masked=True)
    before = layer(*inputs)
    layer.set_use_memory_efficient_attention_xformers(True, "flash")
    assert layer.get_processor() == XFormersAttnProcessor("flash")
    assert torch.allclose(layer(*inputs), before, atol=1e-6)
    layer.set_use_memory_efficient_attention_xformers(False)
    assert torch.equal(layer(*inputs), before)


def test_slices_show_in_the_processor() -> None:
    layer, _ = layer_and_inputs("self")
    layer.set_attention_slice(2)
    assert layer.get_processor() == SlicedAttnProcessor(2)
    layer.set_attention_slice(None)
    assert layer.get_processor() == AttnProcessor2_0()


def test_heads_go_to_the_batch_and_back() -> None:
    layer, (hidden_states, *_) = layer_and_inputs("self")
    assert layer.head_to_batch_dim(hidden_states).shape == (8, 9, 6)
    assert layer.head_to_batch_dim(hidden_states, out_dim=4).shape == (2, 4, 9, 6)
    assert torch.equal(layer.batch_to_head_dim(layer.head_to_batch_dim(hidden_states)), hidden_states)


@pytest.mark.parametrize(
    ("out_dim", "target", "shape"), [(3, 7, (8, 1, 7)), (4, 7, (2, 4, 1, 7)), (3, 9, (8, 1, 16))], ids=str
)
def test_masks_are_prepared_for_every_head(out_dim: int, target: int, shape: tuple[int, ...]) -> None:
    layer, _ = layer_and_inputs("self")
    mask = torch.randn(2, 1, 7)
    prepared = layer.prepare_attention_mask(mask, target, 2, out_dim)
    assert prepared is not None and prepared.shape == shape
    assert torch.equal(prepared.reshape(2, 4, -1)[:, 2, :7], mask[:, 0])
    assert layer.prepare_attention_mask(None, target, 2) is None
    if out_dim == 3:
        assert torch.equal(prepared, layer.prepare_attention_mask(prepared, prepared.shape[-1], 2))
