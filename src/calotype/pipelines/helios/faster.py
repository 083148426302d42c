"""What makes Helios faster: fewer bytes, and code that is compiled."""

from __future__ import annotations

from typing import Any

import torch

from calotype.core.errors import InvalidArgument
from calotype.models.quantizing import quantized


class Faster:
    """Switches of the Helios pipelines beside those of all."""

    transformer: Any
    vae: Any
    _loras: Any
    stream: Any

    def compile(self, **options: Any) -> None:
        """Compile what predicts and what decodes, for each size on its own; options are those of ``torch.compile``."""
        told = {"dynamic": False} | options
        self.transformer.compile(**told)
        # CUDA graphs belong to one thread, and decoding may have another
        self.vae.decoder.compile(**{name: value for name, value in told.items() if name != "mode"})

    def quantize(self, kind: str, keep: int = 3) -> float:
        """Round the weights of the transformer's blocks, but for the outer ones, to a byte each ("fp8").

        Returns how far a prediction moves, relative to its size. The weights are gone then: load to have them back.
        """
        worn = [name for part in self._loras.parts.values() for name in part.adapters]
        if worn:
            fix = "Fuse it, save the pipeline, and load that; or unload it."
            raise InvalidArgument("quantize", "a transformer without LoRAs", ", ".join(sorted(set(worn))), fix)
        transformer = self.transformer
        draw = torch.Generator().manual_seed(0)
        config, kinds = transformer.config, {"device": transformer.device, "dtype": transformer.dtype}
        sides = (8 * side for side in config.patch_size[1:])
        sample = torch.randn(1, config.in_channels, 9, *sides, generator=draw).to(**kinds)
        states = torch.randn(1, 64, config.text_dim, generator=draw).to(**kinds)
        time = torch.tensor([500], device=transformer.device)
        blocks = [*transformer.blocks]
        return quantized(kind, blocks, keep, lambda: transformer.predict(sample, time, transformer.read_text(states)))

    def warm_up(self, height: int = 384, width: int = 640, **arguments: Any) -> None:
        """Make one chunk of this size and forget it: what compiles as it is first used has then been compiled.

        Other arguments are those of a call; every stage must take a step.
        """
        told = {"prompt": "", "num_frames": 1, "generator": torch.Generator().manual_seed(0), **arguments}
        for _ in self.stream(height=height, width=width, **told):
            pass
