"""Handwriting drawn point by point from a stroke network, section 4.2.

Shape legend: L lines, M components; a point is (dx, dy, end of stroke) in normalised units.
"""

import math
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from graves_lm.errors import UserError
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.sampling.noise import line_seed, point_noise
from graves_lm.sampling.packed import Noise, PackedNetwork
from graves_lm.sampling.weights import check_kind


class StrokeSampler:
    """Draws lines without a text.

    Args:
        lines: how many.
        length: points a line.
        bias: 0 draws from the network's density; more keeps to its likelier parts (61)-(62).
        weights: how the network's weights are read: float32, bf16 or int8, see `sampling.weights`.
    """

    def __init__(self, lines: int = 8, length: int = 700, bias: float = 0.0, weights: str = "float32"):
        for key, value in (("lines", lines), ("length", length)):
            if not isinstance(value, int) or value < 1:
                raise UserError(f"sampler.{key}={value}: a whole number, at least 1, is needed")
        if not isinstance(bias, int | float) or not 0 <= bias < math.inf:
            raise UserError(f"sampler.bias={bias}: a finite number of 0 or more is needed")
        self.lines, self.length, self.bias = lines, length, float(bias)
        self.weights = check_kind(weights)

    @torch.inference_mode()
    def stream(self, network: StrokeNetwork, seed: int) -> Iterator[Tensor]:
        """The points (L, 3) one after another. Line i has random numbers of its own, from (seed, i)."""
        packed = PackedNetwork(network, self.weights)
        state_LS = packed.pack(network.initial_state(self.lines))
        x_L3 = state_LS.new_zeros(self.lines, 3)
        seeds = [line_seed(seed, i) for i in range(self.lines)]
        for noise in islice(point_noise(packed.mixtures, seeds), self.length):
            mine = Noise(*noise).to(x_L3.device)
            x_L3, state_LS, *_ = packed.point(x_L3, state_LS, mine, (self.bias, self.bias))
            yield x_L3
