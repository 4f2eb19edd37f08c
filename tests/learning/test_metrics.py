"""Figures of merit against numbers worked out by hand."""

import pytest
import torch

from graves_lm.learning.metrics import StrokeMetrics


def test_stroke_figures_by_hand():
    """Three lines of 2, 3 and 5 points: nats a line and a point are different means of the same sum."""
    metrics = StrokeMetrics()
    metrics.update(torch.tensor(-7.5), torch.tensor(1.0), 2, 5)
    metrics.update(torch.tensor(3.0), torch.tensor(2.5), 1, 5)
    figures = metrics.compute()
    assert {name: value.item() for name, value in figures.items()} == {
        "nll_per_line": -1.5,
        "nll_per_point": pytest.approx(-0.45),
        "sse": pytest.approx(0.35),
    }


def test_sums_are_kept_in_float64():
    """A million small numbers beside a large one: float32 would lose every one of them."""
    metrics = StrokeMetrics()
    metrics.update(torch.tensor(2.0**26), torch.tensor(0.0), 1, 1)
    for _ in range(1000):
        metrics.update(torch.tensor(1.0), torch.tensor(0.0), 0, 0)
    assert metrics.compute()["nll_per_line"].item() == 2**26 + 1000


def test_a_reset_forgets():
    metrics = StrokeMetrics()
    metrics.update(torch.tensor(1e9), torch.tensor(1e9), 5, 5)
    metrics.reset()
    metrics.update(torch.tensor(4.0), torch.tensor(8.0), 2, 4)
    assert [v.item() for v in metrics.compute().values()] == [2.0, 1.0, 2.0]
