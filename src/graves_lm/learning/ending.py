"""How a run ends: its final metrics, or an error, and in either case the end of what follows it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import WeightAveraging
from omegaconf import DictConfig

from graves_lm.learning.callbacks.checkpoints import Checkpoints
from graves_lm.learning.data_module import CorpusDataModule
from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.learning.tracking import finish_tracking
from graves_lm.runtime.errors import Interrupted
from graves_lm.runtime.files import write_json


@contextmanager
def orderly_end(run_dir: Path) -> Iterator[None]:
    """End the tracking of a run, whichever way it ends."""
    try:
        yield
    except BaseException as error:
        shown = interruption(error, run_dir)
        finish_tracking(shown)
        if shown is error:
            raise
        raise shown from error
    finish_tracking()


def interruption(error: BaseException, run_dir: Path) -> BaseException:
    """The error itself; Interrupted for what Lightning makes of a Ctrl-C outside of training."""
    if not isinstance(error, SystemExit) or not isinstance(error.__context__, KeyboardInterrupt):
        return error
    saved = (run_dir / "checkpoints" / "last.ckpt").is_file()
    return Interrupted(
        "interrupted; go on with resume=last" if saved else "interrupted before anything was saved"
    )


def final_figures(
    trainer: Trainer, task: SequenceTask, data: CorpusDataModule, owner: Checkpoints | None, monitor: str
) -> Mapping[str, float]:
    """Validate the last weights and, where they are better, the best ones, which the task then has.

    Training may end between two validations, so the last weights may be the best: they are then saved
    as such.
    """
    figures = trainer.validate(task, datamodule=data, verbose=False)[0]
    if owner:
        owner.save_best(trainer, figures[monitor])
        if owner.best_step != trainer.global_step and owner.load_best(trainer, figures[monitor]):
            # An average of weights would be validated in place of those that the task has now.
            kept: Any = trainer
            kept.callbacks = [c for c in kept.callbacks if not isinstance(c, WeightAveraging)]
            figures = trainer.validate(task, datamodule=data, verbose=False)[0]
    return figures


def write_metrics(
    cfg: DictConfig,
    trainer: Trainer,
    task: SequenceTask,
    figures: Mapping[str, float],
    owner: Checkpoints | None,
) -> float | None:
    """Write metrics.json and show the metrics; returns the monitored one."""
    path = Path(cfg.run_dir) / "metrics.json"
    if trainer.is_global_zero:
        record = {
            **figures,
            "steps": trainer.global_step,
            "weights": task.weights(),
            "seed": cfg.seed,
            "checkpoint": str(owner.best_path) if owner else None,
        }
        write_json(path, record)
        shown = "  ".join(f"{name} {figure:.4f}" for name, figure in figures.items())
        print(f"{shown}\nmetrics: {path}")
    return figures.get(cfg.monitor)
