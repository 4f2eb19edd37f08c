"""Training as a whole: it learns, in the paper's units, and stops when it must."""

import json
import os
import subprocess
import sys

import pytest
import torch
from hydra import compose, initialize_config_dir

from graves_lm.commands.launch import CONF
from graves_lm.learning.loading import load_task
from graves_lm.learning.tasks.making import make_task
from graves_lm.learning.training import run
from graves_lm.runtime.errors import TrainingDiverged, UserError
from graves_lm.trained.checkpoint import read_checkpoint
from tests.data.lines import make_line, write_ink
from tests.runs import compose_run, run_on, train, write_text, write_waves


def test_a_small_network_learns_a_small_text(tmp_path):
    source = write_text(tmp_path)
    record = train(
        tmp_path / "run", source, "trainer.max_steps=250", "model.network.hidden_size=48", "optimizer.lr=1e-2"
    )
    assert record["val/bpc"] < 1.0
    assert record["val/error_rate"] < 0.2
    assert record["val/perplexity"] == pytest.approx(2 ** record["val/bpc"], rel=1e-5)
    assert list((tmp_path / "run" / "samples").glob("step-*.txt"))
    task = load_task(read_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt", task="character"))
    from graves_lm.sampling.text import TextSampler

    sampler = TextSampler(temperature=0.2, length=60)
    written = "".join(task.trained().write(sampler, prompt="the quick brown "))
    assert "fox jumps" in written
    assert written == "".join(task.trained().write(sampler, prompt="the quick brown "))


def gradients_before_the_step(tmp_path, monkeypatch, name, *overrides):
    """The weights' derivatives as the optimiser gets them in the first step."""
    from graves_lm.learning.tasks.character import CharacterTask

    seen = {}
    original = CharacterTask.on_before_optimizer_step

    def recording(self, optimizer):
        original(self, optimizer)
        seen.update({n: w.grad.clone() for n, w in self.named_parameters() if w.grad is not None})
        self.trainer.should_stop = True

    with monkeypatch.context() as patch:
        patch.setattr(CharacterTask, "on_before_optimizer_step", recording)
        train(tmp_path / name, write_text(tmp_path), "trainer.max_steps=1", *overrides)
    return seen


def test_units_of_the_step(tmp_path, monkeypatch):
    """Per point it is the mean loss's derivative; per sequence, T times that."""
    point = gradients_before_the_step(tmp_path, monkeypatch, "point", "optimizer.unit=point")
    sequence = gradients_before_the_step(tmp_path, monkeypatch, "sequence", "optimizer.unit=sequence")
    for name in point:
        torch.testing.assert_close(sequence[name], 10 * point[name], rtol=1e-5, atol=1e-7)
    cfg = compose_run(tmp_path / "again", write_text(tmp_path))
    from lightning.pytorch import seed_everything

    from graves_lm.data.opening import prepare
    from graves_lm.learning.tasks.character import score

    seed_everything(cfg.seed, verbose=False)
    data = prepare(cfg.data)
    task = make_task(cfg, data)
    batch = data.training_batches().batch(0)
    logits, _ = task.network(batch.symbol_TB, task.network.initial_state(4))
    nats, _ = score(logits, batch)
    (nats / batch.symbol_TB.numel()).backward()
    for name, w in task.named_parameters():
        torch.testing.assert_close(point[name], w.grad, rtol=1e-5, atol=1e-7)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path):
    source = write_text(tmp_path)
    run = tmp_path / "run"
    train(run, source, "trainer.max_steps=6")
    good = (run / "checkpoints" / "last.ckpt").read_bytes()
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 6
    import graves_lm.learning.tasks.character as module

    original, calls = module.score, []

    def poisoned(logits, batch):
        nats, missed = original(logits, batch)
        calls.append(1)
        return (nats * float("nan") if torch.is_grad_enabled() else nats), missed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "score", poisoned)
        with pytest.raises(TrainingDiverged, match=r"last good checkpoint is .*last\.ckpt.*optimizer\.lr"):
            train(run, source, "trainer.max_steps=12", "resume=last")
    assert (run / "checkpoints" / "last.ckpt").read_bytes() == good


def test_early_stopping_and_best_checkpoint(tmp_path):
    """With a rate that only does harm the first validation stays the best, and training stops."""
    source = write_text(tmp_path)
    record = train(
        tmp_path / "run",
        source,
        "trainer.max_steps=400",
        "trainer.val_check_interval=5",
        "callbacks.early_stopping.patience=2",
        "optimizer=sgd",
        "optimizer.lr=3.0",
        "optimizer.unit=point",
    )
    assert record["steps"] < 400
    best = torch.load(record["checkpoint"], weights_only=True)
    assert best["global_step"] <= record["steps"]
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["val/bpc"] == record["val/bpc"]


def test_retraining_begins_with_the_weights_of_another_run(tmp_path):
    """The paper's sequence: trained without noise, then again with it, from the same network."""
    source = write_text(tmp_path)
    train(tmp_path / "first", source, "trainer.max_steps=3")
    first = tmp_path / "first" / "checkpoints" / "last.ckpt"
    rate = ["optimizer.lr=1e-12", "optimizer.warmup_steps=0"]
    train(tmp_path / "second", source, "trainer.max_steps=1", "noise=adaptive", f"init={first}", *rate)
    second = tmp_path / "second" / "checkpoints" / "last.ckpt"
    before, after = (torch.load(p, weights_only=True)["state_dict"] for p in (first, second))
    for name in (k for k in before if k.startswith("network.")):
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-8)
    with pytest.raises(UserError, match="networks differ"):
        train(tmp_path / "third", source, f"init={first}", "model.network.hidden_size=7")


def test_the_last_weights_are_the_best_ones_when_no_validation_came_after_them(tmp_path):
    """Training ends 3 steps after its last validation, and still improves: best.ckpt is its end."""
    source = write_text(tmp_path)
    record = train(tmp_path / "run", source, "trainer.max_steps=13", "trainer.val_check_interval=10")
    assert record["steps"] == 13
    assert torch.load(record["checkpoint"], weights_only=True)["global_step"] == 13


# --- stages and other units, with strokes ---------------------------------------------------------

STILL = ("optimizer.lr=1e-12", "optimizer.warmup_steps=0", "callbacks.samples=null")


def last_of(folder):
    return folder / "checkpoints" / "last.ckpt"


def steps_and_weights(path):
    checkpoint = torch.load(path, weights_only=True)
    weights = {k: v for k, v in checkpoint["state_dict"].items() if k.startswith("network.")}
    return checkpoint["global_step"], weights


def test_a_network_of_another_noise_begins_a_new_stage(tmp_path):
    """Its weights are taken, its steps are not; `resume=last` then goes on within the new stage, and once
    begun with the same weights where nothing had been saved."""
    source = write_waves(tmp_path)
    train(tmp_path / "first", source, "trainer.max_steps=5", "callbacks.samples=null")
    first, second = last_of(tmp_path / "first"), last_of(tmp_path / "second")
    stage = ["noise=adaptive", f"init={first}", *STILL]
    with pytest.raises(UserError, match=rf"trained with other weight noise.*; init={first} begins a new run"):
        train(tmp_path / "second", source, "noise=adaptive", f"resume={first}", *STILL)
    assert train(tmp_path / "second", source, "trainer.max_steps=3", *stage)["steps"] == 3
    (_, before), (steps, after) = steps_and_weights(first), steps_and_weights(second)
    assert steps == 3
    assert before.keys() == after.keys()
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight, rtol=0, atol=1e-8)
    assert any(k.startswith("noise.") for k in torch.load(second, weights_only=True)["state_dict"])
    more = ["trainer.max_steps=5", "noise=adaptive", "resume=last", *STILL]
    assert train(tmp_path / "second", source, *more)["steps"] == 5
    # Naming the stage's own checkpoint goes on with it too.
    more = ["trainer.max_steps=6", "noise=adaptive", f"resume={second}", *STILL]
    assert train(tmp_path / "third", source, *more)["steps"] == 6


def test_a_new_stage_on_lines_of_another_size(tmp_path):
    """The weights go on in their own units, brought to the size of the new lines."""
    train(tmp_path / "first", write_waves(tmp_path), "trainer.max_steps=2", "callbacks.samples=null")
    (tmp_path / "other").mkdir()
    other = write_ink(tmp_path / "other" / "ink.json", [make_line(f"l{i}", 20) for i in range(10)])
    begin = f"init={last_of(tmp_path / 'first')}"
    record = train(tmp_path / "second", other, "trainer.max_steps=1", begin, *STILL)
    (_, before), (_, after) = (steps_and_weights(last_of(tmp_path / name)) for name in ("first", "second"))
    assert all(torch.allclose(after[k], before[k], rtol=0, atol=1e-8) for k in before)
    units = [
        read_checkpoint(path)["graves_lm"]["facts"]["normalisation"]
        for path in (last_of(tmp_path / "first"), record["checkpoint"])
    ]
    ratio = units[1]["std"][0] / units[0]["std"][0]
    assert ratio > 2
    assert units[1]["mean"] == pytest.approx([ratio * mean for mean in units[0]["mean"]])
    # Resuming is another matter: its figures would be of two data.
    with pytest.raises(UserError, match="the data are not those it was trained on"):
        train(tmp_path / "third", other, f"resume={last_of(tmp_path / 'first')}", *STILL)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    source = write_waves(tmp_path)
    train(tmp_path / "text", write_text(tmp_path), "trainer.max_steps=1")
    for key in ("resume", "init"):
        with pytest.raises(UserError, match="of model=character"):
            train(tmp_path / "ink", source, f"{key}={last_of(tmp_path / 'text')}")


@pytest.mark.parametrize(
    ("write", "other", "refusal"),
    [
        (write_waves, "model=character", "model=character does not go with data=ink, which has no symbols"),
        (
            write_text,
            "model=stroke",
            "model=stroke does not go with data=textfile, which has no normalisation",
        ),
    ],
)
def test_data_of_another_kind_are_refused_before_any_is_read(tmp_path, write, other, refusal):
    source = write(tmp_path)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        name = "ink" if source.suffix == ".json" else "textfile"
        places = [f"data.source={source}", f"data.cache_dir={tmp_path / 'cache'}", f"run_dir={tmp_path}"]
        cfg = compose("train", [other, f"data={name}", *places])
    with pytest.raises(UserError, match=refusal):
        run(cfg)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("write", "sampler", "refusal"),
    [
        (write_waves, "sampler=text", "TextSampler does not draw for model=stroke"),
        (write_text, "sampler=strokes", "StrokeSampler does not draw for model=character"),
        (write_waves, "sampler=from_checkpoint", "does not draw for model=stroke"),
    ],
)
def test_a_sampler_of_another_kind_is_refused(tmp_path, write, sampler, refusal):
    """And not after an epoch, when the first sample is drawn."""
    source = write(tmp_path)
    name = ["model=stroke", "data=ink"] if source.suffix == ".json" else ["data=textfile"]
    places = [f"data.source={source}", f"data.cache_dir={tmp_path / 'cache'}", f"run_dir={tmp_path / 'run'}"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", [*name, *places, sampler])
    with pytest.raises(UserError, match=refusal):
        run(cfg)
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("setting", ["sampler=primed", "sampler.prime=me.inkml", "sampler.prime_text=abc"])
def test_a_prime_that_training_would_not_follow_is_refused(setting):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", ["model=synthesis", setting])
    with pytest.raises(
        UserError, match=r"sampler\.prime(_text)?: samples in training have a line of the data"
    ):
        make_task(cfg, None)


@pytest.mark.slow
def test_two_processes_train_as_one_with_batches_twice_as_large(tmp_path):
    """They take the same lines at the same steps, and divide by what both have seen."""
    source = write_waves(tmp_path)
    settings = ["trainer.max_steps=14", "trainer.max_epochs=5", "callbacks.samples=null"]
    settings += [
        "optimizer=sgd",
        "optimizer.unit=point",
        "optimizer.lr=1e-2",
    ]  # Adam would hide a wrong scale
    alone = train(tmp_path / "alone", source, *settings, "data.batch_size=6")
    command = [sys.executable, "-m", "graves_lm.train", "name=test", f"run_dir={tmp_path / 'two'}"]
    command += [*run_on(source, tmp_path / "cache"), *settings, "data.batch_size=3", "logger=none"]
    command += ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=32-true"]
    command += ["checkpoint_every=1", "callbacks.progress=null", "+trainer.enable_progress_bar=false"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    together = json.loads((tmp_path / "two" / "metrics.json").read_text())
    assert together["steps"] == alone["steps"] == 14
    for name in ("val/nll_per_line", "val/nll_per_point", "val/sse"):
        assert together[name] == pytest.approx(alone[name], rel=1e-3)
    (_, ours), (_, theirs) = (steps_and_weights(last_of(tmp_path / name)) for name in ("two", "alone"))
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=1e-3, atol=1e-4)
