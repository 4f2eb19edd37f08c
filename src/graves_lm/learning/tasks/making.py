"""A new task from the settings of a run."""

from typing import Any

from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

from graves_lm.data.base import Corpus
from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.runtime.errors import UserError


def task_class(model: DictConfig) -> type[SequenceTask]:
    """What `model=` names. Raises UserError where that is no task."""
    kind: Any = get_class(model._target_)
    if not issubclass(kind, SequenceTask):
        raise UserError(f"model._target_={model._target_}: not a task")
    return kind


def make_task(cfg: DictConfig, corpus: Corpus) -> SequenceTask:
    """A task that knows its corpus's facts, carrying its configuration for its checkpoints."""
    kind = task_class(cfg.model)
    sampler = OmegaConf.select(cfg.sampler, "_target_")
    if sampler is None or not issubclass(get_class(sampler), kind.sampler_kind):
        raise UserError(f"sampler: {sampler} does not draw for model={kind.task_name}; leave sampler= out")
    named: Any = OmegaConf.to_container(cfg.sampler)  # a ??? is a text here
    for key in ("prime", "prime_text"):
        if named.get(key) is not None:
            raise UserError(
                f"sampler.{key}: samples in training have a line of the data for it; leave it out"
            )
    facts = corpus.facts()
    make = instantiate(cfg.model, _partial_=True)
    try:
        task: SequenceTask = make(
            **{name: facts[name] for name in kind.takes}, optimization=instantiate(cfg.optimizer)
        )
    except ValueError as error:
        raise UserError(f"model: {error}") from error
    task.rows = corpus.batch_size
    parts = {name: cfg[name] for name in ("model", "data", "optimizer", "sampler")}
    task.config = OmegaConf.to_container(OmegaConf.create(parts), resolve=True)  # type: ignore[assignment]
    task.config["sampler"] = {k: v for k, v in task.config["sampler"].items() if v is not None}
    return task
