"""One training run, from its configuration to metrics.json in its folder."""

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lightning.pytorch import seed_everything
from omegaconf import DictConfig, OmegaConf

from graves_lm.data.opening import prepare
from graves_lm.learning.beginning import (
    begin_with,
    note_new_characters,
    read_run,
    refuse_unfit_state,
    settle,
    take_facts,
)
from graves_lm.learning.data_module import CorpusDataModule, share_of
from graves_lm.learning.ending import final_figures, orderly_end, write_metrics
from graves_lm.learning.refusals import refuse_late_settings
from graves_lm.learning.run_record import log_kept, record_run
from graves_lm.learning.staged import run_stages
from graves_lm.learning.tasks.making import make_task, task_class
from graves_lm.learning.tracking import begin_tracking
from graves_lm.learning.trainer import make_parts, make_trainer
from graves_lm.runtime.memory import keep_large_blocks
from graves_lm.runtime.place import place
from graves_lm.runtime.run_folder import is_in, locked, refuse_to_replace

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> float | None:
    """Train as `cfg` says, in a folder that is the run's alone; returns the monitored metric of the best
    weights.

    Raises UserError for anything a user can mend.
    """
    run_dir = Path(cfg.run_dir)
    with ExitStack() as until_the_end:
        if place()[0] == 0:
            until_the_end.enter_context(locked(run_dir))
            refuse_to_replace(run_dir, cfg.resume)
            until_the_end.enter_context(log_kept(run_dir))
        until_the_end.enter_context(orderly_end(run_dir))
        return train(cfg) if cfg.stages is None else run_stages(cfg)


def train(cfg: DictConfig) -> float | None:
    """The run itself, on each of its processes."""
    run_dir, resume = Path(cfg.run_dir), settle(cfg)
    keep_large_blocks()
    seed_everything(cfg.seed, workers=True, verbose=False)

    # What is learned from, and what learns: a network with its loss, its metrics and its noise.
    corpus = prepare(cfg.data, task_class(cfg.model))
    for line in take_facts(cfg, resume, corpus):
        log.info(line)
    task = make_task(cfg, corpus)
    if place()[0] == 0:
        task.fingerprint = corpus.fingerprint()
    corpus.read_as(task.facts)

    # The weights: new ones, another network's, or those of the very run.
    saved = read_run(resume, task, corpus, run_dir) if resume else None
    if cfg.init:
        note_new_characters(cfg.init, task)
    if cfg.init and not resume:
        begin_with(cfg.init, task)

    # What trains, and what looks on: checkpoints, metrics, samples, loggers.
    parts = make_parts(cfg)
    trainer = make_trainer(
        cfg.trainer,
        callbacks=parts.callbacks,
        logger=parts.loggers or False,
        default_root_dir=str(run_dir),
        enable_checkpointing=parts.checkpoints is not None,
    )
    refuse_late_settings(cfg, task, len(corpus.training_batches(share_of(trainer))))
    step = refuse_unfit_state(saved, resume, task, trainer) if saved and resume else 0
    del saved  # its size in memory; the trainer reads it anew

    if trainer.is_global_zero:
        record_run(cfg, corpus, task.fingerprint)
    log.info(f"{task.task_name}: {task.weights():,} weights; run directory {run_dir}")
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    resumed = resume is not None and is_in(resume, run_dir)
    begin_tracking(trainer, task, corpus, settings, origin=resume or cfg.init, resumed=resumed, step=step)

    data = CorpusDataModule(corpus)
    trainer.fit(task, datamodule=data, ckpt_path=resume, weights_only=True)
    figures = final_figures(trainer, task, data, parts.checkpoints, cfg.monitor)
    return write_metrics(cfg, trainer, task, figures, parts.checkpoints)
