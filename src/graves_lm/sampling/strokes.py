"""Handwriting drawn point by point from a stroke network, section 4.2.

Shape legend: L lines, M components; a point is (dx, dy, end of stroke) in normalised units.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from graves_lm.errors import UserError
from graves_lm.models.stroke import StrokeNetwork

_BLOCK = 256  # points whose random numbers are drawn together


class StrokeSampler:
    """Draws lines without a text.

    Args:
        lines: how many.
        length: points a line.
        bias: 0 draws from the network's density; more keeps to its likelier parts (61)-(62).
    """

    def __init__(self, lines: int = 8, length: int = 700, bias: float = 0.0):
        for key, value in (("lines", lines), ("length", length)):
            if not isinstance(value, int) or value < 1:
                raise UserError(f"sampler.{key}={value}: a whole number, at least 1, is needed")
        if not isinstance(bias, int | float) or not 0 <= bias < math.inf:
            raise UserError(f"sampler.bias={bias}: a finite number of 0 or more is needed")
        self.lines, self.length, self.bias = lines, length, bias

    def stream(self, network: StrokeNetwork, seed: int) -> Iterator[Tensor]:
        """The points (L, 3) one after another. Line i has random numbers of its own, from (seed, i)."""
        noise = point_noise(network.head.mixtures, [line_seed(seed, i) for i in range(self.lines)])
        with torch.inference_mode():
            state = network.initial_state(self.lines)
            x_L3 = torch.zeros(self.lines, 3, device=state[0].h_BH.device)
            for _ in range(self.length):
                distribution, state = network.step(x_L3, state)
                x_L3 = distribution.biased(self.bias).point(*(n.to(x_L3) for n in next(noise)))
                yield x_L3


def line_seed(seed: int, line: int) -> int:
    """The seed of one line's random numbers, unrelated to those of its neighbours."""
    return int(torch.randint(2**62, (line + 1,), generator=torch.Generator().manual_seed(seed))[line])


def point_noise(mixtures: int, seeds: Sequence[int]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The random numbers of `StrokeDistribution.point`, batch (L,), point after point without end.

    Each line has its own generator, so that a line is the same alone and among others.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    while True:
        race = [torch.empty(_BLOCK, mixtures).exponential_(generator=g) for g in generators]
        z = [torch.empty(_BLOCK, 2).normal_(generator=g) for g in generators]
        u = [torch.empty(_BLOCK).uniform_(generator=g) for g in generators]
        yield from zip(torch.stack(race, 1), torch.stack(z, 1), torch.stack(u, 1), strict=True)
