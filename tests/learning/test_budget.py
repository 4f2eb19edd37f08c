"""A budget becomes steps, and an end that is moved leaves neither the time nor the schedule open."""

import itertools

import pytest

from graves_lm.learning.budget import pace_of, seconds_as_text, seconds_of, share_out
from graves_lm.learning.ledger import new_ledger
from graves_lm.learning.optim import Optimization
from graves_lm.runtime.errors import UserError
from graves_lm.trained.stages import from_plain, to_plain

STAGES = {
    name: {"share": share, "begins": "best", "validations": 4, "average": None}
    for name, share in {"wide": 6, "narrow": 3, "last": 1}.items()
}


def test_steps_are_shared_out_and_none_is_lost():
    assert share_out(1000, [6, 3, 1]) == [600, 300, 100]
    for total in range(101, 200):
        steps = share_out(total, [6.5, 3, 1])
        assert sum(steps) == total
        assert all(abs(n - total * s / 10.5) <= 1 for n, s in zip(steps, [6.5, 3, 1], strict=True))


def test_the_budget_that_is_advised_is_enough():
    with pytest.raises(UserError, match="budget=50: too short") as error:
        share_out(50, [6, 3, 1])
    advised = int(str(error.value).partition("give budget=")[2].split()[0])
    assert min(share_out(advised, [6, 3, 1])) >= 10


def test_a_time_is_read_as_it_is_written():
    assert seconds_of("01:02:03:04") == 93784
    assert seconds_as_text(7384.4) == "02:03:04"


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("moves", [[], [(200, 700)], [(200, 1500), (900, 1000)], [(5, 400)], [(399, 400)]])
def test_a_schedule_whose_end_is_moved_never_jumps_and_comes_to_its_end(schedule, moves):
    made = Optimization(None, lr=1.0, schedule=schedule, warmup_steps=20, final_share=0.01)
    pace, rates, to_come = pace_of(1000, 20, 4, None), [], list(moves)
    step = 0
    while step < pace.end:
        if to_come and step == to_come[0][0]:
            pace = pace.moved(*to_come.pop(0))
        rates.append(made.share(step, pace.share))
        step += 1
    assert max(rates[19:21]) == pytest.approx(1.0, abs=1e-3)
    assert rates[-1] < 0.01 + 0.99 * 2 / (pace.end - pace.at)  # a step before the very end
    falling = [a - b for a, b in itertools.pairwise(rates[20:])]
    assert all(drop >= 0 for drop in falling)
    if moves != [(399, 400)]:  # where it has one step for all that is left
        assert max(falling) < 0.02


def test_without_moves_it_is_the_schedule_of_a_run_with_an_end():
    made = Optimization(None, lr=1.0, schedule="cosine", warmup_steps=20, final_share=0.01)
    pace = pace_of(1000, 20, 4, None)
    for step in range(1000):
        assert made.share(step, pace.share) == pytest.approx(made.share(step, 1000), abs=1e-12)


class Machine:
    """A clock that a simulated machine moves on: so many seconds a step and a validation."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def train(seconds, step_seconds, validation_seconds, measured):
    """A whole training on a machine whose steps take `step_seconds(now)`; (time taken, steps, last paces)."""
    machine = Machine()
    ledger = new_ledger(STAGES, [{}] * 3, None, seconds, machine)
    ledger.record.rate, ledger.record.validation = measured
    paces = []
    for stage in range(3):
        ledger.begin(stage, warmup=5)
        step, look = 0, 0
        while step < ledger.record.pace.end:
            machine.now += step_seconds(machine.now)
            step += 1
            ledger.record.steps[stage] = step
            if step >= look:
                ledger.fit_end(step, 1 / step_seconds(machine.now))
                look = step + max(1, (ledger.record.pace.end - step) // 25)
            pace = ledger.record.pace
            if step % pace.every == 0 or step == pace.end:
                machine.now += validation_seconds
                ledger.record.validation = validation_seconds
        paces.append(ledger.record.pace)
    return machine.now + 2 * validation_seconds, ledger.record.steps, paces


@pytest.mark.parametrize("seconds", [60.0, 720.0, 36000.0])
@pytest.mark.parametrize(
    "step_seconds",
    [
        lambda _: 0.05,
        lambda now: 0.05 if now < 20 else 0.15,  # another program comes
        lambda now: 0.2 if now < 30 else 0.05,  # and goes
    ],
)
@pytest.mark.parametrize("measured", [(20.0, 0.5), (40.0, 0.1), (8.0, 2.0)])
def test_a_training_ends_in_time_and_uses_it_whatever_was_measured(seconds, step_seconds, measured):
    taken, steps, paces = train(seconds, step_seconds, 0.5, measured)
    assert taken <= seconds
    assert taken >= 0.8 * seconds
    assert min(steps) >= 10
    for pace in paces:
        assert pace.share(pace.end) == pytest.approx(1.0)


def test_a_machine_that_becomes_far_too_slow_ends_its_training_all_the_same():
    _, steps, paces = train(60.0, lambda now: 0.05 if now < 35 else 3.0, 0.5, (20.0, 0.5))
    assert min(steps) >= 1
    assert all(pace.share(pace.end) == pytest.approx(1.0) for pace in paces)


def test_more_time_is_more_steps():
    steps = [sum(train(s, lambda _: 0.05, 0.5, (20.0, 0.5))[1]) for s in (60.0, 120.0, 720.0)]
    assert steps[0] < steps[1] < steps[2]


def test_a_time_too_short_for_a_stage_is_refused_and_what_is_advised_is_enough():
    def advise(seconds):
        ledger = new_ledger(STAGES, [{}] * 3, None, seconds, Machine())
        ledger.record.rate, ledger.record.validation = 2.0, 1.0
        with pytest.raises(UserError, match=r"trainer\.max_time: too short, stage \w+ would have") as error:
            ledger.begin(0, 5)
        return seconds_of(str(error.value).partition("; give ")[2].split()[0])

    ledger = new_ledger(STAGES, [{}] * 3, None, advise(20.0), Machine())
    ledger.record.rate, ledger.record.validation = 2.0, 1.0
    ledger.begin(0, 5)
    assert min(ledger.record.planned) >= 10


def test_a_record_is_read_as_it_was_written_and_nothing_else_is():
    ledger = new_ledger(STAGES, [{"share": 6}] * 3, 1000, None, Machine())
    ledger.begin(1, 5)
    ledger.record.history.append((12, -3.5))
    plain = ledger.plain()
    assert to_plain(from_plain(plain)) == plain
    for key, value in {
        "stage": 3,
        "steps": [1, 2],
        "names": [],
        "budget": None,
        "spent": -1.0,
        "history": [[1]],
        "pace": {"end": 0},
        "split": ["2", 1, 1],
    }.items():
        with pytest.raises(UserError, match="of its stages cannot be read"):
            from_plain(plain | {key: value})
