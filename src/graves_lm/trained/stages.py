"""What a checkpoint says of the stages of its training: which there are, how far each has come, and the time.

Plain data throughout: settings of stages are compared and shown, never made into objects.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from graves_lm.runtime.errors import UserError

_MOST = 10**12
_Number = Annotated[float, Meta(ge=-1e15, le=1e15)]
_Seconds = Annotated[float, Meta(ge=0, le=1e10)]
_Steps = Annotated[int, Meta(ge=0, le=_MOST)]
_Name = Annotated[str, Meta(min_length=1, max_length=100)]


class Pace(msgspec.Struct):
    """How a stage's learning rate moves over its steps, counted from the stage's own beginning.

    After `warmup` steps the schedule goes from its top to its end; at step `at` a share `done` of that way
    lies behind, and the rest is left for the steps up to `end`. When the end is moved, the way behind stays
    what it was, so the rate never jumps and always comes to the schedule's end.

    Attributes:
        every: steps between validations.
        horizon: steps that weights are averaged over; 0: they are not.
    """

    warmup: _Steps
    at: _Steps
    done: Annotated[float, Meta(ge=0, le=1)]
    end: Annotated[int, Meta(ge=1, le=_MOST)]
    every: Annotated[int, Meta(ge=1, le=_MOST)]
    horizon: _Seconds = 0.0

    def share(self, step: int) -> float:
        """The share of the schedule that lies behind at a step, 0 to 1."""
        left = max(1, self.end - self.at)
        return min(1.0, self.done + (1 - self.done) * max(0, step - self.at) / left)

    def moved(self, step: int, end: int) -> "Pace":
        """The same stage, ending at another step from the running one on."""
        if step <= self.warmup:  # nothing of the schedule lies behind
            return replace(self, at=self.warmup, done=0.0, end=max(end, self.warmup + 1))
        return replace(self, at=step, done=self.share(step), end=max(end, step))


class StagesRecord(msgspec.Struct, omit_defaults=False):
    """A staged training as its checkpoints have it.

    Attributes:
        names, settings: of all stages, in their order; places on the machine are left out.
        stage: the index of the one that the checkpoint is of.
        begun: optimiser steps of the whole run before that stage.
        steps: optimiser steps done in each stage.
        planned: optimiser steps of each stage: those done, or as they are planned by now.
        budget: optimiser steps of the whole, or seconds (the other one is None).
        pace: of the stage that the checkpoint is of.
        spent: seconds of the run, all its parts together.
        deadline: `spent` at which the stage is to end; None for a budget of steps.
        rate: optimiser steps a second, as measured; 0: not measured.
        validation: seconds that a validation takes, as measured.
        split: in how many parts each stage's batches are computed, for want of memory.
        history: optimiser step of the whole run and monitored figure of each validation.
    """

    names: Annotated[list[_Name], Meta(min_length=1, max_length=100)]
    settings: list[dict[str, Any]]
    stage: Annotated[int, Meta(ge=0, le=99)]
    begun: _Steps
    steps: list[_Steps]
    planned: list[_Steps]
    budget: Annotated[int, Meta(ge=1, le=_MOST)] | None
    seconds: _Seconds | None
    pace: Pace
    spent: _Seconds
    deadline: _Seconds | None
    rate: _Seconds
    validation: _Seconds
    split: list[Annotated[int, Meta(ge=1, le=2**16)]]
    history: Annotated[list[tuple[_Steps, _Number]], Meta(max_length=100_000)]


def to_plain(record: StagesRecord) -> dict[str, Any]:
    """As it stands in a checkpoint's metadata."""
    plain: Any = msgspec.to_builtins(record)
    plain["history"] = [list(one) for one in plain["history"]]
    assert isinstance(plain, dict)
    return plain


def from_plain(found: Any) -> StagesRecord:
    """The inverse of `to_plain`. Raises UserError for anything that it would not have written."""
    try:
        record = msgspec.convert(found, StagesRecord)
    except msgspec.ValidationError as error:
        raise UserError(f"what it says of its stages cannot be read ({error})") from None
    count = len(record.names)
    lists = (record.settings, record.steps, record.planned, record.split)
    if not all(len(one) == count for one in lists) or record.stage >= count:
        raise UserError("what it says of its stages cannot be read (lists of other lengths than its names)")
    if (record.budget is None) == (record.seconds is None):
        raise UserError("what it says of its stages cannot be read (a budget of steps or of time is needed)")
    return record


def summary(stages: dict[str, Any]) -> list[dict[str, Any]]:
    """Of a record as `to_plain` gives it: each stage's settings, and the steps that its weights have seen."""
    return [
        {"name": name, "steps": steps, **settings}
        for name, steps, settings in zip(stages["names"], stages["steps"], stages["settings"], strict=True)
    ]
