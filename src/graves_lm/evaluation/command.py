"""The evaluate command: a checkpoint, a text and a rule in; figures out."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning.pytorch import Trainer
from omegaconf import DictConfig, OmegaConf

from graves_lm.data.opening import prepare
from graves_lm.data.streams import StreamLoader
from graves_lm.evaluation.dynamic import evaluate_dynamically
from graves_lm.evaluation.samples import evaluate_samples
from graves_lm.learning.callbacks.progress import EvaluationProgress
from graves_lm.learning.loading import load_task
from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.learning.tasks.synthesis import SynthesisTask
from graves_lm.learning.training import make_trainer
from graves_lm.runtime.errors import UserError, near_misses
from graves_lm.runtime.files import write, write_json
from graves_lm.runtime.memory import keep_large_blocks
from graves_lm.runtime.place import place
from graves_lm.trained.checkpoint import read_checkpoint
from graves_lm.trained.samplers import make_sampler
from graves_lm.trained.training_data import data_of


def run(cfg: DictConfig) -> dict[str, float]:
    """Evaluate as `cfg` (conf/evaluate.yaml) says; prints the figures and writes metrics.json, or with
    samples=true samples.json."""
    keep_large_blocks()
    if cfg.ckpt is None:
        raise UserError("give ckpt=PATH, a checkpoint that graves_lm.train wrote")
    if cfg.precision not in ("32-true", "bf16-mixed"):
        raise UserError(f"precision={cfg.precision}: 32-true or bf16-mixed")
    task = load_task(read_checkpoint(cfg.ckpt))
    if cfg.dynamic is not None and not isinstance(task, CharacterTask):
        raise UserError(f"dynamic= learns along a text; this checkpoint is of model={task.task_name}")
    if cfg.samples and not isinstance(task, SynthesisTask):
        raise UserError(f"samples=true is for model=synthesis; this checkpoint is of model={task.task_name}")
    data: Any = prepare(data_of(cfg, task.config), task)
    data.read_as(task.facts)
    splits = data.card["counts"]
    split = cfg.split or ("test" if "test" in splits else "val")
    if split not in splits:
        raise UserError(f"split={split}: data={data.name} has none; {near_misses(split, splits)}")
    name = f"data={data.name}, {split}"
    if cfg.samples and isinstance(task, SynthesisTask):
        if place()[1] > 1 or cfg.trainer.accelerator not in ("cpu", "auto"):
            raise UserError("samples=true draws in one process on the CPU: leave trainer out")
        if cfg.precision != "32-true" or cfg.pictures:
            raise UserError("samples=true draws in float32, and its own pages: leave precision, pictures out")
        return evaluate_samples(task.trained(), data, split, cfg)
    trainer = make_trainer(cfg.trainer, callbacks=[EvaluationProgress()], logger=False)
    data.trainer = trainer  # says which part of the data is this process's
    if cfg.dynamic is None:
        figures = evaluate_statically(task, data.eval_dataloader(split), trainer)
    else:
        assert isinstance(task, CharacterTask)
        if trainer.world_size > 1 or trainer.strategy.root_device.type != "cpu":
            raise UserError("dynamic= learns along one text, in one process on the CPU: leave trainer out")
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=cfg.precision == "bf16-mixed"):
            rule = instantiate(cfg.dynamic.rule)
            length, streams = cfg.dynamic.segment, cfg.dynamic.streams
            batches = StreamLoader(data.sequence(split), streams, length, name=name)
            # Statistics from the same number of streams, so that a segment's derivatives are alike.
            training = StreamLoader(data.sequence("train"), streams, length, name="training text")
            figures = evaluate_dynamically(task, batches, rule, training)
    figures = {f"{split}/{key}": value for key, value in figures.items()}
    if bad := [key for key, value in figures.items() if not math.isfinite(value)]:
        raise UserError(f"{name}: {bad[0]} is not a finite number: the weights are damaged, or far too large")
    if not trainer.is_global_zero:
        return figures
    kind = "static" if cfg.dynamic is None else f"dynamic ({cfg.dynamic.rule._target_.rpartition('.')[2]})"
    print(f"{name}, {kind}: " + "  ".join(f"{k} {v:.4f}" for k, v in figures.items()))
    if cfg.pictures:
        sampler = make_sampler(task.config["sampler"], OmegaConf.create())
        for file, content in task.illustrate(sampler, data, cfg.seed).items():
            write(Path(cfg.run_dir) / "pictures" / file, content)
            print(Path(cfg.run_dir) / "pictures" / file)
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    record = figures | {"ckpt": str(cfg.ckpt), "dynamic": settings["dynamic"]}
    write_json(Path(cfg.run_dir) / "metrics.json", record)
    return figures


def evaluate_statically(
    task: SequenceTask, batches: Iterable[Any], trainer: Trainer | None = None
) -> dict[str, float]:
    """Figures over `batches` at fixed weights; with a `trainer`, over those of all its processes."""
    if trainer is None:
        trainer = Trainer(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False)
    trainer.validate(task, dataloaders=batches, verbose=False)
    return task.figures
