"""Metrics, exact under any batching and any number of processes: sums first, ratios last."""

import math

import torch
from torch import Tensor
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.text import CharErrorRate, WordErrorRate


class StrokeMetrics(Metric):
    """Metrics of pen point predictions, as in sections 4.2 and 5.2 of the paper, in normalised units.

    `compute` returns

    - nll_per_line: nats, the sum over a line's points (26), mean over lines; the paper's "log-loss";
    - nll_per_point: nats, mean over all points;
    - sse: the squared distance of the offset (x1, x2) from the mean of its predicted density, summed over
      both axes, mean over all points. The paper names it without a formula. Always predicting the mean
      offset gives 2; the pen bit has no part in it.
    """

    full_state_update = False
    nats: Tensor
    squares: Tensor
    lines: Tensor
    points: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("nats", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("squares", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("lines", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("points", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, nats: Tensor, squares: Tensor, lines: int, points: int) -> None:
        """Add sums over some whole lines: nats, squared distances; and how many lines and points."""
        self.nats += nats.double()
        self.squares += squares.double()
        self.lines += lines
        self.points += points

    def compute(self) -> dict[str, Tensor]:
        return {
            "nll_per_line": self.nats / self.lines,
            "nll_per_point": self.nats / self.points,
            "sse": self.squares / self.points,
        }


class SynthesisMetrics(StrokeMetrics):
    """`StrokeMetrics`, and whether the window reads the text.

    `compute` returns also

    - read_to_end: the share of lines at whose last point the window looks at the last character, or past
      the end;
    - advance: characters per point, how fast the window moves, mean over all points and components.
    """

    read: Tensor
    moved: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("read", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("moved", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update_window(self, read: Tensor, moved: Tensor) -> None:
        """Add, for the lines of an `update`, how many were read to the end and how far the window moved."""
        self.read += read
        self.moved += moved.double()

    def compute(self) -> dict[str, Tensor]:
        return super().compute() | {
            "read_to_end": self.read / self.lines,
            "advance": self.moved / self.points,
        }


class SymbolMetrics(Metric):
    """Bits per character, perplexity and error rate of symbol predictions (Table 1 of the paper).

    `compute` returns

    - bpc: mean nats / ln 2;
    - perplexity: exp of the mean nats (the metric of models of words);
    - error_rate: share of symbols that were not the likeliest one.
    """

    full_state_update = False
    nats: Tensor
    errors: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("nats", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("errors", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, nats: Tensor, errors: Tensor, count: Tensor) -> None:
        """Add sums over some symbols: their nats, how many were wrong, how many there were."""
        self.nats += nats.double()
        self.errors += errors
        self.count += count

    def compute(self) -> dict[str, Tensor]:
        mean = self.nats / self.count
        return {
            "bpc": mean / math.log(2),
            "perplexity": mean.exp(),
            "error_rate": self.errors / self.count,
        }


def reader_metrics() -> MetricCollection:
    """Metrics of reading: character error rate and word error rate, edits over the length of the texts, and
    the nats of a character of them.

    `update(preds=texts read, target=texts, value=nats per character, weight=characters)`.
    """
    return MetricCollection(
        {"cer": CharErrorRate(), "wer": WordErrorRate(), "nats_per_character": MeanMetric()}
    )
