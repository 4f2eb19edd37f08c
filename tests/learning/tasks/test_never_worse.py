"""A run is never worse for being resumed, moved or ended, whatever became of its folder in between."""

import json
import math
import os
import shutil
import signal

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.runtime.errors import FolderInUse, Interrupted, Stopped, TrainingDiverged, UserError
from tests.learning.test_csv_logger import rows
from tests.runs import TEXT, train, write_text

QUIET = ("callbacks.samples=null", "callbacks.early_stopping.patience=100", "trainer.val_check_interval=5")


class Killed(Exception):
    """Stands for the kill: nothing in the program expects it."""


def watched(monkeypatch, **hooks):
    """Have every trainer of the test call these hooks of a callback, before all others."""
    watch = type("Watch", (Callback,), {name: staticmethod(hook) for name, hook in hooks.items()})
    original = Trainer.__init__

    def with_watch(self, *args, callbacks=(), **kwargs):
        original(self, *args, callbacks=[watch(), *callbacks], **kwargs)

    monkeypatch.setattr(Trainer, "__init__", with_watch)


def forced(monkeypatch, figures):
    """Have validations within training find these figures, by step."""

    def on_validation_end(trainer, pl_module):
        if trainer.state.fn == "fit":
            trainer.callback_metrics["val/bpc"].fill_(figures.get(trainer.global_step, 9.0))

    watched(monkeypatch, on_validation_end=on_validation_end)


def load(run_dir, name="last"):
    return torch.load(run_dir / "checkpoints" / f"{name}.ckpt", weights_only=True)


def names(run_dir):
    return sorted(path.name for path in (run_dir / "checkpoints").iterdir())


def test_other_settings_of_saving_and_other_places_change_nothing(tmp_path, monkeypatch):
    source, run_dir = write_text(tmp_path), tmp_path / "run"
    forced(monkeypatch, {5: 0.5, 10: 0.75, 15: 0.25})
    train(run_dir, source, *QUIET, "trainer.max_steps=6")
    for steps, every in ((8, 3), (12, 1000), (13, 2)):
        run_dir = run_dir.rename(tmp_path / f"run-{steps}")
        train(
            run_dir, source, *QUIET, f"trainer.max_steps={steps}", f"checkpoint_every={every}", "resume=last"
        )
        assert load(run_dir)["global_step"] == steps
        assert load(run_dir, "best")["global_step"] == 5
        assert names(run_dir) == ["best.ckpt", "last.ckpt"]
    state = load(run_dir)["callbacks"]
    assert state["Checkpoints"] == {"monitor": "val/bpc", "best": 0.5, "best_step": 5, "owed": False}
    assert state["EarlyStopping"] == {"monitor": "val/bpc", "best": 0.5, "waited": 1}
    assert str(tmp_path) not in str(state)
    train(run_dir, source, *QUIET, "trainer.max_steps=15", "resume=last")
    assert load(run_dir, "best")["global_step"] == 15


def test_the_best_weights_come_along_into_another_folder(tmp_path, monkeypatch):
    source = write_text(tmp_path)
    forced(monkeypatch, {5: 0.5})
    train(tmp_path / "run", source, *QUIET, "trainer.max_steps=6")
    origin = tmp_path / "run" / "checkpoints" / "last.ckpt"
    train(tmp_path / "other", source, *QUIET, "trainer.max_steps=12", f"resume={origin}")
    assert load(tmp_path / "other", "best")["global_step"] == 5
    lonely = shutil.copy(origin, tmp_path / "lonely.ckpt")
    train(tmp_path / "third", source, *QUIET, "trainer.max_steps=12", f"resume={lonely}")
    assert load(tmp_path / "third", "best")["global_step"] == 12


def test_better_weights_than_the_checkpoint_knows_of_stay(tmp_path, monkeypatch):
    """As when last.ckpt is an older copy."""
    source, run_dir = write_text(tmp_path), tmp_path / "run"
    forced(monkeypatch, {5: 0.75, 10: 0.25, 20: 0.5})
    train(run_dir, source, *QUIET, "trainer.max_steps=6")
    older = (run_dir / "checkpoints" / "last.ckpt").read_bytes()
    train(run_dir, source, *QUIET, "trainer.max_steps=12", "resume=last")
    (run_dir / "checkpoints" / "last.ckpt").write_bytes(older)
    forced(monkeypatch, {20: 0.5})
    train(run_dir, source, *QUIET, "trainer.max_steps=22", "resume=last")
    assert load(run_dir, "best")["global_step"] == 10


@pytest.mark.parametrize("moment", ["before", "during"])
def test_best_weights_that_cannot_be_read_cost_nothing_else(tmp_path, monkeypatch, caplog, moment):
    source, run_dir = write_text(tmp_path), tmp_path / "run"
    forced(monkeypatch, {5: 0.5, 10: 0.75})
    train(run_dir, source, *QUIET, "trainer.max_steps=7")
    best = run_dir / "checkpoints" / "best.ckpt"

    def damage(*_):
        best.write_bytes(best.read_bytes()[:1000])

    if moment == "before":
        damage()
    else:
        watched(monkeypatch, on_train_end=damage)
    caplog.clear()
    record = train(run_dir, source, *QUIET, "trainer.max_steps=12", "resume=last")
    assert record["val/bpc"] > 0
    assert load(run_dir, "best")["global_step"] == (10 if moment == "before" else 12)
    assert names(run_dir) == ["best.ckpt", "best.ckpt.unreadable", "last.ckpt"]
    assert sum("put aside as" in message for message in caplog.messages) == 1


def test_a_checkpoint_of_version_0_1_resumes(tmp_path, monkeypatch):
    source, run_dir = write_text(tmp_path), tmp_path / "run"
    forced(monkeypatch, {5: 0.5, 10: 0.75})
    train(run_dir, source, *QUIET, "trainer.max_steps=12")
    victim = tmp_path / "precious"
    victim.mkdir()
    for name in ("last", "best"):
        old = load(run_dir, name)
        del old["callbacks"]["Checkpoints"], old["callbacks"]["EarlyStopping"], old["graves_lm"]["data"]
        old["callbacks"] |= {
            "ModelCheckpoint{'monitor': 'val/bpc', 'mode': 'min'}": {
                "monitor": "val/bpc",
                "best_model_score": torch.tensor(0.5),
                "best_model_path": str(victim),
                "dirpath": str(victim),
            },
            "LastCheckpoint{'every_n_train_steps': 1}": {"owed": False, "last_model_path": str(victim)},
            "EarlyStopping{'monitor': 'val/bpc', 'mode': 'min'}": {
                "wait_count": 1,
                "best_score": torch.tensor(0.5),
                "patience": 100,
            },
        }
        torch.save(old, run_dir / "checkpoints" / f"{name}.ckpt")
    train(run_dir, source, *QUIET, "trainer.max_steps=17", "resume=last")
    state = load(run_dir)["callbacks"]
    assert state["Checkpoints"]["best"] == state["EarlyStopping"]["best"] == 0.5
    assert state["EarlyStopping"]["waited"] == 2
    assert load(run_dir, "best")["global_step"] == 5
    assert victim.is_dir()


def test_another_patience_goes_on_with_the_count(tmp_path, monkeypatch):
    source, run_dir = write_text(tmp_path), tmp_path / "run"
    forced(monkeypatch, {5: 0.5})
    train(run_dir, source, *QUIET, "trainer.max_steps=17")  # no better at 10 and 15
    patience = "callbacks.early_stopping.patience=3"
    assert train(run_dir, source, *QUIET, patience, "trainer.max_steps=40", "resume=last")["steps"] == 20


def test_other_data_and_damaged_data_are_refused(tmp_path):
    source, run_dir = write_text(tmp_path), tmp_path / "run"
    train(run_dir, source, *QUIET, "trainer.max_steps=2")
    (cache,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    text = (cache / "train.npy").read_bytes()
    (cache / "train.npy").write_bytes(text[:-1] + bytes([text[-1] ^ 1]))
    with pytest.raises(UserError, match=r"train\.npy: its content is not what was written"):
        train(run_dir, source, *QUIET, "trainer.max_steps=4", "resume=last")
    (cache / "train.npy").write_bytes(text)
    other = tmp_path / "elsewhere" / "other.txt"
    other.parent.mkdir()
    other.write_text(source.read_text())
    train(run_dir, other, *QUIET, "trainer.max_steps=4", "resume=last")  # the same text in another place
    other.write_text("".join(f"{9 - i % 10} {TEXT}" for i in range(60)))
    with pytest.raises(UserError, match="the data are not those it was trained on"):
        train(run_dir, other, *QUIET, "trainer.max_steps=6", "resume=last")
    weights = f"init={run_dir / 'checkpoints' / 'last.ckpt'}"
    assert train(tmp_path / "new", other, *QUIET, "trainer.max_steps=2", weights)["steps"] == 2


def test_a_new_stage_needs_a_folder_of_its_own(tmp_path):
    source, run_dir = write_text(tmp_path), tmp_path / "run"
    train(run_dir, source, *QUIET, "trainer.max_steps=2")
    with pytest.raises(FolderInUse, match=r"a stage of its own is a new run; init=.*, in another run_dir"):
        train(run_dir, source, *QUIET, "trainer.max_steps=4", "resume=last", "noise=fixed")


@pytest.mark.parametrize(
    ("figure", "what"),
    [
        (math.nan, "is not a finite number"),
        (math.inf, "is not a finite number"),
        (1e32, "is 1e.32, beyond 100,"),
    ],
)
def test_a_validation_past_recovery_ends_the_run(tmp_path, monkeypatch, figure, what):
    source, run_dir = write_text(tmp_path), tmp_path / "run"
    forced(monkeypatch, {5: 0.5, 10: figure})
    with pytest.raises(TrainingDiverged, match=f"val/bpc {what}.* at step 10") as caught:
        train(run_dir, source, *QUIET, "trainer.max_steps=20")
    assert caught.value.status == 2
    assert f"last good checkpoint is {run_dir / 'checkpoints' / 'best.ckpt'};" in str(caught.value)
    assert load(run_dir, "best")["global_step"] == 5
    assert not (run_dir / "metrics.json").exists()


def test_no_checkpoint_is_named_that_is_not_there(tmp_path, monkeypatch):
    """Nor are weights saved that are no numbers."""

    def spoil(trainer, pl_module, *_):
        next(iter(pl_module.parameters())).data.fill_(math.nan)

    watched(monkeypatch, on_train_batch_end=spoil)
    with pytest.raises(TrainingDiverged, match="no good checkpoint had been saved yet"):
        train(tmp_path / "run", write_text(tmp_path), *QUIET, "trainer.max_steps=5")
    assert not list((tmp_path / "run").rglob("*.ckpt"))


def test_ctrl_c_saves_at_the_end_of_the_step(tmp_path, monkeypatch):
    source, run_dir = write_text(tmp_path), tmp_path / "run"
    often = []

    def press(trainer, *_):
        if trainer.global_step == 7:
            os.kill(os.getpid(), signal.SIGINT)
            often.append(1)

    watched(monkeypatch, on_train_batch_start=press)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(
        Interrupted, match=r"interrupted after step 8; saved in .*last\.ckpt; go on"
    ) as caught:
        train(run_dir, source, *QUIET, "trainer.max_steps=20", "checkpoint_every=100", "logger=csv")
    assert caught.value.status == 130
    assert often == [1]
    assert load(run_dir)["global_step"] == 8
    assert int(rows(run_dir / "csv" / "metrics.csv")[-1]["step"]) == 7  # the figures of that step
    assert signal.getsignal(signal.SIGINT) == handler


def test_another_ctrl_c_while_saving_does_no_harm(tmp_path, monkeypatch):
    source, run_dir = write_text(tmp_path), tmp_path / "run"

    def press(trainer, *_):
        if trainer.global_step == 7:
            os.kill(os.getpid(), signal.SIGINT)

    watched(monkeypatch, on_train_batch_start=press, on_save_checkpoint=press, on_train_batch_end=press)
    with pytest.raises(Interrupted):
        train(run_dir, source, *QUIET, "trainer.max_steps=20", "checkpoint_every=7")
    assert load(run_dir)["global_step"] == 7
    assert names(run_dir) == ["best.ckpt", "last.ckpt"]


@pytest.mark.parametrize("end", ["kill", "SIGTERM"])
def test_the_last_validation_comes_when_it_was_cut_short(tmp_path, monkeypatch, end):
    """With its row, its samples and what it decides."""
    source = write_text(tmp_path)
    settings = [*QUIET[1:], "trainer.max_steps=10", "logger=csv", "checkpoint_every=100"]
    train(tmp_path / "unbroken", source, *settings)
    validated = CharacterTask.validation_step

    def cut(self, batch, batch_idx):
        if self.global_step == 10:
            if end == "kill":
                raise Killed
            os.kill(os.getpid(), signal.SIGTERM)
        validated(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(CharacterTask, "validation_step", cut)
        with pytest.raises(Killed if end == "kill" else Stopped):
            train(tmp_path / "run", source, *settings)
    assert not (tmp_path / "run" / "samples" / "step-0000010-sample.txt").exists()
    train(tmp_path / "run", source, *settings, "resume=last")
    found = []
    for name in ("run", "unbroken"):
        run_dir = tmp_path / name
        curves = [
            {k: v for k, v in row.items() if not k.endswith("_per_second")}
            for row in rows(run_dir / "csv" / "metrics.csv")
        ]
        samples = {path.name: path.read_text() for path in (run_dir / "samples").iterdir()}
        record = json.loads((run_dir / "metrics.json").read_text()) | {"checkpoint": None}
        found.append((curves, samples, record, load(run_dir, "best")["global_step"]))
    assert found[0] == found[1]


@pytest.mark.slow
def test_ended_and_moved_at_random_places():
    """tests/kill_moves.py in short."""
    import subprocess
    import sys
    from pathlib import Path

    script = Path(__file__).resolve().parents[2] / "kill_moves.py"
    result = subprocess.run(
        [sys.executable, str(script), "--rounds", "6"], capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("equal to the unbroken run to the last bit") == 3
