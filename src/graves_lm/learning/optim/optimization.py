"""The settings of the descent: algorithm, unit of the loss, norm clip and learning-rate schedule."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from graves_lm.runtime.errors import UserError
from graves_lm.settings import declared
from graves_lm.settings.kinds import CountOrNone, Name, Positive, Rate, Share

Progress = Callable[[int], float]
"""The share of a schedule that lies behind at a step, 0 to 1."""


@declared("optimizer")
@dataclass(frozen=True)
class Optimization:
    """What an `optimizer=` option of the configuration builds.

    Attributes:
        algorithm: makes a torch optimiser of (parameters, lr=…).
        lr: the learning rate at its highest.
        unit: what the step is per. Backward passes always run on nats summed over the batch, where the
            paper's gradient clips act; the gradients with respect to the weights are then divided by the
            number of sequences ("sequence", the paper's unit) or of points or symbols ("point", a mean).
        clip_norm: bound on the joint norm of the gradients with respect to all weights, in that unit; None:
            no bound.
        schedule: "constant"; "linear" or "cosine" from lr down to `final_share`·lr at the run's last step.
        warmup_steps: the rate first grows linearly from 0 over so many steps.
        final_share: what is left of lr at the end of a falling schedule.
        new_characters: how many times as far a step moves what belongs to a character that the weights which
            the run began with did not know. It comes last and is seldom, while all else is nearly learned.
        only_characters: nothing learns but their entries of the weights that have one for each character (see
            `symbol_axes` of the networks). None: all learns.
    """

    algorithm: Callable[..., Optimizer]
    lr: Rate
    unit: Literal["sequence", "point"] = "point"
    clip_norm: Positive | None = None
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: CountOrNone = 0
    final_share: Share = 0.0
    new_characters: Positive = 1.0
    only_characters: Name | None = None

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """Raises UserError for a setting that the algorithm does not have or take."""
        try:
            return self.algorithm(list(parameters), lr=self.lr)
        except (TypeError, ValueError, RuntimeError) as error:
            hint = "; a setting of another algorithm is removed with ~optimizer.algorithm.NAME"
            raise UserError(f"optimizer.algorithm: {error}{hint * isinstance(error, TypeError)}") from error

    def scheduler(self, optimizer: Optimizer, total_steps: float | Progress) -> dict[str, Any] | None:
        """In Lightning's form, stepped after each optimiser step; None for a constant rate."""
        if self.schedule == "constant" and not self.warmup_steps:
            return None
        if self.schedule != "constant" and not callable(total_steps) and math.isinf(total_steps):
            raise UserError(
                f"optimizer.schedule={self.schedule} needs to know the end: give trainer.max_steps or "
                "trainer.max_epochs"
            )
        scheduler = LambdaLR(optimizer, lambda step: self.share(step, total_steps))
        return {"scheduler": scheduler, "interval": "step"}

    def share(self, step: int, total_steps: float | Progress) -> float:
        """The share of lr at optimiser step `step` (from 0) of `total_steps`; or of a run whose end may be
        moved, which says how much of the schedule lies behind at a step."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.schedule == "constant":
            return 1.0
        if callable(total_steps):
            done = total_steps(step)
        else:
            done = min(1.0, (step - self.warmup_steps) / max(1.0, total_steps - self.warmup_steps))
        falling = 1 - done if self.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
        return self.final_share + (1 - self.final_share) * falling
