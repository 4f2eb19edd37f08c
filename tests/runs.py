"""Runs of the whole program for tests: composed from conf/ as the commands do, in this process."""

import json
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from graves_lm.commands.launch import CONF
from graves_lm.learning.training import run
from tests.data.lines import wave, write_ink

TEXT = "the quick brown fox jumps over the lazy dog, and the dog sleeps on.\n"

QUICK = (
    "trainer.max_steps=2",
    "trainer.limit_val_batches=1",
    "+trainer.enable_progress_bar=false",
    "callbacks.progress=null",
    "checkpoint_every=1",
    "logger=csv",
)
"""Overrides that make any run two steps long and quiet."""

TEXT_RUN = (
    "data=textfile",
    "data.batch_size=4",
    "data.length=10",
    "data.warm_up=5",
    "data.eval_batch_size=3",
    "model.network.hidden_size=12",
    "sampler.length=20",
)
"""A tiny character run on a text file."""

PEN_RUN = (
    "data.batch_size=4",
    "data.eval_batch_size=3",
    "model.network.layers=1",
    "model.network.hidden_size=12",
    "model.network.mixtures=3",
)
"""A tiny run on pen data."""

STROKE_RUN = ("model=stroke", "sampler.lines=2", "sampler.length=20")
"""With `PEN_RUN`, and unless it is one of synthesis: stroke prediction."""

READER_RUN = (
    "data.batch_size=4",
    "data.eval_batch_size=3",
    "model.network.layers=1",
    "model.network.hidden_size=12",
)
"""A tiny run of a reader."""

HERSHEY = {"lines": 24, "writers": 3, "eval_lines": 5, "line_characters": "[2,4]", "seed": 0}
"""A few short generated lines."""


def write_text(folder: Path, repeats: int = 60) -> Path:
    """A small text file that a tiny network can learn."""
    path = folder / "text.txt"
    path.write_text("".join(f"{i % 10} {TEXT}" for i in range(repeats)))
    return path


def write_waves(folder: Path, count: int = 30) -> Path:
    """A small file of ink that a tiny network can learn: 24 lines to train on, of 15 to 44 points."""
    path = folder / "ink.json"
    write_ink(path, [wave(f"wave-{i:02d}", 15 + i % 30) for i in range(count)])
    return path


def run_on(source: Path, cache: Path, *overrides: str) -> tuple[str, ...]:
    pen = (*STROKE_RUN, *PEN_RUN)
    if "model=synthesis" in overrides:
        pen = PEN_RUN
    elif "model=reader" in overrides:
        pen = READER_RUN
    if source.is_dir():
        return (
            *pen,
            "data=hershey",
            f"data.cache_dir={source}",
            *(f"data.{k}={v}" for k, v in HERSHEY.items()),
        )
    places = (f"data.source={source}", f"data.cache_dir={cache}")
    if source.suffix == ".json":
        return (*pen, "data=ink", "data.val_share=0.2", *places)
    return (*TEXT_RUN, *places)


def compose_run(run_dir: Path, source: Path, *overrides: str):
    """The configuration of a tiny run: of characters on a text file, of strokes on a file of ink, or, where
    `source` is a folder, of strokes on generated lines that are kept in it."""
    settings = [
        "name=test",
        f"run_dir={run_dir}",
        *run_on(source, run_dir.parent / "cache", *overrides),
        "logger=none",
        "trainer.log_every_n_steps=1",
        "+trainer.enable_progress_bar=false",
        "callbacks.progress=null",
        "checkpoint_every=1",
        *overrides,
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", settings)
    run_dir.mkdir(parents=True, exist_ok=True)
    return cfg


def train(run_dir: Path, source: Path, *overrides: str) -> dict:
    """Train, and return metrics.json."""
    cfg = compose_run(run_dir, source, *overrides)
    OmegaConf.resolve(cfg)
    run(cfg)
    return json.loads((run_dir / "metrics.json").read_text())
