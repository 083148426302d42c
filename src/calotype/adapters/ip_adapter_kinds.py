"""The kinds of IP-Adapters there are, known by their keys: how each reads a picture, and how files spell it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from calotype.adapters.ip_adapter_files import ImageAdapterFile
from calotype.core.errors import IncompatibleWeights
from calotype.models.layers.embeddings import ImageProjection
from calotype.models.layers.image_words import (
    HEAD,
    IPAdapterFaceIDImageProjection,
    IPAdapterFullImageProjection,
    IPAdapterPlusImageProjection,
)

Tensors = Mapping[str, Tensor]
VECTOR, PATCHES, FACE = "the vector of a picture", "the patches of a picture", "the vector of a face"
READS: Mapping[type[nn.Module], str] = {
    ImageProjection: VECTOR,
    IPAdapterFullImageProjection: PATCHES,
    IPAdapterPlusImageProjection: PATCHES,
    IPAdapterFaceIDImageProjection: FACE,
}


@dataclass(frozen=True)
class Kind:
    """A kind of projection: the key that betrays it, the module, and the module's names in files."""

    mark: str
    make: Callable[[Tensors, int], nn.Module]  # from the file's tensors and the width of words
    spelled: tuple[tuple[str, str], ...]  # patterns of the file's names, and the module's


def _base(tensors: Tensors, width: int) -> nn.Module:
    weight = tensors["proj.weight"]
    return ImageProjection(weight.shape[1], width, weight.shape[0] // width)


def _plus(tensors: Tensors, width: int) -> nn.Module:
    (_, queries, hidden), inner = tensors["latents"].shape, tensors["layers.0.0.to_q.weight"].shape[0]
    depth = len({key.split(".")[1] for key in tensors if key.startswith("layers.")})
    wider = tensors["layers.0.1.1.weight"].shape[0] / hidden
    return IPAdapterPlusImageProjection(
        tensors["proj_in.weight"].shape[1], width, hidden, depth, inner // HEAD, queries, wider
    )


def _full(tensors: Tensors, width: int) -> nn.Module:
    return IPAdapterFullImageProjection(tensors["proj.0.weight"].shape[1], width)


def _face(tensors: Tensors, width: int) -> nn.Module:
    hidden, wide = tensors["proj.0.weight"].shape
    return IPAdapterFaceIDImageProjection(wide, width, hidden // wide, tensors["proj.2.weight"].shape[0] // width)


FEED_FORWARD = ((r"proj\.0\.", "ff.net.0.proj."), (r"proj\.2\.", "ff.net.2."))
KINDS = (
    Kind("proj.weight", _base, ((r"proj\.", "image_embeds."),)),
    Kind("proj.3.weight", _full, (*FEED_FORWARD, (r"proj\.3\.", "norm."))),
    Kind(
        "latents",
        _plus,
        (
            (r"(layers\.\d+)\.0\.norm1\.", r"\1.ln0."),
            (r"(layers\.\d+)\.0\.norm2\.", r"\1.ln1."),
            (r"(layers\.\d+)\.0\.to_out\.", r"\1.attn.to_out.0."),
            (r"(layers\.\d+)\.0\.to_", r"\1.attn.to_"),
            (r"(layers\.\d+)\.1\.0\.", r"\1.ff.0."),
            (r"(layers\.\d+)\.1\.1\.", r"\1.ff.1.net.0.proj."),
            (r"(layers\.\d+)\.1\.3\.", r"\1.ff.1.net.2."),
        ),
    ),
    Kind("proj.0.weight", _face, FEED_FORWARD),
)
REFUSED = {"perceiver_resampler.proj_in.weight": "IP-Adapter FaceID Plus, which is not supported"}


def kind_of(file: ImageAdapterFile) -> Kind:
    """The kind of an adapter's projection."""
    for mark, name in REFUSED.items():
        if mark in file.image_proj:
            raise IncompatibleWeights(file.where, "a base, Plus, full-face or FaceID adapter", name)
    for kind in KINDS:
        if kind.mark in file.image_proj:
            return kind
    marks = ", ".join(f"image_proj.{kind.mark}" for kind in KINDS)
    keys = ", ".join(list(file.image_proj)[:3])
    raise IncompatibleWeights(file.where, f"a key that tells its kind ({marks})", f"{keys} ...")


def projection(file: ImageAdapterFile, width: int) -> nn.Module:
    """What an adapter makes of a picture: words of this width."""
    kind, tensors = kind_of(file), file.image_proj
    try:
        with torch.device("meta"):
            made = kind.make(tensors, width)
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as fault:
        reason = f"{type(fault).__name__}: {fault}"
        raise IncompatibleWeights(f"{file.where}, image_proj", f"all that belongs to {kind.mark!r}", reason) from fault
    fill(made, dict(_named(kind, key, tensor) for key, tensor in _parted(tensors)), f"{file.where}, image_proj")
    return made


def _parted(tensors: Tensors) -> list[tuple[str, Tensor]]:
    """Keys and values that files hold as one, apart."""
    found: list[tuple[str, Tensor]] = []
    for key, tensor in tensors.items():
        if ".to_kv." in key:
            found += zip((key.replace("to_kv", "to_k"), key.replace("to_kv", "to_v")), tensor.chunk(2), strict=True)
        else:
            found.append((key, tensor))
    return found


def _named(kind: Kind, key: str, tensor: Tensor) -> tuple[str, Tensor]:
    for pattern, name in kind.spelled:
        if re.match(pattern, key):
            return re.sub(f"^{pattern}", name, key), tensor
    return key, tensor


def fill(module: nn.Module, tensors: Tensors, where: str) -> None:
    """Give a module these tensors; all names and shapes must be its own."""
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    for word, names in (("missing", wanted.keys() - tensors.keys()), ("unknown", tensors.keys() - wanted.keys())):
        if names:
            told = f"{len(names)} {word}: {', '.join(sorted(names)[:3])}"
            raise IncompatibleWeights(where, f"the {len(wanted)} tensors of a {type(module).__name__}", told)
    for name, shape in wanted.items():
        if tuple(tensors[name].shape) != shape:
            raise IncompatibleWeights(f"{where}, {name}", f"shape {shape}", f"shape {tuple(tensors[name].shape)}")
    module.load_state_dict(dict(tensors), assign=True)
    module.requires_grad_(False)
