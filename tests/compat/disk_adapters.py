"""Adapters that go over the disk: what we write, how either library puts it on, and how the peer writes it anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import save_file

from tests import ip_adapters, loras, tiny
from tests.compat.disk_cases import CASES, SD, WORDS, XL
from tests.compat.disk_hands import Ready, as_it_is, leave, listening, tried

Hand = Callable[[Any, Path], Any]
TEXTS, UNET = loras.ATTENTION["text_encoder"], loras.ATTENTION["unet"]
BLOCKS = [f"blocks.{place}.attn{kind}.to_{way}" for place in (0, 1) for kind in (1, 2) for way in "qkv"]
TOY, FILE = "<toy>", "adapter.safetensors"


@dataclass(frozen=True)
class Adapter:
    """For which case, how ours is written, how it is put on, how the peer writes it anew, and what calls are told."""

    case: str
    write: Hand
    wear: Hand
    rewrite: Hand | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


def lora(case: str, **layers: list[str]) -> Adapter:
    """A LoRA in these layers of these networks."""

    def write(pipe: Any, folder: Path) -> None:
        made = loras.pairs({name: getattr(pipe, name) for name in layers}, layers)
        spelled = {name: {key: each for key, each in made.items() if key[0] == name} for name in layers}
        told = {f"{name}_lora_layers": loras.spelled(own, loras.peft) for name, own in spelled.items()}
        pipe.save_lora_weights(str(folder), **told)

    def rewrite(pipe: Any, folder: Path) -> None:
        from peft import get_peft_model_state_dict

        (name,) = pipe.get_active_adapters()
        state = {part: get_peft_model_state_dict(getattr(pipe, part), adapter_name=name) for part in layers}
        pipe.save_lora_weights(str(folder), **{f"{part}_lora_layers": own for part, own in state.items()})

    return Adapter(case, write, lambda pipe, folder: pipe.load_lora_weights(str(folder)), rewrite)


def write_word(pipe: Any, folder: Path) -> None:
    from calotype.adapters.textual_inversion_files import save_words

    save_words(folder / "learned_embeds.safetensors", {TOY: torch.linspace(-1, 1, 64).reshape(2, 32)})


def rewrite_word(pipe: Any, folder: Path) -> None:
    """What training scripts write: the rows that the encoder has for the word."""
    ids = pipe.tokenizer(pipe.maybe_convert_prompt(TOY, pipe.tokenizer), add_special_tokens=False).input_ids
    rows = pipe.text_encoder.get_input_embeddings().weight.detach()[ids]
    save_file({TOY: rows.contiguous()}, folder / "learned_embeds.safetensors")


def write_eyes(pipe: Any, folder: Path) -> None:
    save_file(ip_adapters.flat(ip_adapters.adapter(pipe.unet)), folder / FILE)
    tiny.tiny_image_encoder().save_pretrained(folder / "image_encoder")


def wear_eyes(pipe: Any, folder: Path) -> None:
    pipe.load_ip_adapter(str(folder.parent), subfolder=folder.name, weight_name=FILE)


def from_one_file(pipe: Any, folder: Path) -> Any:
    """Another pipeline; the peer fills the second encoder of SDXL only at its published width, so it is given it."""
    second = {"text_encoder_2": pipe.text_encoder_2} if "text_encoder_2" in pipe.components else {}
    where = {"config": str(pipe.config["_name_or_path"]), "local_files_only": True}
    return type(pipe).from_single_file(str(folder / FILE), **where, **second)


SEEN = {"ip_adapter_image": tiny.tiny_inputs("Img2Img")["image"]}
WHOLE: tuple[Hand, Hand] = (lambda pipe, folder: pipe.save_single_file(folder / FILE), from_one_file)
ADAPTERS: dict[str, Adapter] = {
    "LoRA": lora(SD, unet=UNET, text_encoder=TEXTS),
    "LoRA of SDXL": lora(XL, unet=UNET, text_encoder=TEXTS, text_encoder_2=TEXTS),
    "LoRA of films": lora("HeliosPipeline", transformer=BLOCKS),
    "word": Adapter(
        SD,
        write_word,
        lambda pipe, folder: pipe.load_textual_inversion(str(folder)),
        rewrite_word,
        WORDS | {"prompt": f"a {TOY} cat"},
    ),
    "IP-Adapter": Adapter(SD, write_eyes, wear_eyes, told=SEEN),
    "IP-Adapter of SDXL": Adapter(XL, write_eyes, wear_eyes, told=SEEN),
    "single file": Adapter(SD, *WHOLE),
    "single file of SDXL": Adapter(XL, *WHOLE),
}


def begin(home: Path) -> None:
    """Write each adapter of ours, and try it."""
    for name, adapter in ADAPTERS.items():
        (home / "adapters" / name).mkdir(parents=True)
        adapter.write(CASES[adapter.case].make(), home / "adapters" / name)


def put_on(library: ModuleType, home: Path, found: str, left: str, ready: Ready = as_it_is) -> None:
    """Put on each adapter that is found, try it, and leave what the peer would write of it."""
    for name, adapter in ADAPTERS.items():
        case, folder = CASES[adapter.case], home / left / name
        if not (home / found / name).is_dir():
            continue
        folder.parent.mkdir(parents=True, exist_ok=True)
        pipe = getattr(library, case.kind).from_pretrained(str(home / "ours" / adapter.case))
        with listening() as heard:
            pipe = adapter.wear(pipe, home / found / name) or pipe
        if adapter.rewrite and library.__name__ == "diffusers":
            folder.mkdir()
            adapter.rewrite(pipe, folder)
        leave(home / left, name, tried(ready(pipe), {**case.told, **adapter.told}), heard)
