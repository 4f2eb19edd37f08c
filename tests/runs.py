"""Runs of the whole program for tests: composed from conf/ as the commands do, in this process."""

import json
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from graves_lm.launch import CONF
from graves_lm.training import run

TEXT = "the quick brown fox jumps over the lazy dog, and the dog sleeps on.\n"

QUICK = (
    "trainer.max_steps=2",
    "trainer.limit_val_batches=1",
    "+trainer.enable_progress_bar=false",
    "callbacks.progress=null",
    "checkpoint_every=1",
    "sampler.length=5",
    "logger=csv",
)
"""Overrides that make any run two steps long and quiet."""


def write_text(folder: Path, repeats: int = 60) -> Path:
    """A small text file that a tiny network can learn."""
    path = folder / "text.txt"
    path.write_text("".join(f"{i % 10} {TEXT}" for i in range(repeats)))
    return path


def compose_run(run_dir: Path, source: Path, *overrides: str):
    """The configuration of a tiny character run on `source`."""
    settings = [
        "name=test",
        f"run_dir={run_dir}",
        "data=textfile",
        f"data.source={source}",
        f"data.cache_dir={run_dir.parent / 'cache'}",
        "data.batch_size=4",
        "data.length=10",
        "data.warm_up=5",
        "data.eval_batch_size=3",
        "model.network.hidden_size=12",
        "sampler.length=20",
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
