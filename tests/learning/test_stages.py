"""A training in stages: killed and resumed it is the unbroken one; it ends in time, its schedule finished."""

import csv
import json
import re
import time

import pytest
import torch
from omegaconf import OmegaConf

from graves_lm.commands.configuration import check_configuration
from graves_lm.learning.callbacks.staging import Staging
from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.learning.training import run
from graves_lm.runtime.errors import UserError
from graves_lm.trained.checkpoint import read_checkpoint
from graves_lm.trained.format import METADATA
from tests.runs import compose_run, write_text

STAGES = (
    "+stages.wide={share: 3, noise: {share: 0.3}, optimizer: {lr: 1e-2}, average: 0.2, validations: 2}",
    "+stages.middle={share: 2, noise: null, begins: last, data: {batch_size: 3}, validations: 3}",
    "+stages.last={share: 1, noise: {_target_: graves_lm.nn.noise.AdaptiveWeightNoise, std: 0.01}}",
)
"""Three stages with noise, batches and averages of their own."""

ENDS = [30, 50, 60]


class Killed(Exception):
    """Stands for the kill: nothing in the program expects it."""


def settings(*overrides):
    return ("noise=drop", *STAGES, "callbacks.early_stopping=null", "optimizer.warmup_steps=3", *overrides)


def train(run_dir, source, *overrides):
    cfg = compose_run(run_dir, source, *settings(*overrides))
    OmegaConf.resolve(cfg)
    return run(cfg)


def states(run_dir):
    """All of a run that is to be the same: checkpoints, and the account of its stages but for the clock."""
    found = {}
    for name in ("last", "best"):
        saved = torch.load(run_dir / "checkpoints" / f"{name}.ckpt", weights_only=True)
        found |= {f"{name}/{k}": v for k, v in saved["state_dict"].items()}
        for i, state in saved["optimizer_states"][0]["state"].items():
            found |= {f"{name}/{i}/{k}": v for k, v in state.items()}
        stages = {k: v for k, v in saved[METADATA]["stages"].items() if k not in ("spent", "validation")}
        found[f"{name}/stages"] = stages | {"step": saved["global_step"]}
    found["curve"] = (run_dir / "curve.csv").read_text()
    found["figures"] = json.loads((run_dir / "metrics.json").read_text()) | {"checkpoint": None}
    found["weights"] = (run_dir / "test.safetensors").read_bytes()
    return found


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_text(tmp_path_factory.mktemp("text"), repeats=16)


@pytest.fixture(scope="module")
def unbroken(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    train(folder, source, "budget=60")
    return folder


SLOW = [[1], [29], [30], [36, 50], [51], [60]]


# Inside stages; before, at and after their ends; before a stage saved anything; and in its last validation.
@pytest.mark.parametrize(
    ("where", "kill_at"),
    [
        ("step", [17]),
        ("validation", [30, 50, 59]),
        ("step", [31]),
        *(
            pytest.param(where, kill, marks=pytest.mark.slow)
            for kill in SLOW
            for where in ("step", "validation")
        ),
    ],
)
def test_killed_and_resumed_it_is_the_unbroken_one(tmp_path, monkeypatch, source, unbroken, kill_at, where):
    hook = {"step": "on_train_batch_start", "validation": "on_validation_end"}[where]
    original = getattr(Staging, hook)
    left = list(kill_at)

    def die(self, trainer, *args):
        reached = trainer.global_step + (where == "step")
        if left and trainer.state.fn == "fit" and reached >= left[0]:
            left.pop(0)
            raise Killed
        original(self, trainer, *args)

    monkeypatch.setattr(Staging, hook, die)
    overrides = ["budget=60", f"checkpoint_every={1 if where == 'step' else 7}"]
    for _ in kill_at:
        if where == "validation" or len(left):
            with pytest.raises(Killed):
                train(tmp_path / "run", source, *overrides, "resume=last")
    train(tmp_path / "run", source, *overrides, "resume=last")
    ours, theirs = states(tmp_path / "run"), states(unbroken)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        same = torch.equal(ours[name], value) if isinstance(value, torch.Tensor) else ours[name] == value
        assert same, name


def test_checkpoints_and_weights_name_every_stage_and_what_was_done_in_it(unbroken):
    saved = {name: read_checkpoint(unbroken / "checkpoints" / f"{name}.ckpt") for name in ("last", "best")}
    stages = saved["last"][METADATA]["stages"]
    assert stages["names"] == ["wide", "middle", "last"]
    assert stages["steps"] == stages["planned"] == [30, 20, 10]
    assert (stages["stage"], stages["begun"], stages["budget"]) == (2, 50, 60)
    wide, middle, last = stages["settings"]
    assert (wide["noise"]["share"], wide["optimizer"]["lr"], wide["average"]) == (0.3, 1e-2, 0.2)
    assert (middle["noise"], middle["data"]["batch_size"], middle["begins"]) == (None, 3, "last")
    assert last["noise"]["_target_"].endswith("AdaptiveWeightNoise")
    assert "source" not in last["data"]
    # Its network is the running stage's, and the best weights know which stage they are of.
    assert saved["last"][METADATA]["config"]["model"]["noise"]["std"] == 0.01
    best = saved["best"][METADATA]["stages"]
    assert sum(best["steps"]) == saved["best"]["global_step"] == best["history"][-1][0]
    assert best["history"][-1][1] == min(figure for _, figure in stages["history"] + best["history"])

    card = json.loads((unbroken / "test.json").read_text())
    assert [one["name"] for one in card["stages"]] == ["wide", "middle", "last"]
    assert [one["steps"] for one in card["stages"]] == best["steps"]
    assert card["licence"]
    assert card["figures"]["bpc"] == pytest.approx(best["history"][-1][1], rel=1e-6)
    exported = read_checkpoint(unbroken / "test.safetensors")["state_dict"]
    for name, weight in saved["best"]["state_dict"].items():
        if name.startswith("network."):
            torch.testing.assert_close(exported[name], weight, rtol=1e-3, atol=1e-3)


def test_steps_count_on_and_each_schedule_comes_to_its_end(source, tmp_path):
    train(
        tmp_path / "run",
        source,
        "budget=60",
        "+logger.csv._target_=graves_lm.learning.csv_logger.KeepingCSVLogger",
        f"+logger.csv.save_dir={tmp_path / 'run'}",
        "logger=none",
    )
    rows = list(csv.DictReader((tmp_path / "run" / "csv" / "metrics.csv").open()))
    rates = {int(row["step"]): float(row["train/lr"]) for row in rows if row["train/lr"]}
    assert sorted(rates) == list(range(60))
    for begin, end, top in [(0, 30, 1e-2), (30, 50, 2e-3), (50, 60, 2e-3)]:
        within = [rates[step] for step in range(begin, end)]
        assert max(within) == pytest.approx(top)
        assert within[0] < top
        assert within[-1] < 0.12 * top
    curve = list(csv.DictReader((tmp_path / "run" / "curve.csv").open()))
    assert [(int(row["step"]), row["stage"]) for row in curve] == [
        *((step, "wide") for step in (15, 30)),
        *((step, "middle") for step in (37, 44, 50)),
        *((step, "last") for step in (53, 56, 59, 60)),
    ]
    picture = (tmp_path / "run" / "curve.svg").read_text()
    assert all(f">{name}</text>" in picture for name in ("wide", "middle", "last"))


def test_the_figures_at_the_end_are_of_the_best_weights(source, tmp_path):
    """Not of the average of the last ones, which a validation would put in their place."""
    spoiled = "+stages.spoiled={share: 2, noise: null, optimizer: {lr: 1.0}, average: 0.2, validations: 2}"
    train(tmp_path / "run", source, "budget=80", spoiled)
    curve = [float(row["val/bpc"]) for row in csv.DictReader((tmp_path / "run" / "curve.csv").open())]
    assert min(curve) < curve[-1] - 0.1
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert figures["val/bpc"] == pytest.approx(min(curve), rel=1e-4)
    card = json.loads((tmp_path / "run" / "test.json").read_text())
    assert card["figures"]["bpc"] == pytest.approx(min(curve), rel=1e-4)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["budget=20"], "budget=20: too short, a stage would have 3 step"),
        (["budget=null"], "stages: give budget=STEPS, or trainer.max_time"),
        (
            ["budget=60", "trainer.max_steps=5"],
            "trainer.max_steps: the length of a training in stages is budget",
        ),
        (
            ["budget=60", "+stages.wide.shares=2"],
            "stages.wide.shares: no such setting of a stage; did you mean 'share'",
        ),
        (["budget=60", "stages.wide.share=-1"], "stages.wide.share=-1: a number above 0"),
        (["budget=60", "stages.middle.begins=first"], "stages.middle.begins=first: one of best, last"),
        (["budget=60", "stages.middle.data.batch_size=0"], "stages.middle.data.batch_size=0: a whole number"),
        (["budget=60", "stages.wide.optimizer.lr=-1"], "stages.wide.optimizer.lr=-1: a number above 0"),
        (["budget=60", "stages.wide.noise.share=1.5"], "stages.wide.noise.share=1.5: a number"),
        (["budget=60", "noise=none"], "stages.wide.noise: the run has no noise to set otherwise"),
        (
            ["budget=60", "+stages.middle.data.source=x"],
            "stages.middle.data.source: all stages read the same data",
        ),
        (
            ["trainer.max_time=00:00:00:02", "stages.last.share=0.01"],
            "trainer.max_time: too short, stage last",
        ),
    ],
)
def test_settings_that_make_no_training_are_refused_in_a_line(source, tmp_path, overrides, message):
    cfg = compose_run(tmp_path / "run", source, *settings(*overrides))

    def command():
        check_configuration(cfg, "train")
        run(cfg)

    with pytest.raises(UserError, match=re.escape(message)):
        command()
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["budget=60", "+stages.middle.optimizer={lr: 1e-3}"],
            "its stage middle has another optimizer than this run",
        ),
        (["budget=60", "stages.middle.share=3"], "its stage middle has another share than this run"),
        (["budget=60", "~stages.last"], "a training in other stages (wide, middle, last)"),
        (["budget=70"], "planned with budget=60: resume with it"),
        (["trainer.max_time=00:01:00:00"], "planned with budget=60: resume with it"),
        (["stages=null"], "a training in stages (wide, middle, last), and this is not one of them"),
    ],
)
def test_a_checkpoint_of_another_recipe_is_refused_in_a_line(source, unbroken, tmp_path, overrides, message):
    last = unbroken / "checkpoints" / "last.ckpt"
    given = (
        settings(*overrides)
        if "stages=null" not in overrides
        else ("noise=drop", "callbacks.early_stopping=null")
    )
    cfg = compose_run(tmp_path / "run", source, *given, f"resume={last}")
    with pytest.raises(UserError, match=re.escape(message)) as error:
        run(cfg)
    assert "\n" not in str(error.value)


def test_a_run_that_is_none_of_stages_is_not_gone_on_with_in_stages(source, tmp_path):
    run(compose_run(tmp_path / "plain", source, "trainer.max_steps=2", "callbacks.samples=null"))
    last = tmp_path / "plain" / "checkpoints" / "last.ckpt"
    with pytest.raises(UserError, match="not of a training in stages"):
        train(tmp_path / "run", source, "budget=60", f"resume={last}")


def test_a_gpu_with_too_little_memory_gathers_smaller_batches(source, tmp_path, monkeypatch, caplog):
    step, rows = CharacterTask.training_step, []

    def with_memory_for_two(self, batch, batch_idx):
        if batch.symbol_TB.shape[1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        rows.append(batch.symbol_TB.shape[1])
        return step(self, batch, batch_idx)

    monkeypatch.setattr(CharacterTask, "training_step", with_memory_for_two)
    caplog.set_level("WARNING")
    train(tmp_path / "run", source, "budget=60")
    (said,) = [one.getMessage() for one in caplog.records if "too little memory" in one.getMessage()]
    assert "stages.wide.data.batch_size=4" in said
    assert "the gradients of 2 batches of 2 make a step" in said
    assert len(rows) >= 2 * 60 - 3  # an epoch's last step may have one
    stages = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")[METADATA]["stages"]
    assert stages["steps"] == [30, 20, 10]
    assert stages["split"] == [2, 2, 2]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [25, 50])
def test_a_training_by_the_clock_ends_in_time_with_a_finished_schedule(source, tmp_path, seconds):
    begun = time.monotonic()
    train(tmp_path / "run", source, f"trainer.max_time=00:00:00:{seconds}", "checkpoint_every=1000")
    assert time.monotonic() - begun <= seconds
    assert (tmp_path / "run" / "test.safetensors").is_file()
    last = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    stages = last[METADATA]["stages"]
    assert 0.5 * seconds < stages["spent"] < seconds
    assert stages["steps"] == stages["planned"]
    assert min(stages["steps"]) >= 10
    (group,) = last["optimizer_states"][0]["param_groups"]
    assert group["lr"] == pytest.approx(0.02 * 2e-3, rel=0.05)  # the schedule's very end


def test_a_training_by_the_clock_keeps_its_plan_and_its_time_over_a_kill(source, tmp_path, monkeypatch):
    original = Staging.on_train_batch_start

    def die(self, trainer, *args):
        if trainer.global_step == 12:
            raise Killed
        original(self, trainer, *args)

    overrides = ("trainer.max_time=00:00:02:00", "callbacks.samples=null")
    with monkeypatch.context() as patch:
        patch.setattr(Staging, "on_train_batch_start", die)
        with pytest.raises(Killed):
            train(tmp_path / "run", source, *overrides)
    before = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")[METADATA]["stages"]
    found = {}

    def look(self, trainer, *args):
        found.update(self.ledger.plain())
        raise Killed

    monkeypatch.setattr(Staging, "on_train_batch_start", look)
    with pytest.raises(Killed):
        train(tmp_path / "run", source, *overrides, "resume=last")
    assert found["spent"] > before["spent"] > 0
    for key in ("pace", "planned", "deadline", "steps", "rate"):
        assert found[key] == before[key], key
