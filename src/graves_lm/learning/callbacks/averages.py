"""An average of the weights over the last part of a training, which is validated and kept in their place."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

_STEPS_BETWEEN = 5
"""Steps between two updates: each one has the host wait for a GPU."""


class AverageOfWeights(WeightAveraging):
    """An exponential moving average with a horizon of so many optimiser steps.

    Of the first updates it is their plain mean, however long the horizon: at n updates the newest weights
    count (10 + n)⁻¹ · 9 or more, so that the beginner's weights are soon forgotten.

    Args:
        horizon: steps after which a share 1/e of the older weights is left.
        device: where the average is kept; None: where the weights are before training, the host's memory.
        origin: weights of the same network, as those that it began with, in the order of its parameters.
        share: how much of them is in the average at any time, 0 to 1 ("WiSE-FT", M. Wortsman et al., CVPR
            2022): what few data do not show is less forgotten.
    """

    def __init__(
        self,
        horizon: float,
        device: torch.device | None = None,
        origin: Sequence[Tensor] = (),
        share: float = 0.0,
    ):
        self.every = max(1, min(_STEPS_BETWEEN, int(horizon / 10)))
        decay = max(0.0, 1 - self.every / max(1.0, horizon))

        def update(averages: Sequence[Tensor], weights: Sequence[Tensor], count: Any) -> None:
            count = torch.as_tensor(count, dtype=torch.float32, device=averages[0].device)
            kept = torch.clamp((1 + count) / (10 + count), max=decay)
            # An average of weights that are each drawn towards the origin is itself drawn there as far.
            for average, weight, first in zip(averages, weights, origin or weights, strict=True):
                drawn = weight.lerp(first.to(weight.device), share) if share else weight
                average.lerp_(drawn, (1 - kept).to(average.dtype))

        super().__init__(device, use_buffers=False, multi_avg_fn=update)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return step_idx is not None and (step_idx + 1) % self.every == 0
