"""A training in stages: one run, in one folder, from nothing to exported weights.

Each stage begins with weights of the run so far, with a fresh optimiser and schedule, and with noise,
learning rate and batches of its own. Its length is a share of the whole budget. Steps are counted over the
whole run, so that curves, samples and checkpoints have one axis. `last.ckpt` is of the running stage,
`best.ckpt` of the best weights of all of them; both say which stages there are, and how far each has come.
"""

import gc
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from graves_lm.data.base import Corpus
from graves_lm.data.opening import prepare
from graves_lm.learning.beginning import (
    begin_with,
    note_new_characters,
    read_run,
    refuse_unfit_state,
    settle,
    take_facts,
)
from graves_lm.learning.budget import seconds_as_text, seconds_of
from graves_lm.learning.callbacks.averages import AverageOfWeights
from graves_lm.learning.callbacks.checkpoints import Checkpoints
from graves_lm.learning.callbacks.staging import Staging, Stopwatch
from graves_lm.learning.csv_logger import KeepingCSVLogger
from graves_lm.learning.data_module import CorpusDataModule, share_of
from graves_lm.learning.ending import final_figures, write_metrics
from graves_lm.learning.ledger import Ledger, new_ledger
from graves_lm.learning.private import count_on
from graves_lm.learning.refusals import refuse_late_settings
from graves_lm.learning.run_record import record_run
from graves_lm.learning.staged_files import draw_curve, export_run
from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.learning.tasks.making import make_task, task_class
from graves_lm.learning.tracking import begin_tracking
from graves_lm.learning.trainer import make_loggers, make_parts, make_trainer
from graves_lm.runtime.errors import UserError
from graves_lm.runtime.files import write_json
from graves_lm.runtime.memory import keep_large_blocks
from graves_lm.runtime.place import place
from graves_lm.runtime.run_folder import is_in
from graves_lm.settings.stages import of_stage, stages_of
from graves_lm.settings.stored import without_places
from graves_lm.trained.checkpoint import read_checkpoint
from graves_lm.trained.format import METADATA
from graves_lm.trained.stages import from_plain

log = logging.getLogger(__name__)

TRIAL = 30.0
"""Seconds of steps at most from which the machine's rate is learned."""
TRIAL_SHARE = 0.04
"""Of the time, at most, for the same."""


class Assembled(NamedTuple):
    """A stage that is ready to begin, or has ended; `step` is the one that it goes on from."""

    trainer: Trainer
    task: SequenceTask
    corpus: Corpus
    owner: Checkpoints | None
    step: int

    @property
    def data(self) -> CorpusDataModule:
        return CorpusDataModule(self.corpus)


def run_stages(cfg: DictConfig) -> float | None:
    """Train in the stages of `cfg.stages`; the monitored figure of the best weights.

    Raises UserError for anything a user can mend.
    """
    resume = settle(cfg)
    keep_large_blocks()
    staged = Staged(cfg, resume)
    ledger = staged.ledger = staged.resumed(resume) if resume else staged.begun()
    parts, first = None, ledger.record.stage
    for stage in range(first, len(staged.stages)):
        parts = staged.train(stage, resume if stage == first else None)
        while parts is None:  # a GPU's memory was not enough
            staged.halve(stage)
            parts = staged.train(stage, None)
        staged.draw()
    assert parts is not None
    figures = final_figures(parts.trainer, parts.task, parts.data, parts.owner, cfg.monitor)
    figure = write_metrics(cfg, parts.trainer, parts.task, figures, parts.owner)
    if parts.trainer.is_global_zero:
        staged.draw()
        assert parts.owner is not None
        export_run(cfg, parts.owner.best_path, parts.corpus, parts.task)
        write_json(staged.run_dir / "stages.json", ledger.plain())
        log.info(f"{len(staged.stages)} stages in {seconds_as_text(ledger.spent())}")
    return figure


class Staged:
    """A training in stages: its settings, and what is to be done at each stage's beginning and end.

    Attributes:
        settings: of the whole run, in plain containers.
        stages: the settings of each stage by its name.
        ledger: what is done and planned.
        taken: what of the data is given as the weights know it that it begins with, a line each.
    """

    ledger: Ledger
    taken: Sequence[str] = ()

    def __init__(self, cfg: DictConfig, resume: str | None = None):
        self.cfg, self.resume = cfg, resume
        self.run_dir = Path(cfg.run_dir)
        settings: Any = OmegaConf.to_container(cfg, resolve=True)
        self.settings: dict[str, Any] = settings
        self.stages: dict[str, dict[str, Any]] = stages_of(self.settings)
        self.loggers = make_loggers(cfg)
        self.recorded = False
        time = cfg.trainer.max_time  # which comes before a number of steps
        self.seconds = seconds_of(time) if time is not None else None
        self.budget: int | None = cfg.budget if time is None else None
        if cfg.callbacks.get("checkpoints") is None:
            raise UserError(
                "callbacks.checkpoints=null: stages begin with weights of those before, and need it"
            )
        if self.seconds is not None and place()[1] > 1:
            raise UserError(
                "trainer.max_time: a training in stages on several devices is planned in steps: budget=STEPS"
            )

    # --- settings ---------------------------------------------------------------------------------

    def configuration(self, stage: int, warmup: int | None = None) -> DictConfig:
        """The configuration of a stage, as a run by itself would have it."""
        own = of_stage(self.settings, self.stages, stage)
        split = self.ledger.record.split[stage] if hasattr(self, "ledger") else 1
        own["data"]["batch_size"] = -(-own["data"]["batch_size"] // split)
        own["logger"] = None  # which are the whole run's
        own["trainer"] |= {
            "max_time": None,
            "max_epochs": -1,
            "max_steps": -1,
            "val_check_interval": 1.0,
            "check_val_every_n_epoch": 1,
            "accumulate_grad_batches": own["trainer"]["accumulate_grad_batches"] * split,
        }
        if (own["callbacks"] or {}).get("progress") is None:
            own["trainer"]["enable_progress_bar"] = False  # Lightning's own, in place of lines in the log
        if warmup is not None:
            own["optimizer"]["warmup_steps"] = warmup
        made = OmegaConf.create(own)
        assert isinstance(made, DictConfig)
        return made

    def kept_settings(self) -> list[dict[str, Any]]:
        """Each stage's settings as checkpoints have them."""
        kept = []
        for number, own in enumerate(self.stages.values()):
            whole = of_stage(self.settings, self.stages, number)
            parts = without_places({"optimizer": whole["optimizer"], "data": whole["data"]})
            plain = {key: own[key] for key in ("share", "begins", "validations", "average", "keep")}
            kept.append({**plain, "noise": whole["model"]["noise"], "seed": whole["seed"], **parts})
        return kept

    # --- the ledger -------------------------------------------------------------------------------

    def begun(self) -> Ledger:
        """The ledger of a new run; in a budget of time after a trial of what this machine does."""
        ledger = self.ledger = new_ledger(self.stages, self.kept_settings(), self.budget, self.seconds)
        while self.seconds is not None and not self.try_out():
            self.halve(0)
        return ledger

    def resumed(self, resume: str) -> Ledger:
        """The ledger of a run that goes on. Raises UserError for one of other stages."""
        told = read_checkpoint(resume, setting="resume")[METADATA].get("stages")
        if told is None:
            raise UserError(
                f"resume={resume}: not of a training in stages: give its own experiment, or init={resume}"
            )
        found = from_plain(told)
        if found.names != list(self.stages):
            raise UserError(
                f"resume={resume}: a training in other stages ({', '.join(found.names)}): resume with its "
                f"experiment, or init={resume} begins a new run"
            )
        for name, theirs, own in zip(found.names, found.settings, self.kept_settings(), strict=True):
            if odd := [key for key in own if theirs.get(key) != own[key]]:
                raise UserError(
                    f"resume={resume}: its stage {name} has another {odd[0]} than this run: resume with the "
                    f"same, or init={resume} begins a new run"
                )
        if found.budget != self.budget or (found.seconds is None) != (self.seconds is None):
            was = f"budget={found.budget}" if found.budget is not None else "trainer.max_time"
            raise UserError(f"resume={resume}: planned with {was}: resume with it")
        ledger = Ledger(found, list(self.stages.values()))
        if self.seconds is not None:
            ledger.another_time(self.seconds)
        return ledger

    def plan(self, stage: int) -> None:
        """Fit a stage, and those after it, to what is left of the budget."""
        self.ledger.begin(stage, of_stage(self.settings, self.stages, stage)["optimizer"]["warmup_steps"])

    # --- a stage ----------------------------------------------------------------------------------

    def assemble(
        self,
        cfg: DictConfig,
        resume: str | None,
        first: Callback,
        horizon: float = 0.0,
        keep: float = 0.0,
        loggers: bool = True,
    ) -> Assembled:
        """What a stage with these settings is made of, and whether the checkpoint to go on from fits it.

        `first` is called before the callbacks of the settings; `horizon`: see `AverageOfWeights`, `keep`: how
        much of the weights that the run began with is in the average. Raises UserError for anything a user
        can mend.
        """
        seed_everything(cfg.seed, workers=True, verbose=False)
        corpus = prepare(cfg.data, task_class(cfg.model))
        self.taken = take_facts(self.cfg, self.resume, corpus)
        task = make_task(cfg, corpus)
        if place()[0] == 0:
            task.fingerprint = corpus.fingerprint()
        corpus.read_as(task.facts)
        if self.cfg.init:
            note_new_characters(self.cfg.init, task)
        saved = read_run(resume, task, corpus, self.run_dir, staged=True) if resume else None
        parts = make_parts(cfg)
        trainer = make_trainer(
            cfg.trainer,
            callbacks=[first, *parts.callbacks],
            logger=(self.loggers if loggers else []) or False,
            default_root_dir=str(self.run_dir),
            enable_checkpointing=parts.checkpoints is not None,
        )
        if horizon:  # on the device, which the trainer knows
            origin: list[Tensor] = []
            if keep:
                begin_with(self.cfg.init, task)
                origin = [weight.detach().clone() for weight in task.parameters()]
            average = AverageOfWeights(horizon, trainer.strategy.root_device, origin, keep)
            trainer.callbacks.insert(1, average)  # type: ignore[attr-defined]
        refuse_late_settings(cfg, task, len(corpus.training_batches(share_of(trainer))))
        step = refuse_unfit_state(saved, resume, task, trainer) if saved and resume else 0
        return Assembled(trainer, task, corpus, parts.checkpoints, step)

    def record(self, parts: Assembled, resume: str | None) -> None:
        """Leave in the run's folder what it depends on, and tell the loggers that it begins."""
        trainer, task, corpus, _, step = parts
        if trainer.is_global_zero:
            record_run(self.cfg, corpus, task.fingerprint)
        for line in self.taken:
            log.info(line)
        log.info(f"{task.task_name}: {task.weights():,} weights; run directory {self.run_dir}")
        begin_tracking(
            trainer,
            task,
            corpus,
            self.settings,
            origin=resume or self.cfg.init,
            resumed=resume is not None and is_in(resume, self.run_dir),
            step=step,
        )
        self.recorded = True

    def train(self, stage: int, resume: str | None) -> Assembled | None:
        """Train a stage to its end, from a checkpoint of its own or from its beginning; None where the memory
        of a GPU was not enough for its batches."""
        ledger = self.ledger
        if resume is None:
            self.plan(stage)
        pace, keep = ledger.record.pace, self.stage(stage)["keep"] or 0.0
        staging = Staging(ledger, self.cfg.monitor)
        parts = self.assemble(self.configuration(stage, pace.warmup), resume, staging, pace.horizon, keep)
        if resume is None:
            self.begin(stage, parts)
        parts.task.stages = ledger.plain
        parts.task.progress = lambda step: ledger.record.pace.share(step)
        staging.attach(parts.trainer)
        if not self.recorded:
            self.record(parts, resume)
        log.info(ledger.describe())
        try:
            parts.trainer.fit(parts.task, datamodule=parts.data, ckpt_path=resume, weights_only=True)
        except torch.OutOfMemoryError:
            if place()[1] > 1:
                raise
            return None
        return parts

    def begin(self, stage: int, parts: Assembled) -> None:
        """The first step of a stage: weights of the run so far, and steps that count on."""
        if stage == 0:
            if self.cfg.init:
                begin_with(self.cfg.init, parts.task)
            return
        assert parts.owner is not None
        best = parts.owner.best_path
        wanted = best if self.stage(stage)["begins"] == "best" and best.is_file() else parts.owner.last_path
        begin_with(str(wanted), parts.task)
        count_on(parts.trainer, self.ledger.record.begun)

    def stage(self, number: int) -> dict[str, Any]:
        return list(self.stages.values())[number]

    def halve(self, stage: int) -> None:
        """Compute each batch in twice as many parts from this stage on, which begins anew."""
        record = self.ledger.record
        split, where = record.split[stage] * 2, f"stages.{record.names[stage]}.data.batch_size"
        whole = of_stage(self.settings, self.stages, stage)["data"]["batch_size"]
        if split > whole:
            raise UserError(
                f"{where}={whole}: this GPU has too little memory even for one at a time; give "
                "model.recompute=100, or a smaller network"
            )
        record.split[stage:] = [split] * (len(self.stages) - stage)
        record.history = [one for one in record.history if one[0] <= record.begun]
        for logger in self.loggers:
            if isinstance(logger, KeepingCSVLogger):
                logger.begin(record.begun)
        gc.collect()
        torch.cuda.empty_cache()
        log.warning(
            f"{where}={whole}: this GPU has too little memory for it; from here on the gradients of {split} "
            f"batches of {-(-whole // split)} make a step, so optimizer.lr stays; the stage begins anew"
        )

    # --- the machine ------------------------------------------------------------------------------

    def try_out(self) -> bool:
        """Learn how many steps a second this machine takes, and how long a validation, from a network that is
        then thrown away; whether a GPU's memory was enough for its batches."""
        assert self.seconds is not None
        record = self.ledger.record
        cfg = self.configuration(0)
        cfg.callbacks = {}
        cfg.trainer.limit_val_batches = 0
        watch = Stopwatch(min(TRIAL, TRIAL_SHARE * self.seconds))
        parts = self.assemble(cfg, None, watch, loggers=False)
        parts.task.progress = lambda step: 0.0
        try:
            parts.trainer.fit(parts.task, datamodule=parts.data)
        except torch.OutOfMemoryError:
            return False
        record.rate = watch.rate
        cfg.trainer.limit_val_batches = self.cfg.trainer.limit_val_batches
        judge = make_trainer(cfg.trainer, logger=False, enable_checkpointing=False)
        before = self.ledger.spent()
        judge.validate(parts.task, datamodule=parts.data, verbose=False)
        record.validation = self.ledger.spent() - before
        log.info(
            f"this machine: {record.rate:.2f} steps a second, {record.validation:.1f} s a validation; "
            f"{seconds_as_text(self.seconds - self.ledger.spent())} left"
        )
        return True

    def draw(self) -> None:
        """The curve of validations so far."""
        if place()[0] == 0:
            draw_curve(self.run_dir, self.cfg.name, self.cfg.monitor, self.ledger.record)
