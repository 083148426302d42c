"""Random numbers that are the same on every device, and for each item the same whatever its batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..core.errors import InvalidArgument

Generators = torch.Generator | Sequence[torch.Generator] | None


def randn_tensor(
    shape: Sequence[int],
    generator: Generators = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Normal noise from one generator, or from one generator per item of the batch.

    It is drawn where the generator lives and then moved, so a CPU generator gives the same noise on every device.
    """
    target = torch.device(device or "cpu")
    if generator is None or isinstance(generator, torch.Generator):
        return _draw(shape, generator, target, dtype)
    generators = list(generator)
    if len(generators) == 1:
        return _draw(shape, generators[0], target, dtype)
    if len(generators) != shape[0]:
        raise InvalidArgument(
            "generator", f"one, or one for each of the {shape[0]} items", f"a list of {len(generators)}"
        )
    return torch.cat([_draw((1, *shape[1:]), one, target, dtype) for one in generators])


def _draw(
    shape: Sequence[int], generator: torch.Generator | None, target: torch.device, dtype: torch.dtype | None
) -> torch.Tensor:
    source = generator.device if generator is not None else target
    if source.type not in ("cpu", target.type):
        raise InvalidArgument("generator", f"a generator on the CPU or on {target}", f"one on {source}")
    return torch.randn(tuple(shape), generator=generator, device=source, dtype=dtype).to(target)


def rand_tensor(shape: Sequence[int], generator: Generators = None, device: torch.device | None = None) -> torch.Tensor:
    """Even noise in [0, 1), from one generator or from one per item, wherever it lives."""
    target = device or torch.device("cpu")
    if isinstance(generator, Sequence):
        rows = generator if len(generator) > 1 else [generator[0]] * shape[0]
        return torch.cat([rand_tensor((1, *shape[1:]), one, target) for one in rows])
    source = generator.device if generator is not None else target
    return torch.rand(tuple(shape), generator=generator, device=source).to(target)
