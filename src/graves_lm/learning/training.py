"""One training run, from its configuration to metrics.json in its run directory."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.loggers import Logger
from lightning.pytorch.loops import _FitLoop
from omegaconf import DictConfig, OmegaConf

from graves_lm.data.opening import prepare
from graves_lm.learning.beginning import begin_with, read_run, settle
from graves_lm.learning.callbacks.checkpoint_file import callback_states
from graves_lm.learning.callbacks.checkpoints import Checkpoints
from graves_lm.learning.callbacks.heartbeat import Heartbeat
from graves_lm.learning.run_record import environment, log_kept, record_settings
from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.learning.tracking import begin_tracking, finish_tracking
from graves_lm.learning.trainer_data import TrainerData
from graves_lm.runtime.errors import Interrupted, UserError, near_misses
from graves_lm.runtime.files import write, write_json
from graves_lm.runtime.memory import keep_large_blocks
from graves_lm.runtime.place import place, started_by
from graves_lm.runtime.run_folder import FAILED, is_in, locked, refuse_to_replace

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> float | None:
    """Train as `cfg` says; returns the monitored figure of the best weights.

    Raises UserError for anything a user can mend.
    """
    first, run_dir = place()[0] == 0, Path(cfg.run_dir)
    with ExitStack() as until_the_end:
        if first:
            until_the_end.enter_context(locked(run_dir))
            refuse_to_replace(run_dir, cfg.resume)
            until_the_end.enter_context(log_kept(run_dir))
        try:
            figure = _run(cfg)
        except BaseException as error:
            shown = interruption(error, run_dir)
            finish_tracking(shown)
            if shown is error:
                raise
            raise shown from error
        finish_tracking()
        return figure


def interruption(error: BaseException, run_dir: Path) -> BaseException:
    """The error itself; Interrupted for what Lightning makes of a Ctrl-C outside of training."""
    if not isinstance(error, SystemExit) or not isinstance(error.__context__, KeyboardInterrupt):
        return error
    saved = (run_dir / "checkpoints" / "last.ckpt").is_file()
    return Interrupted(
        "interrupted; go on with resume=last" if saved else "interrupted before anything was saved"
    )


def _run(cfg: DictConfig) -> float | None:
    resume = settle(cfg)
    keep_large_blocks()
    run_dir = Path(cfg.run_dir)
    seed_everything(cfg.seed, workers=True, verbose=False)
    kind: Any = get_class(cfg.model._target_)
    if not issubclass(kind, SequenceTask):
        raise UserError(f"model._target_={cfg.model._target_}: not a task")
    data = prepare(cfg.data, kind)
    task = make_task(cfg, data)
    if place()[0] == 0:
        task.fingerprint = data.fingerprint()
    data.read_as(task.facts)
    checkpoint = read_run(resume, task, run_dir) if resume else {}
    if cfg.init:
        begin_with(cfg.init, task)
    callbacks = [instantiate(c) for c in (cfg.callbacks or {}).values() if c is not None]
    loggers = [instantiate(one) for one in (cfg.logger or {}).values() if one is not None]
    for part, of in [*((c, Callback) for c in callbacks), *((one, Logger) for one in loggers)]:
        if not isinstance(part, of):
            raise UserError(f"a {type(part).__name__} among the callbacks and loggers is no {of.__name__}")
    owner = next((c for c in callbacks if isinstance(c, Checkpoints)), None)
    trainer = make_trainer(
        cfg.trainer,
        callbacks=[*callbacks, Heartbeat()] if cfg.trainer.num_nodes > 1 else callbacks,
        logger=loggers or False,
        default_root_dir=str(run_dir),
        enable_checkpointing=owner is not None,
    )
    trainer.fit_loop = Training(trainer)
    data.trainer = trainer  # says which part of the data is this process's
    refuse_late_settings(cfg, task, data)
    begun = 0
    if resume:
        checkpoint["callbacks"] = callback_states(checkpoint)
        with naming(f"resume={resume}"):
            task.refuse_unfit(checkpoint, trainer)
        begun = checkpoint["global_step"]
    del checkpoint
    if trainer.is_global_zero:
        assert task.fingerprint is not None
        (run_dir / FAILED).unlink(missing_ok=True)  # of an earlier try
        record_settings(run_dir)
        write(run_dir / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
        write_json(run_dir / "environment.json", environment(data, task.fingerprint))
    parameters = sum(w.numel() for w in task.network.parameters())
    log.info(f"{task.task_name}: {parameters:,} weights; run directory {run_dir}")
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    resumed = resume is not None and is_in(resume, run_dir)
    begin_tracking(trainer, task, data, settings, origin=resume or cfg.init, resumed=resumed, step=begun)
    module = TrainerData(data)
    trainer.fit(task, datamodule=module, ckpt_path=resume, weights_only=True)
    return final_figures(cfg, trainer, task, module, owner)


def refuse_late_settings(cfg: DictConfig, task: SequenceTask, data: Any) -> None:
    """Raises UserError, before any work, for settings that the trainer would refuse after some: a monitor
    that no validation logs, and validations that never come."""
    known = [f"val/{figure}" for figure in task.figure_names]
    parts = {f"callbacks.{name}.": part for name, part in (cfg.callbacks or {}).items() if part is not None}
    for where, monitor in {"": cfg.monitor, **{k: part.get("monitor") for k, part in parts.items()}}.items():
        if monitor is not None and monitor not in known:
            near = near_misses(str(monitor), known)
            raise UserError(f"{where}monitor={monitor}: no figure of a validation; {near}")
    if cfg.trainer.get("fast_dev_run"):
        raise UserError("trainer.fast_dev_run takes a batch for a whole validation: use trainer=debug")
    batches, every = len(data.train_dataloader()), cfg.trainer.val_check_interval
    most = cfg.trainer.get("limit_train_batches") or 1.0
    batches = min(batches, most) if isinstance(most, int) else int(batches * most)
    if batches < 1:
        raise UserError(f"trainer.limit_train_batches={most}: no batch is left of an epoch")
    if isinstance(every, int) and every > batches and cfg.trainer.check_val_every_n_epoch is not None:
        raise UserError(
            f"trainer.val_check_interval={every}: an epoch has {batches} batches; give at most so many, or "
            "trainer.check_val_every_n_epoch=null to count on over epochs"
        )


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Let what is refused inside say where it is."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: refused: {error}") from error


class Training(_FitLoop):
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


def make_trainer(trainer: DictConfig, **parts: Any) -> Trainer:
    """Lightning's trainer by the settings `trainer`, with callbacks, loggers and the like.

    Raises UserError for settings that contradict each other or how the processes were started.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The tasks' figures are reduced before they are logged.
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
    return made


def make_task(cfg: DictConfig, data: Any) -> SequenceTask:
    """A new task that knows its data's facts, carrying its configuration for its checkpoints."""
    kind: Any = get_class(cfg.model._target_)
    sampler = OmegaConf.select(cfg.sampler, "_target_")
    if sampler is None or not issubclass(get_class(sampler), kind.sampler_kind):
        raise UserError(f"sampler: {sampler} does not draw for model={kind.task_name}; leave sampler= out")
    facts = data.facts()
    make = instantiate(cfg.model, _partial_=True)
    try:
        task: SequenceTask = make(
            **{name: facts[name] for name in kind.takes}, optimization=instantiate(cfg.optimizer)
        )
    except ValueError as error:
        raise UserError(f"model: {error}") from error
    parts = {name: cfg[name] for name in ("model", "data", "optimizer", "sampler")}
    task.config = OmegaConf.to_container(OmegaConf.create(parts), resolve=True)  # type: ignore[assignment]
    task.config["sampler"] = {k: v for k, v in task.config["sampler"].items() if v is not None}
    return task


def final_figures(
    cfg: DictConfig, trainer: Trainer, task: SequenceTask, data: TrainerData, owner: Checkpoints | None
) -> float | None:
    """Validate the last weights and, where they are better, the best ones; write metrics.json.

    Training may end between two validations, so the last weights may be the best: they are then saved
    as such.
    """
    run_dir = Path(cfg.run_dir)
    figures = trainer.validate(task, datamodule=data, verbose=False)[0]
    if owner:
        owner.save_best(trainer, figures[cfg.monitor])
        if owner.best_step != trainer.global_step and owner.load_best(trainer, figures[cfg.monitor]):
            figures = trainer.validate(task, datamodule=data, verbose=False)[0]
    record = {
        **figures,
        "steps": trainer.global_step,
        "weights": sum(w.numel() for w in task.network.parameters()),
        "seed": cfg.seed,
        "checkpoint": str(owner.best_path) if owner else None,
    }
    if trainer.is_global_zero:
        write_json(run_dir / "metrics.json", record)
        shown = "  ".join(f"{k} {v:.4f}" for k, v in figures.items())
        print(f"{shown}\nmetrics: {run_dir / 'metrics.json'}")
    return record.get(cfg.monitor)
