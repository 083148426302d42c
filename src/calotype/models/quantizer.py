"""A codebook: each vector becomes the nearest of those that were learnt (arXiv 1711.00937)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from calotype.core.errors import InvalidArgument

CODEBOOK_WEIGHT = 0.25  # of what moves the codes, beside what moves the vectors towards them


class VectorQuantizer(nn.Module):
    """So many codes of this width."""

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codes, width)
        nn.init.uniform_(self.embedding.weight, -1 / codes, 1 / codes)

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """The codes nearest to latents (batch, width, height, width), and how far off they are; gradients pass by."""
        pixels = latents.movedim(1, -1)
        nearest = torch.cdist(pixels.flatten(0, -2), self.embedding.weight).argmin(dim=1)
        codes = self.embedding(nearest).view(pixels.shape)
        loss = ((codes.detach() - pixels) ** 2).mean() + CODEBOOK_WEIGHT * ((codes - pixels.detach()) ** 2).mean()
        return (pixels + (codes - pixels).detach()).movedim(-1, 1).contiguous(), loss

    def look_up(self, indices: Tensor, shape: tuple[int, ...] | None) -> Tensor:
        """The codes of these indices, as latents if a shape (batch, height, width, channels) is told."""
        count = self.embedding.num_embeddings
        if indices.is_floating_point() or (
            indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < count
        ):
            raise InvalidArgument("h", f"indices of codes, whole numbers from 0 to {count - 1}", str(indices.dtype))
        codes = self.embedding(indices)
        return codes if shape is None else codes.view(shape).movedim(-1, 1).contiguous()
