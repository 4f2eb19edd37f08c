"""What this package uses of Lightning and W&B that they keep to themselves, and nothing else does.

Each is here for want of a public way. `tests/learning/test_private.py` fails where a version of theirs drops
one or has it do something else; pyproject.toml takes no version that has not been tried with it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loops import _FitLoop

# --- Lightning: the loop of training --------------------------------------------------------------------


class ResumableFitLoop(_FitLoop):
    """Lightning's loop of training, which also begins where no step is left: the validation after the last
    one may have been cut short, and what follows it then comes all the same."""

    def __init__(self, trainer: Trainer):
        super().__init__(trainer, trainer.fit_loop.min_epochs, trainer.fit_loop.max_epochs)
        self.epoch_loop = trainer.fit_loop.epoch_loop

    @property
    def skip(self) -> bool:
        return self.trainer.limit_train_batches == 0

    def on_run_end(self) -> None:
        if self.epoch_loop._batches_that_stepped < self.epoch_loop.global_step:  # no step was left
            self.epoch_loop._batches_that_stepped = self.epoch_loop.global_step
            epochs: Any = self.epoch_progress.total
            if epochs.processed < epochs.started:
                self.epoch_progress.increment_processed()
                self.epoch_progress.increment_completed()
        super().on_run_end()


def validation_is_due(trainer: Trainer) -> bool:
    """Whether the trainer will validate after the step that it has just taken."""
    loop = trainer.fit_loop
    assert loop._data_fetcher is not None
    return loop.epoch_loop._should_check_val_fx(loop._data_fetcher)


def validate_now(trainer: Trainer) -> None:
    """Validate as the trainer does it after a step, which is in its epoch, even where the next one has been
    begun by now; of a resumed run's first step it only does the counting."""
    loop, connector = trainer.fit_loop.epoch_loop, trainer._logger_connector
    epochs: Any = trainer.fit_loop.epoch_progress.current
    first, done = connector._first_loop_iter, (epochs.processed, epochs.completed)
    epochs.processed = epochs.completed = epochs.ready - 1
    trainer.validating, loop.val_loop.restarting = True, False
    loop.val_loop.run()
    trainer.training, connector._first_loop_iter = True, first
    epochs.processed, epochs.completed = done


def figures_to_come(trainer: Trainer) -> tuple[dict[str, Any], int] | None:
    """The metrics of the step just taken, and its number, where the trainer will log them but has not yet."""
    connector = trainer._logger_connector
    figures = connector.metrics["log"]
    if not (connector.should_update_logs and figures):
        return None
    return figures, trainer.fit_loop.epoch_loop._batches_that_stepped


def log_step(trainer: Trainer) -> None:
    """Log the metrics of the step just taken, which the trainer would do next."""
    trainer._logger_connector.update_train_step_metrics()


def validate_at(trainer: Trainer, due: Callable[[], bool]) -> None:
    """Have the trainer validate after the optimiser steps at which `due` says so, and after no others."""
    loop = trainer.fit_loop.epoch_loop

    def check(_: Any) -> bool:
        return not loop._should_accumulate() and due()

    loop._should_check_val_fx = check  # type: ignore[assignment, method-assign]


def count_on(trainer: Trainer, steps: int) -> None:
    """Have a training that begins count its optimiser steps on from so many."""
    loop: Any = trainer.fit_loop.epoch_loop
    total = loop.automatic_optimization.optim_progress.optimizer.step.total
    total.ready = total.completed = loop._batches_that_stepped = steps


def end_at(trainer: Trainer, step: int) -> None:
    """Have a training end after this optimiser step, whatever it was to end at before."""
    trainer.fit_loop.epoch_loop.max_steps = step


def counts_of_steps(fit_loop: Mapping[str, Any]) -> tuple[int, int]:
    """Of the state of a loop of training: the optimiser's steps, and the batches that ended with one."""
    optimiser = fit_loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]
    return optimiser["step"]["total"]["completed"], fit_loop["epoch_loop.state_dict"]["_batches_that_stepped"]


# --- W&B ------------------------------------------------------------------------------------------------


class OpenWandbLogger(WandbLogger):
    """Lightning's W&B logger, with what it will begin its run with and whether it has."""

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of `wandb.init`, to be changed before the run begins."""
        return self._wandb_init

    @property
    def begun(self) -> Any:
        """The W&B run; None before it is first asked for."""
        return self._experiment


def publish(run: Any, artifact: Any, aliases: Iterable[str], used: bool) -> None:
    """Have an artifact uploaded as one that a W&B run makes or, with `used`, uses.

    The client's own `log_artifact` keeps it in the run's file offline only, so that a failing server would
    lose it; its `use_artifact` waits for the server, and refuses offline runs. So this is what the former
    does offline.
    """
    artifact.finalize()
    run._interface.publish_artifact(
        run, artifact, ["latest", *aliases], None, finalize=True, is_user_created=True, use_after_commit=used
    )
