"""The metrics of a task at fixed weights, by the trainer: on one process or shared out among several."""

from collections.abc import Iterable
from typing import Any

from lightning.pytorch import Trainer
from omegaconf import DictConfig

from graves_lm.data.base import Corpus
from graves_lm.learning.callbacks.progress import EvaluationProgress
from graves_lm.learning.data_module import share_of
from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.learning.trainer import make_trainer


def validate(task: SequenceTask, batches: Iterable[Any]) -> dict[str, float]:
    """Metrics over `batches`, in this process on the CPU."""
    trainer = Trainer(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False)
    return _figures(trainer, task, batches)


def validate_as(settings: DictConfig, task: SequenceTask, corpus: Corpus, split: str) -> dict[str, float]:
    """Metrics over a split of the corpus, by a trainer of these settings and all of its processes."""
    trainer = make_trainer(settings, callbacks=[EvaluationProgress()], logger=False)
    return _figures(trainer, task, corpus.evaluation_batches(split, share_of(trainer)))


def _figures(trainer: Trainer, task: SequenceTask, batches: Iterable[Any]) -> dict[str, float]:
    trainer.validate(task, dataloaders=batches, verbose=False)
    return task.figures
