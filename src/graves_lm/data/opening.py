"""A corpus from its settings."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from graves_lm.data.base import Corpus
from graves_lm.runtime.errors import UserError
from graves_lm.settings.made import found, made


def prepare(data_cfg: DictConfig, task: Any = None) -> Any:
    """The corpus, its cache built and opened.

    Raises UserError, before any work, for data that a `task` of this class cannot take.
    """
    if "_target_" not in data_cfg:
        raise UserError("data=from_checkpoint needs a checkpoint, and here is none: name the data")
    settings: Any = OmegaConf.to_container(data_cfg, resolve=True)
    refuse_incomplete(settings["_target_"])
    data: Any = made(settings, "data")
    if task and (missing := [name for name in task.takes if name not in data.gives]):
        raise UserError(
            f"model={task.task_name} does not go with data={data.name}, which has no {missing[0]}: "
            "model=character takes text (stdlib, textfile, …), the others pen data (hershey, iam, ink)"
        )
    data.prepare()
    data.open()
    return data


def refuse_incomplete(name: str) -> None:
    """Raises UserError for a class that is no corpus, or lacks what each one has, and names that."""
    kind = found(name, "data")
    if not isinstance(kind, type) or not issubclass(kind, Corpus):
        raise UserError(
            f"data._target_={name}: not a corpus: a subclass of graves_lm.data.pen.PenCorpus, of "
            "graves_lm.data.text.corpus.TextCorpus or of their base is needed"
        )
    lacks = [f"{method}()" for method in sorted(kind.__abstractmethods__)]
    lacks += [part for part in ("gives", "content") if not hasattr(kind, part)]
    if lacks:
        raise UserError(f"data._target_={name}: it lacks {', '.join(lacks)}, which a corpus has")
