"""What a file of weights is, told by its keys and shapes alone, and its networks, each under our names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from calotype.core.tensors import Stored, WeightFile
from calotype.models.original_names import AS_IS, Way, homes

SD, SD2 = "stable-diffusion", "stable-diffusion-2"
XL, REFINER = "stable-diffusion-xl", "stable-diffusion-xl-refiner"


@dataclass(frozen=True)
class Part:
    """A network in a file: what its keys begin with, and how the rest is spelt."""

    prefix: str
    spelling: str
    dotted: bool = True  # averaged weights are kept under names without dots


AVERAGED = "averaged unet"
# The first beginning of a key that is found says where a component is.
BEGINNINGS: dict[str, tuple[str, Part]] = {
    "model.diffusion_model.": ("unet", Part("model.diffusion_model.", "unet")),
    "output_blocks.": ("unet", Part("", "unet")),
    "up_blocks.": ("unet", Part("", "own")),
    "model_ema.diffusion_model": (AVERAGED, Part("model_ema.diffusion_model", "unet", dotted=False)),
    "control_model.": ("controlnet", Part("control_model.", "controlnet")),
    "input_hint_block.": ("controlnet", Part("", "controlnet")),
    "controlnet_cond_embedding.": ("controlnet", Part("", "own")),
    "first_stage_model.": ("vae", Part("first_stage_model.", "vae")),
    "decoder.up.": ("vae", Part("", "vae")),
    "decoder.up_blocks.": ("vae", Part("", "own")),
    "cond_stage_model.transformer.": ("text_encoder", Part("cond_stage_model.transformer.", "own")),
    "cond_stage_model.model.": ("text_encoder", Part("cond_stage_model.model.", "open_clip")),
    "conditioner.embedders.0.transformer.": ("text_encoder", Part("conditioner.embedders.0.transformer.", "own")),
    "conditioner.embedders.0.model.": ("text_encoder_2", Part("conditioner.embedders.0.model.", "open_clip")),
    "conditioner.embedders.1.model.": ("text_encoder_2", Part("conditioner.embedders.1.model.", "open_clip")),
}
# Which text encoder is where says which family a file is of.
FAMILIES = {
    "cond_stage_model.transformer.": SD,
    "cond_stage_model.model.": SD2,
    "conditioner.embedders.0.transformer.": XL,
    "conditioner.embedders.1.model.": XL,
    "conditioner.embedders.0.model.": REFINER,
}
# What original files hold beside the networks: schedules, counters, and what training needed.
BESIDE = re.compile(
    r"(.*\.)?(logit_scale|attn_mask|position_ids)$|(model_ema\.|loss\.|discriminator)|"
    r"(alphas_cumprod|betas|sqrt_|log_one_minus|posterior_|logvar|lvlb_weights|global_step|v_pred$|ztsnr$|"
    r"denoiser\.sigmas|scale_factor|cond_stage_key|edm_)"
)
# What other files are, by the first pattern that one of their keys matches.
OTHERS = {
    r"(\.lora_(A|B|up|down)\.|^lora_(unet|te)|\.hada_w1|\.lokr_w1)": "LoRA",
    r"^(emb_params|string_to_param|clip_[lg]|<.*>)$": "textual inversion",
    r"^vision_model\.": "CLIP vision encoder",
    r"^text_model\.": "CLIP text encoder",
    r"^(time_embedding|add_embedding)\.": "UNet",
    r"^(quant_conv|encoder\.conv_in)\.": "autoencoder",
}
NAMES = {"unet": "UNet", "vae": "autoencoder", "controlnet": "ControlNet"}
Keys = Mapping[str, Stored]


@dataclass(frozen=True)
class Contents:
    """What a file holds: its family, and where each component is."""

    family: str | None
    parts: Mapping[str, Part]
    kind: str | None  # in the words of ``calotype models info``
    channels: int | None = None  # that the UNet takes
    inpaints: bool = False
    predicts_velocity: bool = False
    zero_snr: bool = False


def contents(file: WeightFile) -> Contents:
    """What a file is; one of no known kind has no parts and no kind."""
    keys = file.stored()
    other = next((kind for pattern, kind in OTHERS.items() if any(re.search(pattern, key) for key in keys)), None)
    found = {} if other in ("LoRA", "textual inversion") else _parts(keys)
    if not found:
        return Contents(None, {}, other)
    family = _family(found, keys)
    enters, leaves = (
        _first(found, keys, name) for name in (("input_blocks.0.0.", "conv_in."), ("out.2.", "conv_out."))
    )
    channels = enters[1] if len(enters) == 4 else None
    inpaints = len(leaves) == 4 and channels == 2 * leaves[0] + 1
    return Contents(
        family, found, _kind(family, found, inpaints), channels, inpaints, "v_pred" in keys, "ztsnr" in keys
    )


def _parts(keys: Keys) -> dict[str, Part]:
    found: dict[str, Part] = {}
    for beginning, (component, part) in BEGINNINGS.items():
        if component not in found and any(key.startswith(beginning) for key in keys):
            found[component] = part
    if "controlnet" in found and found.get("unet", found["controlnet"]).prefix == "":
        found.pop("unet", None)  # what stands beside a ControlNet without a name of its own is the ControlNet's
    return found


def _family(found: Mapping[str, Part], keys: Keys) -> str | None:
    for name in ("text_encoder", "text_encoder_2"):
        if name in found:
            return FAMILIES[found[name].prefix]
    part = found.get("unet") or found.get("controlnet") or found.get(AVERAGED)
    if part is None:
        return None  # an autoencoder is every family's
    told = _shape(keys, part, ("label_emb.0.0.weight", "add_embedding.linear_1.weight"))
    if told:
        return REFINER if told[1:] == (2560,) else XL
    widths = {tensor.shape[-1] for key, tensor in keys.items() if key.endswith("attn2.to_k.weight") and tensor.shape}
    return SD2 if widths == {1024} else SD


def _first(found: Mapping[str, Part], keys: Keys, names: tuple[str, str]) -> tuple[int, ...]:
    part = found.get("unet") or found.get(AVERAGED)
    return _shape(keys, part, tuple(f"{name}weight" for name in names)) if part else ()


def _shape(keys: Keys, part: Part, names: Iterable[str]) -> tuple[int, ...]:
    """The shape of the first of these tensors that a part has."""
    spelt = (part.prefix + (name if part.dotted else name.replace(".", "")) for name in names)
    return next((keys[key].shape for key in spelt if key in keys), ())


def _kind(family: str | None, found: Mapping[str, Part], inpaints: bool) -> str:
    alone = [name for name in NAMES if name in found]
    own = all(part.prefix == "" for part in found.values()) or [*found] == ["controlnet"]
    task = " inpainting" if inpaints else ""
    if own and len(found) == 1:
        return NAMES[alone[0]] + (f" of {family}" if family else "") + task
    return f"{family}{task}, original file" if family else "autoencoder, original file"


class PartFile:
    """The tensors of one network in a file, under our names."""

    def __init__(self, file: WeightFile, part: Part, network: nn.Module) -> None:
        self.path: Path = file.path
        self._file, self._keys = file, file.stored()
        ours: dict[str, list[tuple[str, Way]]] = {}
        for key, home in homes(network, part.spelling).items():
            name = home.name if part.dotted else home.name.replace(".", "")
            ours.setdefault(name, []).append((key, home.way))
        self._found: dict[str, tuple[str, Way]] = {}
        for key in self._keys:
            name = key.removeprefix(part.prefix)
            if key.startswith(part.prefix) and (name in ours or not BESIDE.match(name)):
                self._found |= {own: (key, way) for own, way in ours.get(name, [(name, AS_IS)])}

    def stored(self) -> dict[str, Stored]:
        """Every tensor by its key."""
        theirs = {own: (self._keys[key], way) for own, (key, way) in self._found.items()}
        return {own: Stored(self, own, way.shape(told.shape), told.dtype) for own, (told, way) in theirs.items()}

    def tensors(self, wanted: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
        """These tensors in these types."""
        read = self._file.tensors({self._found[own][0]: dtype for own, dtype in wanted.items()})
        return {own: way.read(read[key]) for own, (key, way) in self._found.items() if own in wanted}

    def pieces(self, keys: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values of these tensors, a small flat piece at a time."""
        for own in keys:
            yield from ((own, piece) for _, piece in self._file.pieces([self._found[own][0]]))


class GivenTensors:
    """Tensors that are in memory already, as a file of them."""

    path = Path("the state dict")

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors

    def stored(self) -> dict[str, Stored]:
        """Every tensor by its key."""
        return {key: Stored(self, key, tuple(t.shape), t.dtype) for key, t in self._tensors.items()}

    def tensors(self, wanted: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
        """These tensors in these types."""
        return {key: self._tensors[key].to(dtype) for key, dtype in wanted.items()}

    def pieces(self, keys: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values of these tensors."""
        return ((key, self._tensors[key].reshape(-1)) for key in keys)


def spelt(network: nn.Module, part: Part) -> dict[str, Tensor]:
    """The tensors of a network under the names of the original, as its file holds them."""
    state = network.state_dict()
    made: dict[str, dict[int, Tensor]] = {}
    ways: dict[str, Way] = {}
    for key, home in homes(network, part.spelling).items():
        name = part.prefix + home.name
        made.setdefault(name, {})[home.way.place] = state[key]
        ways[name] = home.way
    return {name: ways[name].write([tensors[place] for place in sorted(tensors)]) for name, tensors in made.items()}
