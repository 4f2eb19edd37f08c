"""The account of a training in stages while it runs: steps done and planned, time spent and left."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graves_lm.learning.budget import (
    LEAST,
    pace_of,
    seconds_as_text,
    share_out,
    time_of_stage,
    validations_in,
)
from graves_lm.runtime.errors import UserError
from graves_lm.trained.stages import Pace, StagesRecord, to_plain

log = logging.getLogger(__name__)

TOLERANCE = 0.02
"""Of a stage's time: an end that is further off its time than this is moved."""


@dataclass
class Ledger:
    """A record (see `StagesRecord`), with a clock.

    `record.spent` is the time of earlier parts of the run; that of this part is added where it is asked for.
    """

    record: StagesRecord
    stages: list[dict[str, Any]]
    clock: Callable[[], float] = time.monotonic
    since: float = field(init=False)

    def __post_init__(self) -> None:
        self.since = self.clock()

    def plain(self) -> dict[str, Any]:
        """The record as it stands now, for a checkpoint."""
        return to_plain(self.record) | {"spent": self.spent()}

    def spent(self) -> float:
        return self.record.spent + self.clock() - self.since

    @property
    def end(self) -> int:
        """The optimiser step of the whole run at which the stage ends."""
        return self.record.begun + self.record.pace.end

    def begin(self, stage: int, warmup: int) -> None:
        """Plan a stage from its first step on, and all after it.

        Raises UserError where the budget is too short for a training that has not taken a step.
        """
        record, own = self.record, self.stages[stage]
        record.stage, record.begun = stage, sum(record.steps[:stage])
        record.steps[stage:] = [0] * (len(self.stages) - stage)
        validations = own["validations"]
        if record.budget is not None:
            steps = share_out(record.budget, [one["share"] for one in self.stages])
            record.planned = steps
        else:
            self._fit_time(stage)
            assert record.deadline is not None
            validations = validations_in(record.deadline - self.spent(), validations, record.validation)
        record.pace = pace_of(record.planned[stage], warmup, validations, own["average"])

    def _fit_time(self, stage: int) -> None:
        record, whole = self.record, self.record.seconds
        assert whole is not None
        shares = [one["share"] for one in self.stages[stage:]]
        now = self.spent()
        own = time_of_stage(whole - now, shares, record.validation, whole)
        record.deadline = now + own
        for i, share in enumerate(shares, stage):
            seconds = own * share / shares[0]
            count = validations_in(seconds, self.stages[i]["validations"], record.validation)
            steps = int((seconds - count * record.validation) * record.rate)
            if steps < LEAST and not any(record.steps):
                own_need = (LEAST + 1) / record.rate + record.validation
                needed = 1.25 * (now + 2 * record.validation + own_need * sum(shares) / min(shares)) + 1
                raise UserError(
                    f"trainer.max_time: too short, stage {record.names[i]} would have {max(0, steps)} of "
                    f"the {LEAST} steps that it needs: here are {record.rate:.3g} steps a second, and "
                    f"{record.validation:.1f} s for a validation; give "
                    f"00:{seconds_as_text(max(needed, whole + 1))} or more"
                )
            record.planned[i] = max(1, steps)  # of a training that runs, whatever the machine then does

    def fit_end(self, step: int, rate: float) -> bool:
        """Move the running stage's end to where its time will be over, at so many steps a second; whether it
        was moved. `step` is the stage's own."""
        record = self.record
        if record.deadline is None or rate <= 0:
            return False
        record.rate, pace = rate, record.pace
        left = record.deadline - self.spent()
        to_come = max(1, -(-pace.end // pace.every) - step // pace.every)
        end = step + max(1, int((left - to_come * record.validation) * rate))
        if abs(end - pace.end) <= TOLERANCE * pace.end:
            return False
        record.pace = pace.moved(step, end)
        record.planned[record.stage] = record.pace.end
        return True

    def another_time(self, seconds: float) -> None:
        """Go on with another time for the whole than was given before."""
        record = self.record
        if record.seconds is None or record.seconds == seconds:
            return
        record.seconds, now = seconds, self.spent()
        step = record.steps[record.stage]
        shares = [one["share"] for one in self.stages[record.stage :]]
        shares[0] *= max(1e-3, 1 - step / record.pace.end)
        record.deadline = now + time_of_stage(seconds - now, shares, record.validation, seconds)

    def describe(self) -> str:
        """The stage in a line."""
        record, pace = self.record, self.record.pace
        name = f"stage {record.stage + 1} of {len(record.names)} ({record.names[record.stage]})"
        told = f"{name}: steps {record.begun + 1:,} to {self.end:,}, a validation every {pace.every:,}"
        if record.deadline is not None:
            told += f", until {seconds_as_text(record.deadline)} of {seconds_as_text(record.seconds or 0)}"
        return told


def new_ledger(
    stages: dict[str, dict[str, Any]],
    settings: list[dict[str, Any]],
    budget: int | None,
    seconds: float | None,
    clock: Callable[[], float] = time.monotonic,
) -> Ledger:
    """Of a run that begins. `settings`: of each stage as checkpoints are to have them."""
    count = len(stages)
    record = StagesRecord(
        names=list(stages),
        settings=settings,
        stage=0,
        begun=0,
        steps=[0] * count,
        planned=[0] * count,
        budget=budget,
        seconds=seconds,
        pace=Pace(0, 0, 0.0, 1, 1),
        spent=0.0,
        deadline=None,
        rate=0.0,
        validation=0.0,
        split=[1] * count,
        history=[],
    )
    return Ledger(record, list(stages.values()), clock)
