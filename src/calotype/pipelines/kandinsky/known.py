"""Where inpainting begins: noise where the mask is white, and the rest of a picture that is kept."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from calotype.generation.latents import drawn, encoded, spread
from calotype.generation.state import Start, Told

# how far the repainted part reaches into what is kept, in latents (down, right); as the networks were trained
REACH = ((-1, -1), (-1, 0), (0, -1), (0, 0), (0, 1), (1, 0), (1, 1))


def from_known(
    call: Any,
    pixels: torch.Tensor,
    mask: torch.Tensor,
    timesteps: torch.Tensor,
    told: Told,
    generator: Any,
    latents: torch.Tensor | None = None,
    lays_back: bool = True,
) -> Start:
    """Noise, or the given latents; the UNet may read what is kept, and after each step that may be laid back."""
    scheduler = call.scheduler
    noise = drawn(call, call.pixel_size(pixels), told, generator, latents) * scheduler.init_noise_sigma
    clean = encoded(call, pixels, told, generator)
    small = F.interpolate(mask, size=noise.shape[-2:]).to(noise)
    kept = spread(1 - widened(small), told.batch)
    named = {"masked_image": clean * kept, "mask_image": kept}

    def keep(sample: torch.Tensor, i: int) -> torch.Tensor:
        rest = clean
        if i + 1 < len(timesteps):
            rest = scheduler.add_noise(clean, noise, timesteps[i + 1 : i + 2])
        return kept * rest + (1 - kept) * sample

    channels = ("masked_image", "mask_image") if call.reads_mask else ()
    return Start(noise, timesteps, channels=channels, keep=keep if lays_back else None, named=named)


def widened(mask: torch.Tensor) -> torch.Tensor:
    """The mask (batch, 1, height, width) with its neighbours, but for those across one diagonal."""
    height, width = mask.shape[-2:]
    around = F.pad(mask, (1, 1, 1, 1))
    shifts = [around[..., 1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in REACH]
    return torch.stack(shifts).amax(0)
