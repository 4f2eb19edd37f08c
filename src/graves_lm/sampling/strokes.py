"""Handwriting sampled point by point from a stroke network, section 4.2.

Shape legend: L lines, M components; a point is (dx, dy, end of stroke) in normalised units.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor

from graves_lm.models.stroke import StrokeNetwork
from graves_lm.runtime.errors import UserError
from graves_lm.sampling.noise import line_key, point_noise
from graves_lm.sampling.plain import for_drawing
from graves_lm.settings import declared
from graves_lm.settings.kinds import Bias, Weights

MOST_POINTS = 50_000_000


@declared("sampler")
class StrokeSampler:
    """Samples lines without a text: a `sampling.protocols.DrawsStrokes`.

    Args:
        lines: how many.
        length: points per line.
        bias: 0 samples the network's density; more keeps to its likelier parts (61)-(62).
        weights: how the network's weights are read: float32, bf16 or int8, see `sampling.weights`.

    >>> network = StrokeNetwork(layers=1, hidden_size=8, mixtures=2)
    >>> points = list(StrokeSampler(lines=2, length=3).points(network, seed=0))
    >>> len(points), points[0].shape
    (3, torch.Size([2, 3]))
    """

    def __init__(
        self,
        lines: Annotated[int, Meta(ge=1, le=10_000)] = 8,
        length: Annotated[int, Meta(ge=1, le=100_000)] = 700,
        bias: Bias = 0.0,
        weights: Weights = "float32",
    ):
        if lines * length > MOST_POINTS:
            raise UserError(
                f"sampler.lines={lines}, sampler.length={length}: {lines * length:,} points in all; at most "
                f"{MOST_POINTS:,}, which are 0.6 GB"
            )
        self.lines, self.length, self.bias = lines, length, float(bias)
        self.weights = weights

    @torch.inference_mode()
    def points(self, network: StrokeNetwork, seed: int) -> Iterator[Tensor]:
        """The points (L, 3) one after another. Line i has random numbers of its own, from (seed, i)."""
        packed = for_drawing(network, self.weights)
        state_LS = packed.pack(network.initial_state(self.lines))
        x_L3 = state_LS.new_zeros(self.lines, 3)
        keys = [line_key(seed, i) for i in range(self.lines)]
        for noise in islice(point_noise(packed.mixtures, keys), self.length):
            mine = noise.to(x_L3.device)
            x_L3, state_LS, *_ = packed.point(x_L3, state_LS, mine, (self.bias, self.bias))
            yield x_L3
