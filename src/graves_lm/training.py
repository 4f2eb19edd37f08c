"""One training run, from its configuration to metrics.json in its run directory."""

import logging
import math
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig, OmegaConf

from graves_lm.callbacks.heartbeat import Heartbeat
from graves_lm.data.for_trainer import TrainerData
from graves_lm.data.opening import prepare
from graves_lm.ddp import place, started_by
from graves_lm.errors import UserError
from graves_lm.files import write_json
from graves_lm.memory import keep_large_blocks
from graves_lm.run_folder import FAILED, environment, locked
from graves_lm.tasks.base import CARD, SequenceTask
from graves_lm.tasks.loading import read_checkpoint
from graves_lm.tracking import begin_tracking, finish_tracking

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> float | None:
    """Train as `cfg` says; returns the monitored figure of the best weights.

    Raises UserError for anything a user can mend.
    """
    if not isinstance(cfg.seed, int):
        raise UserError(f"seed={cfg.seed}: a whole number is needed")
    first = place()[0] == 0
    with locked(Path(cfg.run_dir)) if first else nullcontext():
        if first:
            (Path(cfg.run_dir) / FAILED).unlink(missing_ok=True)  # of an earlier try
        try:
            figure = _run(cfg)
        except BaseException as error:
            finish_tracking(error)
            raise
        finish_tracking()
        return figure


def _run(cfg: DictConfig) -> float | None:
    keep_large_blocks()
    run_dir = Path(cfg.run_dir)
    seed_everything(cfg.seed, workers=True, verbose=False)
    data = prepare(cfg.data, get_class(cfg.model._target_))
    resume = resume_path(cfg.ckpt, run_dir)
    task = make_task(cfg, data)
    data.read_as(task.facts)
    weights = cfg.weights
    if resume and is_earlier_stage(resume, task):
        log.info(f"ckpt={resume}: trained with other weight noise; a new stage begins with its weights")
        resume, weights = None, resume
    if resume:
        check_resumable(resume, task)
    elif weights is not None:
        load_network(weights, task)
    callbacks = [instantiate(c) for c in (cfg.callbacks or {}).values() if c is not None]
    trainer = make_trainer(
        cfg.trainer,
        callbacks=[*callbacks, Heartbeat()] if cfg.trainer.num_nodes > 1 else callbacks,
        logger=[instantiate(one) for one in (cfg.logger or {}).values() if one is not None] or False,
        default_root_dir=str(run_dir),
    )
    if trainer.is_global_zero:
        OmegaConf.save(cfg, run_dir / "config.yaml", resolve=True)
        write_json(run_dir / "environment.json", environment(data))
    parameters = sum(w.numel() for w in task.network.parameters())
    log.info(f"{task.task_name}: {parameters:,} weights; run directory {run_dir}")
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    resumed = resume is not None and Path(resume).resolve().is_relative_to(run_dir.resolve())
    begin_tracking(trainer, task, data, settings, origin=resume or weights, resumed=resumed)
    module = TrainerData(data)
    trainer.fit(task, datamodule=module, ckpt_path=resume, weights_only=True)
    return final_figures(cfg, trainer, task, module, run_dir)


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


def resume_path(ckpt: str | None, run_dir: Path) -> str | None:
    """The checkpoint to go on from. `last` is the run directory's own, if it got that far."""
    if ckpt is None:
        return None
    if ckpt != "last":
        return str(ckpt)
    last = run_dir / "checkpoints" / "last.ckpt"
    if not last.is_file():
        log.info(f"ckpt=last: none in {last.parent} yet, starting from the beginning")
        return None
    return str(last)


def is_earlier_stage(path: str, task: SequenceTask) -> bool:
    """Whether a checkpoint is of the same model under other weight noise.

    The paper trains in stages: no noise, then noise, then adaptive noise.
    """
    theirs, own = (
        dict(config["model"])
        for config in (read_checkpoint(path, task.task_name)[CARD]["config"], task.config)
    )
    return theirs.pop("noise", None) != own.pop("noise", None) and theirs == own


def check_resumable(path: str, task: SequenceTask) -> None:
    """Raises UserError, before any work, for a checkpoint that is not one of this task and its data."""
    card = read_checkpoint(path, task.task_name)[CARD]
    for name, fact in task.card()["facts"].items():
        if card["facts"][name] != fact:
            raise UserError(f"ckpt={path}: its {name} is not that of the data; resume on the same data")
    if card["config"]["model"] != task.config["model"]:
        raise UserError(
            f"ckpt={path}: its model settings differ from this run's; resume with the same model settings"
        )


def load_network(path: str, task: SequenceTask) -> None:
    """Begin with the network weights of another run, as the paper retrains: no noise, noise, adaptive.

    Synthesis can also begin with stroke prediction's, whose network is its own without the window, and the
    other way round.
    Optimiser, schedule and noise widths begin anew. Raises UserError when the networks differ.
    """
    checkpoint = read_checkpoint(path)
    origin = checkpoint[CARD]["task"]
    if origin not in (task.task_name, *task.also_from):
        raise UserError(f"weights={path}: of model={origin}, and this run is of model={task.task_name}")
    for name, fact in task.card()["facts"].items():
        # Normalised offsets are of one size whatever the pen, so a network can go on with another's.
        if name != "normalisation" and checkpoint[CARD]["facts"].get(name, fact) != fact:
            raise UserError(f"weights={path}: its {name} is not that of the data; give the same data")
    prefix = "network."
    found = checkpoint["state_dict"]
    found = {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
    try:
        missing, _ = task.network.load_state_dict(found, strict=origin == task.task_name)
    except RuntimeError as error:
        raise UserError(
            f"weights={path}: the networks differ in shape; give the same model.network settings"
        ) from error
    if any(name.startswith("stack.") for name in missing):
        raise UserError(f"weights={path}: the networks differ; give the same model.network settings")


def final_figures(
    cfg: DictConfig, trainer: Trainer, task: SequenceTask, data: TrainerData, run_dir: Path
) -> float | None:
    """Validate the last weights and, where they are better, the best ones; write metrics.json.

    Training may end between two validations, so the last weights may be the best: they are then saved
    as such.
    """
    best = run_dir / "checkpoints" / "best.ckpt"
    figures = trainer.validate(task, datamodule=data, verbose=False)[0]
    keepers = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    scores = [c.best_model_score for c in keepers if c.monitor == cfg.monitor]
    earlier = [float(s) for s in scores if s is not None]
    # Decided once: the ranks must do the same.
    if trainer.strategy.broadcast(best.is_file() and min(earlier, default=math.inf) < figures[cfg.monitor]):
        task.load_state_dict(torch.load(best, map_location="cpu", weights_only=True)["state_dict"])
        figures = trainer.validate(task, datamodule=data, verbose=False)[0]
    else:
        trainer.save_checkpoint(best, weights_only=False)
    record = {
        **figures,
        "steps": trainer.global_step,
        "weights": sum(w.numel() for w in task.network.parameters()),
        "seed": cfg.seed,
        "checkpoint": str(best),
    }
    if trainer.is_global_zero:
        write_json(run_dir / "metrics.json", record)
        shown = "  ".join(f"{k} {v:.4f}" for k, v in figures.items())
        print(f"{shown}\nmetrics: {run_dir / 'metrics.json'}")
    return record.get(cfg.monitor)
