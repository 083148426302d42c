"""What makes films faster changes none of them: decoding beside the next chunk, compiling, weights of a byte."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from calotype import HeliosDMDScheduler, HeliosPipeline, HeliosPyramidPipeline, HeliosScheduler
from calotype.adapters.changes import LowRank
from calotype.adapters.choices import Choice
from calotype.adapters.injection import injected
from calotype.core.errors import InvalidArgument
from calotype.generation.film import Chunk, Taken
from calotype.models.layers.float8 import Float8Linear
from calotype.pipelines.helios import darkroom
from calotype.pipelines.helios.darkroom import Darkroom
from tests.stories.test_helios import PYRAMID, SMALL, STAGED, source
from tests.tiny_helios import helios_inputs, text_encoder, tokenizer, transformer, vae

PIPES: dict[str, Any] = {"base": HeliosPipeline, "pyramid": HeliosPyramidPipeline}
SIZES = {"base": SMALL, "pyramid": PYRAMID}


def fresh(kind: str = "base", **parts: Any) -> Any:
    """A pipeline that no other test has."""
    staged = {"base": HeliosScheduler(stages=1, stage_range=[0, 1]), "pyramid": HeliosDMDScheduler(**STAGED)}
    made = {"tokenizer": tokenizer(), "text_encoder": text_encoder(), "vae": vae(), "transformer": transformer()}
    pipe = PIPES[kind](**made | {"scheduler": staged[kind]} | parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def stream(pipe: Any, kind: str = "base", **arguments: Any) -> Any:
    return pipe.stream("hello", **SIZES[kind] | {"num_frames": 99, "generator": source()} | arguments)


def frames(chunks: Any) -> list[np.ndarray]:
    return [chunk.frames for chunk in chunks]


def assert_same(some: list[np.ndarray], others: list[np.ndarray]) -> None:
    assert len(some) == len(others)
    assert all(np.array_equal(one, other) for one, other in zip(some, others, strict=True))


# ---------------------------------------------------------------------- decoded beside the next chunk


@pytest.mark.parametrize("kind", PIPES)
def test_decoding_ahead_changes_neither_frames_nor_their_order(kind: str) -> None:
    pipe = fresh(kind)
    assert not pipe.works_ahead  # as this is a CPU
    usual = frames(stream(pipe, kind))
    pipe.decode_ahead = True
    chunks = [*stream(pipe, kind)]
    assert [chunk.index for chunk in chunks] == [0, 1, 2]
    assert_same(frames(chunks), usual)


def held_back() -> tuple[Any, threading.Event]:
    """A pipeline that decodes ahead, and nothing before it is told to."""
    network, told = vae(), threading.Event()
    decode = network.decode

    def waiting(*args: Any, **kwargs: Any) -> Any:
        assert told.wait(60)
        return decode(*args, **kwargs)

    network.decode = waiting  # pyright: ignore
    pipe = fresh(vae=network)
    pipe.decode_ahead = True
    return pipe, told


def test_the_next_chunk_begins_while_one_is_decoded_and_does_not_end_before_it_comes_out() -> None:
    pipe, told = held_back()
    seen: list[Any] = []
    for step in stream(pipe, num_frames=66).steps():
        seen.append(step.index if isinstance(step, Chunk) else (step.chunk, step.index))
        if seen[-1] == (1, 0):
            told.set()
    assert [place for place in seen if isinstance(place, tuple)] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert seen.index((1, 0)) < seen.index(0) < seen.index(1) == len(seen) - 1


def test_what_fails_in_the_darkroom_is_told_to_whoever_waits() -> None:
    network = vae()
    network.decode = lambda *_, **__: 1 / 0  # pyright: ignore
    pipe = fresh(vae=network)
    pipe.decode_ahead = True
    with pytest.raises(ZeroDivisionError):
        next(stream(pipe))


def test_a_chunk_that_was_not_handed_out_is_made_again(tmp_path: Path) -> None:
    pipe, told = held_back()
    told.set()
    whole = frames(stream(pipe))
    begun = stream(pipe, state_file=tmp_path / "film.state")
    first = next(begun).frames
    begun.cancel()  # in the midst of the next chunk
    assert_same([first, *frames(pipe.resume(tmp_path / "film.state"))], whole)


def test_a_film_that_is_left_leaves_no_thread() -> None:
    pipe, told = held_back()
    told.set()
    with stream(pipe) as chunks:
        next(chunks)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("darkroom")]


def test_a_new_prompt_holds_from_a_chunk_that_has_not_begun() -> None:
    pipe, told = held_back()
    told.set()
    begun = 0
    with pipe.session(prompt="hello", generator=source(), **SMALL) as session:
        for step in session.steps():
            if isinstance(step, Taken):
                begun = step.chunk + (step.index + 1 == step.total)  # the next may begin before we are heard
                assert session.set_prompt("a red ball") == begun + 1
            else:
                assert session.set_prompt("a red ball") > begun
                if step.index == 1:
                    break


def test_chunks_leave_the_darkroom_when_they_are_ready() -> None:
    told = threading.Event()
    with Darkroom(torch.device("cpu"), beside=True) as room:
        room.put(lambda: told.wait(60) and "first")  # pyright: ignore
        assert not [*room.ready()]
        told.set()
        out: list[Any] = []
        while not out:
            out = [*room.ready()]
    assert out == ["first"]


def test_on_cuda_a_stream_of_its_own_waits_for_the_latents_and_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[str] = []

    def stand_in(name: str) -> Any:
        return SimpleNamespace(
            device="cuda",
            record_event=lambda: noted.append(f"{name}: event") or "event",
            wait_event=lambda event: noted.append(f"{name}: waits for {event}"),
            synchronize=lambda: noted.append(f"{name}: done"),
        )

    cuda = SimpleNamespace(
        Stream=lambda device: stand_in("own"),
        current_stream=lambda device: stand_in("main"),
        stream=lambda stream: nullcontext(),
    )
    monkeypatch.setattr(darkroom, "torch", SimpleNamespace(cuda=cuda, no_grad=torch.no_grad, Tensor=torch.Tensor))
    with Darkroom(torch.device("cuda"), beside=True) as room:
        room.put(lambda: noted.append("developed") or SimpleNamespace(frames=None))  # pyright: ignore
        assert len([*room.rest()]) == 1
    assert noted == ["main: event", "own: waits for event", "developed", "own: done"]


# ---------------------------------------------------------------------- compiled


@pytest.mark.parametrize("kind", PIPES)
def test_a_compiled_film_is_the_same_and_no_chunk_compiles_anew(kind: str) -> None:
    pipe = fresh(kind)
    usual = frames(stream(pipe, kind, num_frames=66))
    pipe.compile(backend="eager")
    size = {name: SIZES[kind][name] for name in ("height", "width", "max_sequence_length")}
    pipe.warm_up(**size)
    with torch._dynamo.config.patch(error_on_recompile=True):  # pyright: ignore
        compiled = frames(stream(pipe, kind, num_frames=66))
    for one, other in zip(compiled, usual, strict=True):
        assert np.abs(one - other).max() < 1e-4  # convolutions have other kernels then


@torch.no_grad()
def test_what_was_compiled_for_a_plain_transformer_serves_none_that_wears_a_lora() -> None:
    plain, worn, told = transformer(num_layers=1), transformer(num_layers=1), helios_inputs()
    adapters, layer = injected(worn), "blocks.0.attn1.to_q"
    width = worn.get_submodule(layer).weight.shape[0]
    change = LowRank({"down": torch.randn(2, width), "up": torch.randn(width, 2)}, 1.0)
    adapters.choice = Choice(((adapters.add("a", {layer: change}), {layer: 1.0}),))
    expected = worn(**told).sample
    for network in (plain, worn):
        network.compile(backend="eager")
    assert not torch.allclose(plain(**told).sample, expected, atol=1e-3)
    torch.testing.assert_close(worn(**told).sample, expected)


# ---------------------------------------------------------------------- a byte for each weight


def large() -> Any:
    return fresh(transformer=transformer(num_layers=4, num_attention_heads=4, ffn_dim=96))


def test_float8_moves_a_prediction_a_little_and_says_how_far() -> None:
    pipe = large()
    usual = frames(stream(pipe, num_frames=33))[0]
    error = pipe.quantize("fp8", keep=1)
    assert 0 < error < 0.05
    moved = np.abs(frames(stream(pipe, num_frames=33))[0] - usual).max()
    assert 0 < moved < 0.2


def test_outer_blocks_and_what_is_around_them_stay_as_they_are() -> None:
    pipe, before = large(), large().transformer.state_dict()
    pipe.quantize("fp8", keep=1)
    small = {name for name, layer in pipe.transformer.named_modules() if isinstance(layer, Float8Linear)}
    assert small and all(name.startswith(("blocks.1.", "blocks.2.")) for name in small)
    for name, weight in pipe.transformer.named_parameters():
        assert torch.equal(weight, before[name]), name


def bytes_of(network: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))


def test_float8_layers_take_half_of_what_bfloat16_does() -> None:
    layer = nn.Linear(256, 256, dtype=torch.bfloat16)
    assert bytes_of(Float8Linear(layer)) < 0.51 * bytes_of(layer) + 4 * 256


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_float8_layer_is_the_layer_to_three_bits(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer, told = nn.Linear(64, 32, dtype=dtype), torch.randn(3, 5, 64, dtype=dtype)
    with torch.no_grad():
        rows = layer.weight * torch.logspace(-4, 4, 32, dtype=dtype)[:, None]  # each channel has a scale of its own
        layer.weight.copy_(rows)
        right, made = layer(told).float(), Float8Linear(layer)(told).float()
    error = (made - right).norm(dim=(0, 1)) / right.norm(dim=(0, 1))
    assert error.max() < 2**-4


def test_casting_a_network_leaves_its_float8_layers_be() -> None:
    layer = Float8Linear(nn.Linear(16, 16))
    before = layer.scale_bytes.clone()
    cast = layer.to(torch.bfloat16)
    assert torch.equal(cast.scale_bytes, before) and cast(torch.randn(2, 16).bfloat16()).dtype is torch.bfloat16


@pytest.mark.parametrize(
    ("told", "wrong"), [({"kind": "int3"}, "fp8"), ({"keep": 2}, "from 0 to 1"), ({"keep": -1}, "keep")]
)
def test_what_cannot_be_rounded_is_said(told: dict[str, Any], wrong: str) -> None:
    with pytest.raises(InvalidArgument, match=wrong):
        large().quantize(**{"kind": "fp8", "keep": 1} | told)


def test_a_network_that_wears_a_lora_is_not_rounded() -> None:
    pipe, layer = large(), "transformer.blocks.1.attn1.to_q"
    pipe.load_lora_weights({f"{layer}.lora_A.weight": torch.ones(2, 48), f"{layer}.lora_B.weight": torch.ones(48, 2)})
    with pytest.raises(InvalidArgument, match="without LoRAs"):
        pipe.quantize("fp8", keep=1)


def test_what_was_compiled_before_is_rounded_too() -> None:
    pipe = large()
    pipe.compile(backend="eager")
    assert pipe.quantize("fp8", keep=1) > 0


def test_rounded_twice_or_saved_is_refused(tmp_path: Path) -> None:
    pipe = large()
    pipe.quantize("fp8", keep=0)
    with pytest.raises(InvalidArgument, match="quantized already"):
        pipe.quantize("fp8", keep=0)
    with pytest.raises(InvalidArgument, match="Save before quantize"):
        pipe.save_pretrained(tmp_path / "film")
