"""Files as the first code bases wrote them: names and shapes, by walking through their networks as these were built."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def both(name: str, *shape: int) -> Shapes:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


@dataclass(frozen=True)
class UNet:
    """The numbers of a UNet, or of a ControlNet, as the original's YAML gives them."""

    width: int
    mult: Sequence[int]
    attends: Sequence[bool]
    context: int
    depth: Sequence[int]
    entering: int = 4
    linear: bool = False
    added: int = 0
    blocks: int = 2

    def resnet(self, name: str, before: int, after: int) -> Shapes:
        yield from both(f"{name}.in_layers.0", before)
        yield from both(f"{name}.in_layers.2", after, before, 3, 3)
        yield from both(f"{name}.emb_layers.1", after, 4 * self.width)
        yield from both(f"{name}.out_layers.0", after)
        yield from both(f"{name}.out_layers.3", after, after, 3, 3)
        if before != after:
            yield from both(f"{name}.skip_connection", after, before, 1, 1)

    def transformer(self, name: str, c: int, depth: int) -> Shapes:
        pixel = () if self.linear else (1, 1)
        yield from both(f"{name}.norm", c)
        for end in ("proj_in", "proj_out"):
            yield from both(f"{name}.{end}", c, c, *pixel)
        for i in range(depth):
            block = f"{name}.transformer_blocks.{i}"
            for attention, context in (("attn1", c), ("attn2", self.context)):
                for letter, width in (("q", c), ("k", context), ("v", context)):
                    yield f"{block}.{attention}.to_{letter}.weight", (c, width)
                yield from both(f"{block}.{attention}.to_out.0", c, c)
            yield from both(f"{block}.ff.net.0.proj", 8 * c, c)
            yield from both(f"{block}.ff.net.2", c, 4 * c)
            for number in (1, 2, 3):
                yield from both(f"{block}.norm{number}", c)

    def down(self) -> tuple[list[tuple[str, tuple[int, ...]]], list[int]]:
        w = self.width
        found = [*both("time_embed.0", 4 * w, w), *both("time_embed.2", 4 * w, 4 * w)]
        if self.added:
            found += [*both("label_emb.0.0", 4 * w, self.added), *both("label_emb.0.2", 4 * w, 4 * w)]
        found += both("input_blocks.0.0", w, self.entering, 3, 3)
        here, place, passed = w, 0, [w]
        for level, times in enumerate(self.mult):
            for _ in range(self.blocks):
                place += 1
                found += self.resnet(f"input_blocks.{place}.0", here, w * times)
                here = w * times
                if self.attends[level]:
                    found += self.transformer(f"input_blocks.{place}.1", here, self.depth[level])
                passed.append(here)
            if level < len(self.mult) - 1:
                place += 1
                found += both(f"input_blocks.{place}.0.op", here, here, 3, 3)
                passed.append(here)
        found += self.resnet("middle_block.0", here, here)
        found += self.transformer("middle_block.1", here, self.depth[-1])
        found += self.resnet("middle_block.2", here, here)
        return found, passed

    def unet(self) -> Shapes:
        found, passed = self.down()
        yield from found
        here, place = self.width * self.mult[-1], -1
        for level, times in reversed([*enumerate(self.mult)]):
            for i in range(self.blocks + 1):
                place += 1
                yield from self.resnet(f"output_blocks.{place}.0", here + passed.pop(), self.width * times)
                here = self.width * times
                if self.attends[level]:
                    yield from self.transformer(f"output_blocks.{place}.1", here, self.depth[level])
                if level and i == self.blocks:
                    yield from both(f"output_blocks.{place}.{1 + self.attends[level]}.conv", here, here, 3, 3)
        yield from both("out.0", here)
        yield from both("out.2", 4, here, 3, 3)

    def controlnet(self) -> Shapes:
        found, passed = self.down()
        yield from found
        for i, width in enumerate(passed):
            yield from both(f"zero_convs.{i}.0", width, width, 1, 1)
        yield from both("middle_block_out.0", passed[-1], passed[-1], 1, 1)
        widths = (3, 16, 16, 32, 32, 96, 96, 256, self.width)
        for i in range(8):
            yield from both(f"input_hint_block.{2 * i}", widths[i + 1], widths[i], 3, 3)


def vae(width: int = 128, mult: Sequence[int] = (1, 2, 4, 4), blocks: int = 2) -> Shapes:
    def resnet(name: str, before: int, after: int) -> Shapes:
        yield from both(f"{name}.norm1", before)
        yield from both(f"{name}.conv1", after, before, 3, 3)
        yield from both(f"{name}.norm2", after)
        yield from both(f"{name}.conv2", after, after, 3, 3)
        if before != after:
            yield from both(f"{name}.nin_shortcut", after, before, 1, 1)

    def middle(name: str, c: int) -> Shapes:
        yield from resnet(f"{name}.block_1", c, c)
        yield from both(f"{name}.attn_1.norm", c)
        for layer in ("q", "k", "v", "proj_out"):
            yield from both(f"{name}.attn_1.{layer}", c, c, 1, 1)
        yield from resnet(f"{name}.block_2", c, c)

    yield from both("encoder.conv_in", width, 3, 3, 3)
    here = width
    for level, times in enumerate(mult):
        for i in range(blocks):
            yield from resnet(f"encoder.down.{level}.block.{i}", here, width * times)
            here = width * times
        if level < len(mult) - 1:
            yield from both(f"encoder.down.{level}.downsample.conv", here, here, 3, 3)
    yield from middle("encoder.mid", here)
    yield from both("encoder.norm_out", here)
    yield from both("encoder.conv_out", 8, here, 3, 3)
    yield from both("quant_conv", 8, 8, 1, 1)
    yield from both("post_quant_conv", 4, 4, 1, 1)
    yield from both("decoder.conv_in", here, 4, 3, 3)
    yield from middle("decoder.mid", here)
    for level, times in reversed([*enumerate(mult)]):
        for i in range(blocks + 1):
            yield from resnet(f"decoder.up.{level}.block.{i}", here, width * times)
            here = width * times
        if level:
            yield from both(f"decoder.up.{level}.upsample.conv", here, here, 3, 3)
    yield from both("decoder.norm_out", here)
    yield from both("decoder.conv_out", 3, here, 3, 3)


def clip(width: int = 768, layers: int = 12, words: int = 49408) -> Shapes:
    """OpenAI's text encoder, as transformers holds it."""
    yield "text_model.embeddings.position_ids", (1, 77)
    yield "text_model.embeddings.token_embedding.weight", (words, width)
    yield "text_model.embeddings.position_embedding.weight", (77, width)
    for i in range(layers):
        layer = f"text_model.encoder.layers.{i}"
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from both(f"{layer}.self_attn.{name}", width, width)
        yield from both(f"{layer}.layer_norm1", width)
        yield from both(f"{layer}.mlp.fc1", 4 * width, width)
        yield from both(f"{layer}.mlp.fc2", width, 4 * width)
        yield from both(f"{layer}.layer_norm2", width)
    yield from both("text_model.final_layer_norm", width)


def open_clip(width: int, layers: int, projected: int, words: int = 49408) -> Shapes:
    yield "positional_embedding", (77, width)
    yield "text_projection", (width, projected)
    yield "logit_scale", ()
    yield "token_embedding.weight", (words, width)
    for i in range(layers):
        block = f"transformer.resblocks.{i}"
        yield from both(f"{block}.ln_1", width)
        yield f"{block}.attn.in_proj_weight", (3 * width, width)
        yield f"{block}.attn.in_proj_bias", (3 * width,)
        yield from both(f"{block}.attn.out_proj", width, width)
        yield from both(f"{block}.ln_2", width)
        yield from both(f"{block}.mlp.c_fc", 4 * width, width)
        yield from both(f"{block}.mlp.c_proj", width, 4 * width)
    yield from both("ln_final", width)


def behind(prefix: str, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {prefix + name: shape for name, shape in shapes}


SD = UNet(320, (1, 2, 4, 4), (True, True, True, False), 768, (1, 1, 1, 1))
XL = UNet(320, (1, 2, 4), (False, True, True), 2048, (0, 2, 10), linear=True, added=2816)
REFINER = UNet(384, (1, 2, 4, 4), (False, True, True, False), 1280, (4, 4, 4, 4), linear=True, added=2560)
OPEN_CLIP = (1280, 32, 1280)


def sd(unet: UNet = SD) -> dict[str, tuple[int, ...]]:
    """Stable Diffusion 1.x, with the schedule that its files hold too."""
    found = behind("model.diffusion_model.", unet.unet()) | behind("first_stage_model.", vae())
    return found | behind("cond_stage_model.transformer.", clip()) | {"betas": (1000,), "model_ema.decay": ()}


def xl(unet: UNet = XL) -> dict[str, tuple[int, ...]]:
    found = behind("model.diffusion_model.", unet.unet()) | behind("first_stage_model.", vae())
    found |= behind("conditioner.embedders.0.transformer.", clip())
    return found | behind("conditioner.embedders.1.model.", open_clip(*OPEN_CLIP))


def refiner() -> dict[str, tuple[int, ...]]:
    found = behind("model.diffusion_model.", REFINER.unet()) | behind("first_stage_model.", vae())
    return found | behind("conditioner.embedders.0.model.", open_clip(*OPEN_CLIP))


def hollow(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Path:
    """A file of zeros that takes no room on the disk, however large it says it is."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        count = 1
        for side in shape:
            count *= side
        kind, size = ("I64", 8) if name.endswith("position_ids") else ("F16", 2)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + size * count]}
        offset += size * count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    return path
