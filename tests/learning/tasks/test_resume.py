"""A run killed at any step and resumed is the unbroken run: every loss, every weight, to the last bit."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from graves_lm.learning.callbacks.progress import Progress
from graves_lm.learning.tasks.character import CharacterTask
from graves_lm.runtime.errors import Stopped
from tests.runs import compose_run, train, write_text, write_waves

STEPS = 40


class Killed(Exception):
    """Stands for the kill: nothing in the program expects it."""


def losses_of(monkeypatch, run_dir, source, *overrides, kill_at=None, sigterm=False):
    """Every training loss by batch; with `kill_at`, die before that batch's checkpoint is written, or send
    this process SIGTERM there."""
    losses = {}

    class Watch(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            number = trainer.fit_loop.total_batch_idx + 1
            losses[number] = outputs["loss"].item()
            if number == kill_at and sigterm:
                os.kill(os.getpid(), signal.SIGTERM)
            elif number == kill_at:
                raise Killed

    original = Trainer.__init__

    def with_watch(self, *args, callbacks=(), **kwargs):
        original(self, *args, callbacks=[*callbacks, Watch()], **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "__init__", with_watch)
        if kill_at is None:
            train(run_dir, source, *overrides)
        else:
            with pytest.raises(Stopped if sigterm else Killed):
                train(run_dir, source, *overrides)
    return losses


def weights(run_dir):
    checkpoint = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    return checkpoint["state_dict"] | {
        f"optimizer/{i}/{k}": v
        for i, state in checkpoint["optimizer_states"][0]["state"].items()
        for k, v in state.items()
    }


RECIPES = {
    "plain": [],
    "weight noise": ["noise=fixed"],
    "adaptive noise": ["noise=adaptive"],
    "ema": ["callbacks=ema", "callbacks.progress=null"],
    "reset, accumulation, sgd": ["data.reset_every=3", "trainer.accumulate_grad_batches=2", "optimizer=sgd"],
    "validation inside the epoch": ["trainer.val_check_interval=7"],
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("kill_at", [1, 17, 26, 27])
def test_resumed_equals_unbroken(tmp_path, monkeypatch, recipe, kill_at):
    # 26 batches an epoch. Dying at 27 leaves what was saved at the end of the epoch.
    source = write_text(tmp_path, repeats=16)
    compare_with_unbroken(tmp_path, monkeypatch, source, RECIPES[recipe], STEPS, kill_at)


STROKE_RECIPES = {
    "samples, validation every other epoch": ["trainer.check_val_every_n_epoch=2"],
    "weight noise, paper's rmsprop": ["noise=fixed", "optimizer=rmsprop"],
    "adaptive noise": ["noise=adaptive"],
    "accumulation, ema": ["trainer.accumulate_grad_batches=2", "callbacks=ema", "callbacks.progress=null"],
    "validation inside the epoch": ["trainer.val_check_interval=4"],
}


@pytest.mark.parametrize("recipe", STROKE_RECIPES)
@pytest.mark.parametrize("kill_at", [15, 18, 19])
def test_resumed_strokes_equal_unbroken(tmp_path, monkeypatch, recipe, kill_at):
    source = write_waves(tmp_path)  # 6 batches an epoch
    quick = [] if recipe.startswith("samples") else ["callbacks.samples=null"]
    # Four epochs; each shuffles anew.
    compare_with_unbroken(tmp_path, monkeypatch, source, [*STROKE_RECIPES[recipe], *quick], 22, kill_at)


@pytest.mark.parametrize("write", [write_text, write_waves])
@pytest.mark.parametrize("kill_at", [10, 11, 12])
@pytest.mark.parametrize("limit", ["5", "0.9"])
def test_resumed_equals_unbroken_where_epochs_are_cut_short(tmp_path, monkeypatch, write, kill_at, limit):
    """The position at the end of such an epoch is not the place to go on from, but the next one's start."""
    source = write(tmp_path)
    recipe = [f"+trainer.limit_train_batches={limit}", "callbacks.samples=null"]
    compare_with_unbroken(tmp_path, monkeypatch, source, recipe, 14, kill_at)


@pytest.mark.parametrize("write", [write_text, write_waves])
@pytest.mark.parametrize("limits", [[], ["+trainer.limit_train_batches=5"]])
def test_more_epochs_than_at_first_are_those_of_one_long_run(tmp_path, monkeypatch, write, limits):
    source = write(tmp_path)
    recipe = [*limits, "callbacks.samples=null", "optimizer.schedule=constant", "checkpoint_every=100"]
    unbroken = losses_of(monkeypatch, tmp_path / "unbroken", source, *recipe, "trainer.max_epochs=3")
    losses = {}
    for epochs in (1, 2, 3):
        more = (f"trainer.max_epochs={epochs}", "resume=last")
        losses |= losses_of(monkeypatch, tmp_path / "broken", source, *recipe, *more)
    assert losses == unbroken
    ours, theirs = weights(tmp_path / "broken"), weights(tmp_path / "unbroken")
    for name in theirs:
        assert torch.equal(ours[name], theirs[name]), name


def test_the_bar_of_a_resumed_run_begins_where_the_run_does(tmp_path, monkeypatch):
    source = write_text(tmp_path, repeats=16)
    shown = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            bar = next(c for c in trainer.callbacks if isinstance(c, Progress)).train_progress_bar
            shown.append((bar.desc, bar.initial, bar.n, bar.total))

    original = Trainer.__init__

    def with_watch(self, *args, callbacks=(), **kwargs):
        original(self, *args, callbacks=[Watch(), *callbacks], **kwargs)

    monkeypatch.setattr(Trainer, "__init__", with_watch)
    bar = [
        "+callbacks.progress._target_=graves_lm.learning.callbacks.progress.Progress",
        "callbacks.samples=null",
    ]
    bar += ["+callbacks.progress.refresh_rate=1", "trainer.enable_progress_bar=true"]
    for steps in (20, 40):  # an epoch is 26 batches
        train(tmp_path / "run", source, f"trainer.max_steps={steps}", "resume=last", *bar)
    assert shown[:2] == [("Epoch 0: ", 0, 0, 26), ("Epoch 0: ", 0, 1, 26)]
    assert shown[20:22] == [("Epoch 0: ", 20, 20, 26), ("Epoch 0: ", 20, 21, 26)]
    assert shown[26:28] == [("Epoch 1: ", 0, 0, 26), ("Epoch 1: ", 0, 1, 26)]


def compare_with_unbroken(tmp_path, monkeypatch, source, recipe, steps, kill_at):
    """Asserts that a run by the recipe, killed and resumed, is the unbroken run."""
    overrides = [f"trainer.max_steps={steps}", "trainer.max_epochs=100", *recipe]
    unbroken = losses_of(monkeypatch, tmp_path / "unbroken", source, *overrides)
    first = losses_of(monkeypatch, tmp_path / "broken", source, *overrides, kill_at=kill_at)
    rest = losses_of(monkeypatch, tmp_path / "broken", source, *overrides, "resume=last")
    assert len(unbroken) >= steps
    assert max(first) == kill_at
    # Only what came after the last saved step is done again: with accumulation that may be two batches.
    assert kill_at - 1 <= min(rest) <= kill_at or min(rest) == 1
    assert first | rest == unbroken
    ours, theirs = weights(tmp_path / "broken"), weights(tmp_path / "unbroken")
    assert ours.keys() == theirs.keys()
    for name in theirs:
        assert torch.equal(ours[name], theirs[name]), name


@pytest.mark.parametrize("recipe", ["plain", "reset, accumulation, sgd"])
def test_sigterm_saves_at_the_end_of_the_step_and_ends(tmp_path, monkeypatch, recipe):
    """However rarely the run saves otherwise."""
    source = write_text(tmp_path, repeats=16)
    overrides = [*RECIPES[recipe], "trainer.max_steps=12", "checkpoint_every=1000", "callbacks.samples=null"]
    handler = signal.getsignal(signal.SIGTERM)
    unbroken = losses_of(monkeypatch, tmp_path / "unbroken", source, *overrides)
    first = losses_of(monkeypatch, tmp_path / "run", source, *overrides, kill_at=7, sigterm=True)
    assert signal.getsignal(signal.SIGTERM) == handler
    # With accumulation over two batches the step ends with the eighth.
    assert max(first) == (7 if recipe == "plain" else 8)
    rest = losses_of(monkeypatch, tmp_path / "run", source, *overrides, "resume=last")
    assert min(rest) == max(first) + 1
    assert first | rest == unbroken
    for name, weight in weights(tmp_path / "unbroken").items():
        assert torch.equal(weights(tmp_path / "run")[name], weight), name


def test_sigterm_while_validating_ends_at_once(tmp_path, monkeypatch):
    source = write_text(tmp_path, repeats=16)
    validated = CharacterTask.validation_step

    def with_signal(self, batch, batch_idx):
        if batch_idx == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        assert batch_idx <= 1
        validated(self, batch, batch_idx)

    monkeypatch.setattr(CharacterTask, "validation_step", with_signal)
    overrides = ["trainer.max_steps=20", "trainer.val_check_interval=5", "checkpoint_every=1000"]
    with pytest.raises(
        Stopped, match=r"stopped by SIGTERM after step 5; saved in .*last\.ckpt; go on with"
    ) as caught:
        train(tmp_path / "run", source, *overrides)
    assert caught.value.status == 143
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 5


@pytest.mark.parametrize("interval", ["5", "1.0"])
@pytest.mark.parametrize("moment", ["in it", "after it"])
def test_no_validation_is_lost_nor_what_it_decided(tmp_path, monkeypatch, interval, moment):
    """Killed in the second validation, or after it and before anything else was saved."""
    source = write_text(tmp_path, repeats=16)  # 26 batches an epoch
    overrides = ["trainer.max_steps=60", f"trainer.val_check_interval={interval}", "checkpoint_every=1000"]
    overrides += ["trainer.max_epochs=100", "callbacks.samples=null", "callbacks.early_stopping.patience=100"]
    second = 10 if interval == "5" else 52
    forced = {5: 3.0, 10: 1.0, 26: 3.0, 52: 1.0}  # the second is the best one
    found, kill = {}, True

    class Watch(Callback):
        def on_validation_batch_start(self, trainer, *_):
            if kill and moment == "in it" and trainer.global_step == second:
                raise Killed

        def on_validation_end(self, trainer, pl_module):
            if trainer.state.fn == "fit":
                assert trainer.global_step not in found
                figure = trainer.callback_metrics["val/bpc"]
                found[trainer.global_step] = figure.item()
                figure.fill_(forced.get(trainer.global_step, 2.0))  # for the callbacks that decide

        def on_train_batch_start(self, trainer, *_):
            if kill and moment == "after it" and trainer.global_step == second + 1:
                raise Killed

    original = Trainer.__init__

    def with_watch(self, *args, callbacks=(), **kwargs):
        original(self, *args, callbacks=[Watch(), *callbacks], **kwargs)

    monkeypatch.setattr(Trainer, "__init__", with_watch)

    def state(run_dir):
        saved = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]
        return saved["EarlyStopping"], saved["Checkpoints"]["best"]

    with pytest.raises(Killed):
        train(tmp_path / "broken", source, *overrides)
    kill = False
    before = dict(found)
    found.clear()
    train(tmp_path / "broken", source, *overrides, "resume=last")
    rest = dict(found)
    found.clear()
    train(tmp_path / "unbroken", source, *overrides)
    assert min(rest) == second
    assert {**before, **rest} == found
    assert state(tmp_path / "broken") == state(tmp_path / "unbroken")
    assert state(tmp_path / "broken")[1] == 1.0


def test_ckpt_last_without_a_checkpoint_starts_at_the_beginning(tmp_path, monkeypatch):
    source = write_text(tmp_path)
    losses = losses_of(monkeypatch, tmp_path / "run", source, "trainer.max_steps=3", "resume=last")
    assert sorted(losses) == [1, 2, 3]


@pytest.mark.slow
def test_kill_9_at_random_moments_never_leaves_an_unreadable_checkpoint(tmp_path):
    """The program as a user starts it, killed for real, until it gets through."""
    source = write_text(tmp_path, repeats=120)
    overrides = ["trainer.max_steps=300", "checkpoint_every=3", "data.batch_size=2"]
    train(tmp_path / "unbroken", source, *overrides)
    cfg = compose_run(tmp_path / "killed", source, *overrides)
    command = [sys.executable, "-m", "graves_lm.train", "name=test", "data=textfile", "logger=none"]
    command += [f"data.source={source}", f"run_dir={tmp_path / 'killed'}", "resume=last", *overrides]
    command += [f"data.{k}={cfg.data[k]}" for k in ("cache_dir", "length", "warm_up", "eval_batch_size")]
    command += ["model.network.hidden_size=12", "sampler.length=20", "trainer.log_every_n_steps=1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, env=environment, **quiet)
        last = tmp_path / "killed" / "checkpoints" / "last.ckpt"
        seen = last.stat().st_mtime_ns if last.exists() else None
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if last.exists() and last.stat().st_mtime_ns != seen:
                break
            time.sleep(0.01)
        time.sleep(float(torch.rand((), generator=generator)) * 0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        torch.load(last, weights_only=True)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    for name, value in weights(tmp_path / "unbroken").items():
        assert torch.equal(weights(tmp_path / "killed")[name], value), name
