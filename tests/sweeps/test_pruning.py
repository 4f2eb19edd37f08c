"""Pruning: what is reported to the study, and how a hopeless run ends."""

import json

import pytest
from lightning.pytorch.trainer.states import TrainerFn

pytest.importorskip("optuna", reason="the extra 'sweep' is not installed")

from optuna.pruners import MedianPruner, NopPruner
from optuna.trial import TrialState

from graves_lm.learning.callbacks.pruning import PruneTrial
from graves_lm.sweeps.pruning import StudiedTrial
from graves_lm.sweeps.runs import PRUNED
from tests.runs import train, write_text
from tests.sweeps.test_study import study


class Trainer:
    """What the callback asks of one."""

    is_global_zero, sanity_checking, should_stop, global_step = True, False, False, 7

    def __init__(self, monitor="val/bpc"):
        self.state = self
        self.strategy = self
        self.fn = TrainerFn.FITTING
        self.monitor, self.callback_metrics = monitor, {}

    def broadcast(self, value):
        return value


def pruning(run_dir, pruner):
    return PruneTrial(run_dir, "val/bpc", StudiedTrial(run_dir, pruner))


def validate(callback, trainer, figures):
    """Report figures until the run is stopped; how many it took."""
    callback.on_fit_start(trainer, None)
    for number, figure in enumerate(figures, start=1):
        trainer.callback_metrics[trainer.monitor] = figure
        callback.on_validation_end(trainer, None)
        if trainer.should_stop:
            return number
    return len(figures)


def begin(folder, earlier=((9.0, 5.0, 2.0), (9.0, 6.0, 3.0))):
    """A study with finished trials, and one under way; the folder of its run."""
    it = study(folder)
    for figures in earlier:
        (trial,) = it.reserve(1, 99)
        run_dir = folder / str(trial.number)
        run_dir.mkdir()
        validate(pruning(run_dir, NopPruner()), Trainer(), figures)
        it.tell(trial.number, TrialState.COMPLETE, figures[-1])
    (trial,) = it.reserve(1, 99)
    run_dir = folder / str(trial.number)
    run_dir.mkdir()
    return it, run_dir


PRUNER = MedianPruner(n_startup_trials=2, n_warmup_steps=2)


def test_a_run_worse_than_the_median_is_stopped(tmp_path):
    it, run_dir = begin(tmp_path)
    assert validate(pruning(run_dir, PRUNER), Trainer(), [50.0, 7.0, 1.0]) == 2
    assert (run_dir / PRUNED).read_text() == "given up at step 7, validation 2, with val/bpc 7.0000\n"
    assert it.trials()[2].intermediate_values == {1: 50.0, 2: 7.0}
    it.tell(2, TrialState.PRUNED)
    assert it.trials()[2].value == 7.0


def test_a_run_better_than_the_median_goes_on(tmp_path):
    _, run_dir = begin(tmp_path)
    assert validate(pruning(run_dir, PRUNER), Trainer(), [50.0, 5.2, 1.0]) == 3
    assert not (run_dir / PRUNED).exists()


def test_a_resumed_run_counts_on(tmp_path):
    it, run_dir = begin(tmp_path)
    first = pruning(run_dir, NopPruner())
    validate(first, Trainer(), [9.0])
    second = pruning(run_dir, PRUNER)
    second.load_state_dict(first.state_dict())
    assert validate(second, Trainer(), [7.0, 1.0]) == 1
    assert it.trials()[2].intermediate_values == {1: 9.0, 2: 7.0}


def test_validations_outside_training_are_not_reported(tmp_path):
    it, run_dir = begin(tmp_path)
    trainer = Trainer()
    trainer.fn = TrainerFn.VALIDATING
    validate(pruning(run_dir, PRUNER), trainer, [50.0, 50.0, 50.0])
    trainer.fn, trainer.sanity_checking = TrainerFn.FITTING, True
    validate(pruning(run_dir, PRUNER), trainer, [50.0, 50.0, 50.0])
    assert it.trials()[2].intermediate_values == {}


@pytest.mark.parametrize("case", ["no study", "finished", "no number"])
def test_a_run_that_is_no_trial_under_way_is_left_alone(tmp_path, case):
    """A trial's configuration, run again by hand, is an ordinary run."""
    it, run_dir = begin(tmp_path / "study")
    if case == "no study":
        run_dir = tmp_path / "elsewhere" / "2"
    elif case == "finished":
        it.tell(2, TrialState.COMPLETE, 1.0)
    else:
        run_dir = run_dir.parent / "again"
    assert validate(pruning(run_dir, PRUNER), Trainer(), [50.0, 50.0]) == 2
    assert it.trials()[2].intermediate_values == {}


def test_a_pruned_run_ends_like_any_other(tmp_path):
    """Trained for real: it stops at the validation, with its figures and its checkpoint."""
    source = write_text(tmp_path)
    it, run_dir = begin(tmp_path / "study", earlier=((0.1, 0.1), (0.1, 0.1)))
    pruner = ["sweep=study", "callbacks.prune.trial.pruner.n_startup_trials=2"]
    record = train(run_dir, source, *pruner, "trainer.max_steps=6", "trainer.val_check_interval=2")
    assert record["steps"] == 2
    assert (run_dir / PRUNED).read_text().startswith("given up at step 2, validation 1, with val/bpc ")
    assert it.trials()[2].intermediate_values[1] == pytest.approx(record["val/bpc"], rel=1e-5)
    assert json.loads((run_dir / "metrics.json").read_text())["checkpoint"].endswith("best.ckpt")
