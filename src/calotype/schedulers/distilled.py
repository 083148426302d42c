"""What solvers of distilled networks share: a few steps, picked from those of the distillation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.errors import InvalidArgument
from .checks import whole
from .solver import Device, Solver


class DistilledSolver(Solver):
    """A step leaps to the clean picture, and puts noise back to go on from a lower level."""

    by_timestep = True
    _compatibles = ()

    def lay_distilled(
        self,
        steps: int | None,
        device: Device,
        taught: int,
        timesteps: Sequence[int] | np.ndarray | None,
        strength: float,
    ) -> None:
        """Lay out a walk within the last ``strength`` of the ``taught`` steps of the distillation."""
        if not 0 < strength <= 1:
            raise InvalidArgument("strength", "a number above 0, up to 1", repr(strength))
        if timesteps is None:
            stride = self.curve.steps // whole("original_inference_steps", taught, 1, self.curve.steps)
            known = np.arange(int(taught * strength), 0, -1) * stride - 1
            where = f"num_inference_steps, with original_inference_steps={taught} and strength={strength:g}"
            count = whole(where, steps, 1, len(known))
            visited = known[np.linspace(0, len(known), count, endpoint=False).astype(np.int64)]
        else:
            visited = timesteps[len(timesteps) - int(len(timesteps) * strength) :]
        self.lay(steps, device, timesteps=visited)
