"""Previews: what latents look like, by a straight line from their channels to red, green and blue."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import torch
from PIL import Image

# Widely published fits of the two public autoencoders, by their scaling factor: rows are channels of scaled latents,
# columns red, green and blue in [-1, 1]; the last row is what latents of zero look like.
KNOWN = {
    0.18215: (
        (0.351, 0.230, 0.323),
        (0.325, 0.497, 0.235),
        (-0.283, 0.176, 0.272),
        (-0.212, -0.262, -0.718),
        (0, 0, 0),
    ),
    0.13025: (
        (0.365, 0.423, 0.434),
        (-0.253, -0.004, 0.107),
        (0.108, 0.111, -0.036),
        (-0.317, -0.249, -0.219),
        (0.108, -0.018, -0.001),
    ),
}
FIELDS, SIDE = 24, 3  # how many plain fields of colour another autoencoder is asked for, of how many latents each side


@dataclass(frozen=True)
class Line:
    """The straight line of one autoencoder, (channels + 1, 3)."""

    table: torch.Tensor

    def painted(self, latents: torch.Tensor) -> list[Image.Image]:
        """One small picture for each of the latents, a pixel for each place."""
        weights = self.table.to(latents.device)
        levels = torch.einsum("bchw,cr->bhwr", latents.float(), weights[:-1]) + weights[-1]
        bytes_ = levels.nan_to_num().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        return [Image.fromarray(each) for each in bytes_]


_lines: WeakKeyDictionary[Any, Line] = WeakKeyDictionary()


def line_of(vae: Any) -> Line:
    """The line of this autoencoder: told in its config, known, or fitted once to how it decodes plain fields."""
    if vae not in _lines:
        known = KNOWN.get(float(vae.config.scaling_factor)) if vae.config.latent_channels == 4 else None
        told = vae.config.get("latent_rgb") or known
        _lines[vae] = Line(torch.tensor(told, dtype=torch.float32) if told else _fitted(vae))
    return _lines[vae]


@torch.no_grad()
def _fitted(vae: Any) -> torch.Tensor:
    """Least squares over fields of one latent each; drawn from a generator of their own, nobody's picture changes."""
    drawn = torch.randn(FIELDS, vae.config.latent_channels, generator=torch.Generator().manual_seed(0))
    fields = (drawn / vae.config.scaling_factor)[:, :, None, None].expand(-1, -1, SIDE, SIDE)
    pixels = vae.decode(fields.to(vae.device, vae.dtype), return_dict=False)[0]
    seen = pixels.float().cpu().clamp(-1, 1).mean((2, 3))
    return torch.linalg.lstsq(torch.cat([drawn, torch.ones(FIELDS, 1)], dim=1), seen).solution


@dataclass(frozen=True)
class Estimate:
    """What a step holds for the finished pictures; painted when somebody looks."""

    vae: Any  # None where what is denoised are not pictures
    latents: torch.Tensor

    @cached_property
    def pictures(self) -> list[Image.Image]:
        return line_of(self.vae).painted(self.latents) if self.vae is not None else []
