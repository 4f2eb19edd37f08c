"""Training as a whole: it learns, in the paper's units, and stops when it must."""

import json

import pytest
import torch

from graves_lm.errors import TrainingDiverged, UserError
from graves_lm.tasks.loading import load_task, read_checkpoint
from tests.runs import compose_run, train, write_text


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
    written = "".join(task.write(sampler, prompt="the quick brown "))
    assert "fox jumps" in written
    assert written == "".join(task.write(sampler, prompt="the quick brown "))


def gradients_before_the_step(tmp_path, monkeypatch, name, *overrides):
    """The weights' derivatives as the optimiser gets them in the first step."""
    from graves_lm.tasks.character import CharacterTask

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
    from graves_lm.tasks.character import score
    from graves_lm.training import make_task, prepare, seed_everything

    seed_everything(cfg.seed, verbose=False)
    data = prepare(cfg.data)
    task = make_task(cfg, data)
    batch = data.train_dataloader().batch(0)
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
    import graves_lm.tasks.character as module

    original, calls = module.score, []

    def poisoned(logits, batch):
        nats, missed = original(logits, batch)
        calls.append(1)
        return (nats * float("nan") if torch.is_grad_enabled() else nats), missed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "score", poisoned)
        with pytest.raises(TrainingDiverged, match=r"last good checkpoint is .*last\.ckpt.*optimizer\.lr"):
            train(run, source, "trainer.max_steps=12", "ckpt=last")
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
    train(tmp_path / "second", source, "trainer.max_steps=1", "noise=adaptive", f"weights={first}", *rate)
    second = tmp_path / "second" / "checkpoints" / "last.ckpt"
    before, after = (torch.load(p, weights_only=True)["state_dict"] for p in (first, second))
    for name in (k for k in before if k.startswith("network.")):
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-8)
    with pytest.raises(UserError, match="networks differ"):
        train(tmp_path / "third", source, f"weights={first}", "model.network.hidden_size=7")


def test_the_last_weights_are_the_best_ones_when_no_validation_came_after_them(tmp_path):
    """Training ends 3 steps after its last validation, and still improves: best.ckpt is its end."""
    source = write_text(tmp_path)
    record = train(tmp_path / "run", source, "trainer.max_steps=13", "trainer.val_check_interval=10")
    assert record["steps"] == 13
    assert torch.load(record["checkpoint"], weights_only=True)["global_step"] == 13
