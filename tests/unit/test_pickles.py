from __future__ import annotations

import re
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from calotype.core.errors import CorruptFile, IncompatibleWeights, NotFinite, UnsafeFile
from calotype.core.pickles import PickledFile
from tests.hostile import ROWS, archive, tensor_of
from tests.malformed import Row
from tests.toy import Toy, same

BENIGN = re.compile(r"encodings[./]")  # Python's own decoders of archive names and escapes
BIN = "diffusion_pytorch_model.bin"
events: list[tuple[str, tuple[object, ...]]] = []
watching = False


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if watching and event in ("import", "exec", "compile", "os.system", "subprocess.Popen", "socket.connect"):
        events.append((event, arguments))


sys.addaudithook(watch)


@pytest.fixture
def audited():
    """What was imported, run or started while a file was looked at."""
    global watching
    events.clear()
    watching = True
    yield events
    watching = False


@pytest.mark.parametrize("row", ROWS["harmful"], ids=lambda row: row.name)
def test_a_harmful_pickle_is_refused_by_the_name_it_wants_and_nothing_runs(row: Row, tmp_path, audited):
    path = tmp_path / "model.ckpt"
    path.write_bytes(row.data)
    with pytest.raises(UnsafeFile) as caught:
        PickledFile(path)
    assert str(path) in str(caught.value) and row.words[0] in str(caught.value)
    assert "antigravity" not in sys.modules
    assert not [event for event in audited if not BENIGN.search(str(event))]


@pytest.mark.parametrize("row", ROWS["broken"], ids=lambda row: row.name)
def test_a_broken_pickle_is_refused_in_words(row: Row, tmp_path):
    path = tmp_path / "model.ckpt"
    path.write_bytes(row.data)
    with pytest.raises(CorruptFile) as caught:
        PickledFile(path)
    assert str(path) in str(caught.value) and row.words[0] in str(caught.value)


def test_the_place_of_a_forbidden_name_is_told(tmp_path):
    (tmp_path / "x").write_bytes(archive(b"\x80\x02" + b"N0" * 600 + b"cos\nsystem\n."))
    with pytest.raises(UnsafeFile, match=r"wants `os\.system` at byte 1,202.*\.safetensors copy"):
        PickledFile(tmp_path / "x")


def test_the_tensor_by_hand_is_a_good_one(tmp_path):
    """Otherwise the lies built from it would prove nothing."""
    (tmp_path / "x").write_bytes(archive(tensor_of()))
    assert torch.equal(PickledFile(tmp_path / "x").tensors({"a": torch.float32})["a"], torch.zeros(2, 3))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrap", [dict, OrderedDict, lambda state: {"state_dict": state}])
def test_what_torch_saves_is_read(tmp_path, zipped, wrap):
    kinds = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool)
    state = {str(dtype): torch.ones(3, 2).to(dtype) for dtype in kinds}
    state |= {"parameter": torch.nn.Parameter(torch.randn(4)), "view": torch.arange(12).view(3, 4).t()}
    torch.save(wrap(state), tmp_path / "x", _use_new_zipfile_serialization=zipped)
    file = PickledFile(tmp_path / "x")
    read = file.tensors({key: tensor.dtype for key, tensor in state.items()})
    assert all(torch.equal(read[key], state[key]) for key in state)
    assert {key: stored.shape for key, stored in file.stored().items()} == {k: tuple(t.shape) for k, t in state.items()}


def test_what_training_wrote_beside_the_weights_is_left_alone(tmp_path):
    state = {"a": torch.randn(3, 2)}
    beside = {
        "epoch": 3,
        "global_step": 7,
        "pytorch-lightning_version": "1.4.2",
        "callbacks": {},
        "lr_schedulers": [{"last_epoch": 3, "base_lrs": [1e-4]}],
        "optimizer_states": [{"state": {0: {"step": 7, "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-4}]}],
    }
    torch.save({**beside, "state_dict": state}, tmp_path / "x")
    file = PickledFile(tmp_path / "x")
    assert file.stored().keys() == {"a"}
    assert torch.equal(file.tensors({"a": torch.float32})["a"], state["a"])


@pytest.fixture
def folder(tmp_path) -> Path:
    Toy().save_pretrained(tmp_path, safe_serialization=False)
    return tmp_path


def test_a_network_comes_from_a_pickle_only_when_asked_for(folder):
    with pytest.raises(UnsafeFile, match=f"only the pickle {BIN}".replace(".", r"\.")):
        Toy.from_pretrained(folder)
    assert same(Toy.from_pretrained(folder, use_safetensors=False), Toy.from_pretrained(folder, use_safetensors=False))


def test_a_pickled_network_is_checked_like_any_other(folder):
    state = torch.load(folder / BIN, weights_only=True)
    torch.save({key: tensor for key, tensor in state.items() if key != "ids"}, folder / BIN)
    with pytest.raises(IncompatibleWeights, match="'ids'"):
        Toy.from_pretrained(folder, use_safetensors=False)
    torch.save(state | {"norm.bias": torch.full((4,), float("nan"))}, folder / BIN)
    with pytest.raises(NotFinite, match=r"'norm\.bias'.* found 4 NaN"):
        Toy.from_pretrained(folder, use_safetensors=False)


def test_a_pickle_under_a_safetensors_name_is_no_way_in(folder):
    (folder / BIN).rename(folder / "diffusion_pytorch_model.safetensors")
    with pytest.raises(CorruptFile, match="a pickle"):
        Toy.from_pretrained(folder, use_safetensors=False)


def test_writing_to_a_weight_never_reaches_the_pickle(folder):
    before = (folder / BIN).read_bytes()
    network = Toy.from_pretrained(folder, use_safetensors=False)
    with torch.no_grad():
        network.first.weight.add_(1)
    assert (folder / BIN).read_bytes() == before
