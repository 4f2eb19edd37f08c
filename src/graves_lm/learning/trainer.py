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
    callbacks = [instantiate(one) for one in (cfg.callbacks or {}).values() if one is not None]
    loggers = [instantiate(one) for one in (cfg.logger or {}).values() if one is not None]
    for part, of in [*((c, Callback) for c in callbacks), *((one, Logger) for one in loggers)]:
        if not isinstance(part, of):
            raise UserError(f"a {type(part).__name__} among the callbacks and loggers is no {of.__name__}")
    checkpoints = next((c for c in callbacks if isinstance(c, Checkpoints)), None)
    signs = [Heartbeat()] if cfg.trainer.num_nodes > 1 else []
    return Parts([*callbacks, *signs], loggers, checkpoints)


def make_trainer(trainer: DictConfig, **parts: Any) -> Trainer:
    """Lightning's trainer by the settings `trainer`, with callbacks, loggers and the like.

    Raises UserError for settings that contradict each other or how the processes were started.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The tasks' metrics are reduced before they are logged.
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")
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
