"""Figures of merit, exact under any batching and any number of processes: sums first, ratios last."""

import math

import torch
from torch import Tensor
from torchmetrics import Metric


class SymbolMetrics(Metric):
    """Bits per character, perplexity and error rate of symbol predictions (Table 1 of the paper).

    `compute` returns
        bpc: mean nats / ln 2;
        perplexity: exp of the mean nats (a word model's figure);
        error_rate: share of symbols that were not the likeliest one.
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
