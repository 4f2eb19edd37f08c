"""The evaluate command: a checkpoint, a text and a rule in; metrics out."""

import math
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from graves_lm.data.opening import prepare
from graves_lm.data.streams import StreamLoader
from graves_lm.evaluation.dynamic import evaluate_dynamically
from graves_lm.evaluation.samples import evaluate_samples
from graves_lm.learning.loading import load_task
from graves_lm.learning.pictures import pictures
from graves_lm.learning.tasks.base import SequenceTask
from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.learning.tasks.synthesis import SynthesisTask
from graves_lm.learning.validation import validate_as
from graves_lm.runtime.errors import UserError, near_misses
from graves_lm.runtime.files import write, write_json
from graves_lm.runtime.memory import keep_large_blocks
from graves_lm.runtime.place import place
from graves_lm.settings.made import made
from graves_lm.trained.checkpoint import read_checkpoint
from graves_lm.trained.samplers import make_sampler
from graves_lm.trained.training_data import data_of


def run(cfg: DictConfig) -> dict[str, float]:
    """Evaluate as `cfg` (conf/evaluate.yaml) says; prints the metrics and writes metrics.json, or with
    samples=true samples.json."""
    keep_large_blocks()
    if cfg.ckpt is None:
        raise UserError("give ckpt=PATH, a checkpoint that graves_lm.train wrote")
    refuse_unused(cfg)
    task = load_task(read_checkpoint(cfg.ckpt))
    if cfg.samples:
        return samples(cfg, task)
    return static(cfg, task) if cfg.dynamic is None else dynamic(cfg, task)


# --- the three jobs -------------------------------------------------------------------------------------


def static(cfg: DictConfig, task: SequenceTask) -> dict[str, float]:
    """How well the network predicts, at fixed weights."""
    corpus, split = opened(cfg, task)
    figures = validate_as(cfg.trainer, task, corpus, split)
    return report(cfg, task, corpus, split, "static", figures)


def dynamic(cfg: DictConfig, task: SequenceTask) -> dict[str, float]:
    """How well it predicts while it goes on learning (section 3.1)."""
    if not isinstance(task, CharacterTask):
        raise UserError(f"dynamic= learns along a text; this checkpoint is of model={task.task_name}")
    if place()[1] > 1:
        raise UserError("dynamic= learns along one text, in one process: give trainer.devices=1")
    device = "cuda" if cfg.trainer.accelerator in ("gpu", "cuda") else "cpu"
    task.to(device)
    corpus, split = opened(cfg, task)
    settings: Any = OmegaConf.to_container(cfg.dynamic, resolve=True)
    rule = made(settings["rule"], "dynamic.rule")
    length, streams = settings["segment"], settings["streams"]
    batches = StreamLoader(corpus.sequence(split), streams, length, name=f"data={corpus.name}, {split}")
    # Statistics from the same number of streams, so that a segment's gradients are alike.
    training = StreamLoader(corpus.sequence("train"), streams, length, name="training text")
    with torch.autocast(device, dtype=torch.bfloat16, enabled=cfg.precision == "bf16-mixed"):
        figures = evaluate_dynamically(task, batches, rule, training)
    return report(cfg, task, corpus, split, f"dynamic ({type(rule).__name__})", figures)


def samples(cfg: DictConfig, task: SequenceTask) -> dict[str, float]:
    """How good its handwriting is, beside real lines."""
    if not isinstance(task, SynthesisTask):
        raise UserError(f"samples=true is for model=synthesis; this checkpoint is of model={task.task_name}")
    if not alone(cfg):
        raise UserError("samples=true works in one process on the CPU: leave trainer out")
    if cfg.precision != "32-true" or cfg.pictures:
        raise UserError("samples=true works in float32, and its own pages: leave precision, pictures out")
    corpus, split = opened(cfg, task)
    return evaluate_samples(task.trained(), corpus, split, cfg)


def refuse_unused(cfg: DictConfig) -> None:
    """Raises UserError for a setting of the sampler that this evaluation would not ask for."""
    settings: Any = OmegaConf.to_container(cfg.sampler)  # a ??? is a text here
    given = [key for key, value in settings.items() if value is not None]
    if given and not (cfg.samples or cfg.pictures):
        raise UserError(f"sampler.{given[-1]}: nothing is drawn without samples=true or pictures=true")
    for key in ("prime", "prime_text"):
        if key in given:
            raise UserError(f"sampler.{key}: lines of the data are the primes here; leave it out")
    if cfg.samples and "bias" in given:
        raise UserError("sampler.bias: samples=true writes at each of biases=; give it there")


# --- what they share ------------------------------------------------------------------------------------


def alone(cfg: DictConfig) -> bool:
    """Whether one process is to work, on the CPU."""
    return place()[1] == 1 and cfg.trainer.accelerator in ("cpu", "auto")


def opened(cfg: DictConfig, task: SequenceTask) -> tuple[Any, str]:
    """The corpus, as the task takes it, and the name of the split to evaluate on."""
    corpus: Any = prepare(data_of(cfg, task.config), task)
    corpus.read_as(task.facts)
    splits = corpus.card["counts"]
    split = cfg.split or ("test" if "test" in splits else "val")
    if split not in splits:
        raise UserError(f"split={split}: data={corpus.name} has none; {near_misses(split, splits)}")
    return corpus, split


def report(
    cfg: DictConfig, task: SequenceTask, corpus: Any, split: str, kind: str, found: dict[str, float]
) -> dict[str, float]:
    """Print the metrics, draw the pictures that are asked for and write metrics.json; the metrics by their
    names in it."""
    figures, name = {f"{split}/{key}": value for key, value in found.items()}, f"data={corpus.name}, {split}"
    if bad := [key for key, value in figures.items() if not math.isfinite(value)]:
        raise UserError(f"{name}: {bad[0]} is not a finite number: the weights are damaged, or far too large")
    if place()[0] != 0:
        return figures
    print(f"{name}, {kind}: " + "  ".join(f"{k} {v:.4f}" for k, v in figures.items()))
    if cfg.pictures:
        sampler = make_sampler(task.config["sampler"], cfg.sampler)
        if not isinstance(sampler, task.sampler_kind):
            raise UserError(f"sampler: {type(sampler).__name__} draws no pictures of model={task.task_name}")
        for file, content in pictures(task.trained(), sampler, corpus, cfg.seed).items():
            write(Path(cfg.run_dir) / "pictures" / file, content)
            print(Path(cfg.run_dir) / "pictures" / file)
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    record = figures | {"ckpt": str(cfg.ckpt), "dynamic": settings["dynamic"]}
    write_json(Path(cfg.run_dir) / "metrics.json", record)
    return figures
