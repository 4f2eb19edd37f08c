"""The figures of training against independent counts of the same."""

import csv
import itertools
import math
from types import SimpleNamespace

import pytest
import torch

from graves_lm.learning.callbacks import figures
from graves_lm.learning.callbacks.figures import clipped_and_all, recurrences
from graves_lm.learning.tasks.stroke import StrokeTask
from graves_lm.models.character import CharacterNetwork
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.models.synthesis import SynthesisNetwork, Text
from tests.runs import train, write_waves

CLIP = 1e-3


def character_loss():
    network = CharacterNetwork(5, layers=2, hidden_size=6, clip=CLIP)
    target_TB = torch.randint(5, (9, 3))
    logits_TBK, _ = network(target_TB, network.initial_state(3))
    return network.stack, torch.nn.functional.cross_entropy(logits_TBK.flatten(0, 1), target_TB.flatten())


def stroke_loss():
    network = StrokeNetwork(layers=2, hidden_size=6, mixtures=2, clip=CLIP)
    distribution, _ = network(torch.randn(9, 3, 3).abs().clamp(0, 1), network.initial_state(3))
    return network.stack, -distribution.log_prob(torch.randn(9, 3, 3).abs().clamp(0, 1).round()).sum()


def synthesis_loss():
    network = SynthesisNetwork(symbols=4, layers=2, hidden_size=6, mixtures=2, window_components=2, clip=CLIP)
    points = torch.randn(9, 3, 3).abs().clamp(0, 1).round()
    text = Text.of([[0, 1], [2, 3, 1], [1]])
    distribution, _, _ = network(points, text, network.initial_state(3))
    return network.stack, -distribution.log_prob(points).sum()


@pytest.mark.parametrize("make", [character_loss, stroke_loss, synthesis_loss])
def test_the_graph_gives_the_clipped_derivatives_of_every_layer(make):
    torch.manual_seed(0)
    stack, loss = make()
    found, bounds = [], []
    for node in recurrences(loss):
        bounds.append(node.clip)
        node.register_hook(lambda grads, _: found.append(grads[0]))
    loss.backward()
    assert bounds == [CLIP, CLIP]
    assert all(dz_TBG.abs().max() == torch.tensor(CLIP) for dz_TBG in found)  # clipped, and somewhere at it
    # z = W_x x + b: the derivatives of z sum up to the one of b.
    sums = {tuple(dz_TBG.sum((0, 1)).tolist()) for dz_TBG in found}
    for bias in stack.bias:
        assert any(torch.allclose(bias.grad, torch.tensor(total), atol=1e-6) for total in sums)
    assert len(sums) == len(list(stack.bias))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_derivatives_at_the_bound_are_counted(dtype):
    dz = torch.tensor([0.3, -0.3, 0.2, 0.0, 0.0, 9.0]).clamp(-0.3, 0.3).to(dtype)
    assert clipped_and_all(dz.view(1, 2, 3), 0.3).tolist() == [3, 4]
    assert clipped_and_all(dz.view(1, 2, 3), math.inf).tolist() == [0, 4]


@pytest.mark.parametrize("bound", [None, 0.5])
def test_rate_and_gradient_norm_are_those_of_the_step(tmp_path, bound):
    """Without momentum a step is the rate times the gradient: two rates tell the gradient."""
    source = write_waves(tmp_path)
    settings = ["optimizer=sgd", "optimizer.algorithm.momentum=0", "logger=csv", "trainer.max_steps=1"]
    settings += ["callbacks.samples=null", "trainer.limit_val_batches=1"]
    settings += [f"optimizer.clip_norm={'null' if bound is None else bound}"]
    norms, weights = [], []
    for rate in (0.01, 0.03):
        run_dir = tmp_path / str(rate)
        train(run_dir, source, *settings, f"optimizer.lr={rate}")
        rows = list(csv.DictReader((run_dir / "csv" / "metrics.csv").open()))
        (row,) = [row for row in rows if row["train/lr"]]
        assert float(row["train/lr"]) == pytest.approx(rate)
        assert 0 <= float(row["train/clipped_share"]) <= 1
        norms.append(float(row["train/gradient_norm"]))
        state = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        weights.append(torch.cat([w.double().flatten() for w in state.values()]))
    step = float((weights[0] - weights[1]).norm()) / 0.02
    assert norms[0] == norms[1] > 0.5
    assert step == pytest.approx(norms[0] if bound is None else bound, rel=1e-3)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_pace_is_of_all_that_was_read_since_it_was_last_recorded(tmp_path, monkeypatch, accumulate):
    clock = itertools.count()  # a second each time that somebody looks
    monkeypatch.setattr(figures, "time", SimpleNamespace(perf_counter=lambda: float(next(clock))))
    sizes = []
    step = StrokeTask.training_step

    def training_step(self, batch, batch_idx):
        sizes.append(batch.size)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(StrokeTask, "training_step", training_step)
    train(
        tmp_path / "run",
        write_waves(tmp_path),
        "logger=csv",
        "callbacks.samples=null",
        "trainer.max_steps=4",
        "trainer.max_epochs=9",
        "trainer.val_check_interval=100",
        "trainer.check_val_every_n_epoch=null",
        f"trainer.accumulate_grad_batches={accumulate}",
        "trainer.log_every_n_steps=2",
    )
    rows = csv.DictReader((tmp_path / "run" / "csv" / "metrics.csv").open())
    rates = [float(row["train/points_per_second"]) for row in rows if row["train/points_per_second"]]
    n = 2 * accumulate
    assert rates == [sum(sizes[:n]), sum(sizes[n : 2 * n])]
