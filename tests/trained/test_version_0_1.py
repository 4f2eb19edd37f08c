"""Checkpoints and weights of version 0.1 do what they did there.

version_0_1/ holds the last checkpoints of two small runs of that version, and in record.json what it then
made of them: figures, samples, and the monitored figure after two more steps.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from graves_lm.sampling.noise import Key, Noise
from graves_lm.trained.checkpoint import PRETRAINED, read_checkpoint
from graves_lm.trained.loading import load_trained
from graves_lm.trained.version_0_1 import _NAMES, of_today
from tests.runs import write_text
from tests.test_commands import Commands, call  # noqa: F401

FOLDER = Path(__file__).parent / "version_0_1"
RECORD = json.loads((FOLDER / "record.json").read_text())
TASKS = ("character", "synthesis")
CLOSE = 1e-4  # other processors round otherwise

RUN = (
    *("name=old", "run_dir=run", "logger=none", "checkpoint_every=1", "trainer.max_steps=5"),
    *("trainer.limit_val_batches=1", "trainer.log_every_n_steps=1", "+trainer.enable_progress_bar=false"),
    *("callbacks.progress=null", "callbacks.samples=null", "data.batch_size=4", "data.eval_batch_size=3"),
    "model.network.hidden_size=6",
)
CHARACTER = (
    *RUN,
    *("data=textfile", "data.source=text.txt", "data.length=10", "data.warm_up=5", "sampler.length=20"),
    *("model.network.layers=1", "optimizer=sgd"),
)
SYNTHESIS = (
    *RUN,
    *("model=synthesis", "data=hershey", "data.lines=12", "data.writers=2", "data.eval_lines=3"),
    *("data.line_characters=[2,4]", "model.network.layers=2", "model.network.mixtures=2"),
    *("model.network.window_components=2", "optimizer=rmsprop", "sampler.points_per_character=3"),
)


@pytest.fixture(autouse=True)
def _checkpoints(tmp_path):
    for task in TASKS:
        (tmp_path / f"{task}.ckpt").write_bytes(gzip.decompress((FOLDER / f"{task}.ckpt.gz").read_bytes()))
    write_text(tmp_path)


def classes(node: Any) -> Iterator[str]:
    """Every `_target_` in settings."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "_target_":
                yield value
            yield from classes(value)


def monitored(folder: Path) -> float:
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["steps"] == 5
    return metrics["val/bpc" if "val/bpc" in metrics else "val/nll_per_line"]


@pytest.mark.parametrize("task", TASKS)
def test_the_files_have_the_names_of_that_version(task, tmp_path):
    """Or there would be nothing to translate."""
    config = torch.load(tmp_path / f"{task}.ckpt", weights_only=True)["graves_lm"]["config"]
    old = {name for name in classes(config) if name in _NAMES}
    assert {name.split(".")[1] for name in old} == {"data", "tasks", "optim"}
    assert set(classes(read_checkpoint(tmp_path / f"{task}.ckpt")["graves_lm"]["config"])) == (
        set(classes(of_today(config)))
    )


@pytest.mark.parametrize("name", sorted(_NAMES.values()))
def test_what_a_name_became_is_there(name):
    assert isinstance(resolve_name(name), type)


def test_figures_are_those_of_that_version(call: Commands):  # noqa: F811
    for task, settings in (("character", ["data.source=text.txt"]), ("synthesis", [])):
        outcome = call("evaluate", f"ckpt={task}.ckpt", f"run_dir={task}", *settings)
        assert outcome.status == 0, outcome.err
        metrics = json.loads((call.folder / task / "metrics.json").read_text())
        expected = {name: figure for name, figure in RECORD[task].items() if name.startswith("test/")}
        assert len(expected) > 0
        assert {name: metrics[name] for name in expected} == pytest.approx(expected, rel=CLOSE)


def noise_of_that_version(mixtures: int, keys: list[Key], points: int) -> Iterator[Noise]:
    """256 points at a time from torch's generator."""
    places = [(seed, 0, place >> 32, place % 2**32) for seed, place in keys]
    seeds = [int(np.random.SeedSequence(p).generate_state(1, np.uint64)[0] >> 1) for p in places]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    while True:
        race = [torch.empty(256, mixtures).exponential_(generator=g) for g in generators]
        z = [torch.empty(256, 2).normal_(generator=g) for g in generators]
        u = [torch.empty(256).uniform_(generator=g) for g in generators]
        drawn = [torch.stack(numbers, 1).split(points) for numbers in (race, z, u)]
        yield from (Noise(*some) for some in zip(*drawn, strict=True))


def test_samples_are_those_of_that_version(call: Commands, monkeypatch):  # noqa: F811
    """But for the bias of a slow pen, which was the whole one then, and the random numbers."""
    for module in ("kernel", "pens"):
        monkeypatch.setattr(f"graves_lm.sampling.{module}.FULL_BIAS", 1e-6)
    monkeypatch.setattr("graves_lm.sampling.synthesis.noise_blocks", noise_of_that_version)
    assert call("sample", "ckpt=character.ckpt", "prompt=the", "seed=1", "output=text").status == 0
    assert (call.folder / "text").read_text() == RECORD["character"]["text"]
    settings = ("text=at", "seed=1", "sampler.retries=0", "output=page.json")
    assert call("sample", "ckpt=synthesis.ckpt", *settings).status == 0
    points = json.loads((call.folder / "page.json").read_text())["lines"][0]["points"]
    expected = torch.tensor(RECORD["synthesis"]["points"])
    torch.testing.assert_close(torch.tensor(points)[: len(expected)], expected, rtol=1e-3, atol=1e-2)


ADAPTIVE = (
    "noise=adaptive",
    "model.noise.std=0.075",
    "model.noise.speed=1",
    "model.noise.gradient=sampled",
)
"""What adaptive noise was in that version."""


@pytest.mark.parametrize(
    ("settings", "task", "recorded"),
    [
        ((*CHARACTER, "init=character.ckpt"), "character", "begun"),
        ((*CHARACTER, "resume=character.ckpt"), "character", "resumed"),
        ((*SYNTHESIS, "noise=fixed", "resume=synthesis.ckpt"), "synthesis", "resumed"),
        ((*SYNTHESIS, *ADAPTIVE, "init=synthesis.ckpt"), "synthesis", "new stage"),
    ],
    ids=["begun with weights", "resumed", "resumed with noise", "new stage"],
)
def test_training_goes_on_as_in_that_version(settings, task, recorded, call: Commands):  # noqa: F811
    outcome = call("train", *settings)
    assert outcome.status == 0, outcome.err
    assert monitored(call.folder) == pytest.approx(RECORD[task][recorded], rel=CLOSE)


def test_weights_of_the_package_that_are_of_that_version_are_read():
    with safe_open(PRETRAINED / "character.safetensors", "pt") as file:
        config = json.loads(file.metadata()["graves_lm"])["config"]
    assert "graves_lm.tasks.character." in str(config)
    assert load_trained("character").task_name == "character"
