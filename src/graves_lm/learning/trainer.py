"""Lightning's trainer by its settings, and what looks on while it trains."""

import logging
import warnings
from typing import Any, NamedTuple

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from graves_lm.learning.callbacks.checkpoints import Checkpoints
from graves_lm.learning.callbacks.heartbeat import Heartbeat
from graves_lm.learning.private import ResumableFitLoop
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.place import started_by


class Parts(NamedTuple):
    """What is told of a run's steps and validations; `checkpoints` is the callback that keeps the run's."""

    callbacks: list[Callback]
    loggers: list[Logger]
    checkpoints: Checkpoints | None


def make_parts(cfg: DictConfig) -> Parts:
    """The callbacks and loggers of a run, and, of one on several hosts, signs of life."""
    callbacks = _made(cfg.callbacks, Callback)
    checkpoints = next((c for c in callbacks if isinstance(c, Checkpoints)), None)
    signs = [Heartbeat()] if cfg.trainer.num_nodes > 1 else []
    return Parts([*callbacks, *signs], make_loggers(cfg), checkpoints)


def make_loggers(cfg: DictConfig) -> list[Logger]:
    """The loggers of a run."""
    return _made(cfg.logger, Logger)


def _made(group: DictConfig | None, kind: Any) -> list[Any]:
    parts = [instantiate(one) for one in (group or {}).values() if one is not None]
    for part in parts:
        if not isinstance(part, kind):
            raise UserError(f"a {type(part).__name__} among the callbacks and loggers is no {kind.__name__}")
    return parts


def make_trainer(trainer: DictConfig, **parts: Any) -> Trainer:
    """Lightning's trainer by the settings `trainer`, with callbacks, loggers and the like.

    Raises UserError for settings that contradict each other or how the processes were started.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The tasks' metrics are reduced before they are logged.
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")  # Lightning's own
    # Where SLURM is installed but not used, one or several processes are started without it.
    warnings.filterwarnings("ignore", message="The `srun` command is available")
    plugins = [instantiate(plugin) for plugin in trainer.plugins]
    if started_by() != "torchrun" and SLURMEnvironment.detect():
        # SIGTERM already saves and ends; Lightning's own requeueing would save between two batches.
        plugins.append(SLURMEnvironment(auto_requeue=False))
    try:
        made: Trainer = instantiate(trainer, plugins=plugins, **parts)
    except InstantiationException as error:
        raise UserError("trainer: " + str(error.__cause__ or error)) from error
    made.fit_loop = ResumableFitLoop(made)
    return made
