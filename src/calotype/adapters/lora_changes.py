"""The tensors of a LoRA become changes of layers: all of them, or an error that says which do not."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from calotype.adapters.changes import (
    LAYERS,
    Change,
    Decomposed,
    Hadamard,
    Kronecker,
    Layer,
    LowRank,
    Shifted,
    Unchanged,
    Whole,
)
from calotype.adapters.lora_configs import configured_alpha
from calotype.adapters.lora_files import LoraFile, looks_like
from calotype.adapters.lora_keys import Place, components_of, ending, foreign, places, stripped
from calotype.adapters.lora_wan import NORMS
from calotype.core.errors import IncompatibleWeights

log = logging.getLogger("calotype.adapters.lora")

NOTHING = "Nothing was loaded."


@dataclass(frozen=True)
class Kind:
    """Which tensors make a change: those that it needs, those that it may have, those whose first size is its rank."""

    change: type[Change]
    needs: frozenset[str]
    may: frozenset[str] = frozenset()
    rank: tuple[str, ...] = ()


HADA = frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"})
KINDS = (
    Kind(LowRank, frozenset({"down", "up"}), frozenset({"mid"}), ("mid", "down")),
    Kind(Hadamard, HADA, frozenset({"hada_t1", "hada_t2"}), ("hada_w1_b",)),
    Kind(Kronecker, frozenset({"lokr_w1", "lokr_w2"})),
    Kind(Kronecker, frozenset({"lokr_w1_a", "lokr_w1_b", "lokr_w2"}), rank=("lokr_w1_b",)),
    Kind(Kronecker, frozenset({"lokr_w1", "lokr_w2_a", "lokr_w2_b"}), frozenset({"lokr_t2"}), ("lokr_w2_b",)),
    Kind(
        Kronecker,
        frozenset({"lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b"}),
        frozenset({"lokr_t2"}),
        ("lokr_w2_b",),
    ),
    Kind(Whole, frozenset({"whole"})),
    Kind(Unchanged, frozenset({"shift"})),
)
BIASES = frozenset({"bias", "shift"})


@dataclass(frozen=True)
class Piece:
    """A tensor of the LoRA, under the key that it has there."""

    key: str
    tensor: Tensor


def changes_of(lora: LoraFile, networks: Mapping[str, nn.Module]) -> dict[str, dict[str, Change]]:
    """The changes to each of these networks, by layer; refuses a LoRA of which any tensor finds no layer."""
    known = places(networks)
    pieces: dict[Place, dict[str, Piece]] = {}
    lost: list[str] = []
    of_norms = [key for key in lora.tensors if "transformer" in networks and NORMS.search(key)]
    if of_norms:
        log.warning("%s: %d changes of norms are left out, first %s", lora.where, len(of_norms), of_norms[0])
    for key, tensor in lora.tensors.items():
        if key in of_norms:
            continue
        layer, role = ending(key) or ("", "")
        place = known.get(stripped(layer))
        if place is None or (role in BIASES and layer_at(networks, place).bias is None):
            lost.append(key)
            continue
        own = pieces.setdefault(place, {})
        if role in own:
            raise IncompatibleWeights(
                f"{lora.where}, key {key!r}", "each tensor once", f"{own[role].key!r} too", NOTHING
            )
        own[role] = Piece(key, tensor)
    alphas = {known.get(layer): alpha for layer, alpha in lora.alphas.items()}
    lost += [f"{layer}.alpha" for layer in lora.alphas if known.get(layer) not in pieces]
    if lost:
        raise _unplaced(lora, networks, known, lost)
    changes: dict[str, dict[str, Change]] = {}
    for place, own in pieces.items():
        layer = layer_at(networks, place)
        changes.setdefault(place.component, {})[place.layer] = _change(lora, place, layer, own, alphas.get(place))
    without = [place.layer for place in pieces if place not in alphas]
    if without and not lora.configs:
        told = "%s: %d of %d layers have no alpha, so theirs is the rank: %s"
        level = logging.WARNING if alphas else logging.INFO  # usual in some formats, odd where others have one
        log.log(level, told, lora.where, len(without), len(pieces), ", ".join(without[:3]))
    return changes


def layer_at(networks: Mapping[str, nn.Module], place: Place) -> Layer:
    """The layer at a place."""
    layer = networks[place.component].get_submodule(place.layer)
    assert isinstance(layer, LAYERS)
    return layer


def _unplaced(
    lora: LoraFile, networks: Mapping[str, nn.Module], known: Mapping[str, Place], lost: Sequence[str]
) -> IncompatibleWeights:
    count = len(lora.tensors) + len(lora.alphas)
    kind = foreign(lost)
    family = looks_like(lora.tensors)
    first = ending(lost[0])
    near = get_close_matches(stripped(first[0] if first else lost[0]), list(known), 1, 0.6)
    named = map(components_of, lost)
    absent = next((names[0] for names in named if names and not {*names} & {*networks}), None)
    fault = f"{lora.where}: {len(lost)} of {count} keys fit no layer of {', '.join(networks)}; first {lost[0][:200]!r}"
    notes = [
        f"this is {kind}" if kind else "",
        f"the nearest layer is {known[near[0]].component}.{known[near[0]].layer}" if near else "",
        f"it looks like a LoRA for {family}" if family else "",
        f"there is no {absent} here" if absent else "",
    ]
    return IncompatibleWeights("; ".join([fault, *filter(None, notes)]), fix=NOTHING)


def _change(lora: LoraFile, place: Place, layer: Layer, pieces: Mapping[str, Piece], alpha: float | None) -> Change:
    """The change that these tensors make of a layer, once they were seen to fit it."""
    roles = frozenset(pieces) - {"magnitude"}
    kind = next((kind for kind in KINDS if kind.needs <= roles <= kind.needs | kind.may | BIASES), None)
    where = f"{lora.where}, key {next(iter(pieces.values())).key!r}"
    if kind is None:
        nearest = max(KINDS, key=lambda kind: (len(kind.needs & roles), -len(kind.needs - roles)))
        missing, extra = sorted(nearest.needs - roles), sorted(roles - nearest.needs - nearest.may - BIASES)
        expected = f"{' and '.join(sorted(nearest.needs))} of one layer"
        found = "; ".join(
            filter(None, [f"no {', '.join(missing)}" if missing else "", f"also {', '.join(extra)}" if extra else ""])
        )
        raise IncompatibleWeights(where, expected, found, NOTHING)
    _check_shapes(lora, layer, kind, pieces)
    tensors = {role: pieces[role].tensor for role in roles - BIASES}
    rank = next((len(tensors[role]) for role in kind.rank if role in tensors), 0)
    scale = 1.0
    if rank:
        own = configured_alpha(lora.configs, place.component, place.layer, rank) if alpha is None else alpha
        scale = 1.0 if own is None else own / rank
    change = kind.change(tensors, scale)
    if "magnitude" in pieces:
        change = Decomposed(change, _magnitude(lora, layer, pieces["magnitude"]))
    for role in sorted(BIASES & pieces.keys()):
        _expect(lora, pieces[role], (len(layer.weight),))
        change = Shifted(change, pieces[role].tensor, scale if role == "bias" else 1.0)
    return change


def _check_shapes(lora: LoraFile, layer: Layer, kind: Kind, pieces: Mapping[str, Piece]) -> None:
    """Refuse tensors that do not make a change of the layer's size."""
    outputs, inputs, *kernel = layer.weight.shape
    if kind.change is LowRank:
        down = pieces["down"]
        rank = len(down.tensor) if down.tensor.ndim else 0
        inner = [1] * len(kernel) if "mid" in pieces else kernel
        _expect(lora, down, (max(rank, 1), inputs, *inner))
        if "mid" in pieces:
            _expect(lora, pieces["mid"], (rank, rank, *kernel))
        _expect(lora, pieces["up"], (outputs, rank, *[1] * len(kernel)), f"rank {rank} from {down.key!r}")
        return
    shapes = {role: tuple(pieces[role].tensor.shape) for role in kind.needs | kind.may if role in pieces}
    try:
        empty = {role: torch.empty(shape, device="meta") for role, shape in shapes.items()}
        made = kind.change(empty, 1.0).difference(empty, layer.weight.shape)
    except (RuntimeError, IndexError) as error:
        made, reason = None, str(error).splitlines()[0]
    else:
        reason = f"shape {tuple(made.shape)}"
    if made is None or made.shape != layer.weight.shape or not all(all(shape) for shape in shapes.values()):
        first = next(iter(pieces.values())).key
        expected = f"tensors that make a change of {tuple(layer.weight.shape)}"
        raise IncompatibleWeights(f"{lora.where}, key {first!r}", expected, f"{shapes} ({reason})", NOTHING)


def _expect(lora: LoraFile, piece: Piece, shape: tuple[int, ...], why: str = "") -> None:
    """Refuse another shape; sizes of 1 at the end may be left out or be too many."""
    found = tuple(piece.tensor.shape)
    if _bare(found) != _bare(shape) or not piece.tensor.numel():
        family = looks_like(lora.tensors)
        told = f"{NOTHING} It looks like a LoRA for {family}." if family else NOTHING
        expected = f"shape {shape}{f' ({why})' if why else ''}"
        raise IncompatibleWeights(f"{lora.where}, key {piece.key!r}", expected, str(found), told)


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:2] if all(size == 1 for size in shape[2:]) else shape


def _magnitude(lora: LoraFile, layer: Layer, piece: Piece) -> Tensor:
    """The lengths of a weight's rows, or of its columns, shaped to be multiplied with it."""
    outputs, inputs = layer.weight.shape[:2]
    ones = [1] * (layer.weight.ndim - 2)
    by_rows = piece.key.endswith("dora_scale") and _bare(tuple(piece.tensor.shape)) == (1, inputs)
    if piece.tensor.numel() == outputs and not by_rows:
        return piece.tensor.reshape(outputs, 1, *ones)
    if by_rows:
        return piece.tensor.reshape(1, inputs, *ones)
    expected = f"{outputs} lengths, or (1, {inputs})"
    raise IncompatibleWeights(f"{lora.where}, key {piece.key!r}", expected, str(tuple(piece.tensor.shape)), NOTHING)
