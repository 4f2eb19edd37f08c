"""The random numbers of sampled lines: each line its own, so that it is the same alone and among others.

Shape legend: L lines, M mixture components.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_BLOCK = 256  # points whose random numbers are made together


class Noise(NamedTuple):
    """The random numbers of one point a line, (L, M), (L, 2) and (L,): see `StrokeDistribution.point`."""

    race_LM: Tensor
    z_L2: Tensor
    u_L: Tensor

    def to(self, device: torch.device) -> "Noise":
        return self if self.u_L.device == device else Noise(*(n.to(device) for n in self))

    def of(self, lines: Sequence[int]) -> "Noise":
        """Those of some lines."""
        return Noise(*(n[lines] for n in self))


def line_seed(seed: int, *place: int) -> int:
    """The seed of one line's random numbers: of `seed` and the line's place, unrelated to its neighbours'."""
    return int(
        np.random.SeedSequence((abs(seed), int(seed < 0), *place)).generate_state(1, np.uint64)[0] >> 1
    )


def point_noise(mixtures: int, seeds: Sequence[int]) -> Iterator[Noise]:
    """The random numbers of lines with these seeds, point after point without end."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    while True:
        race = [torch.empty(_BLOCK, mixtures).exponential_(generator=g) for g in generators]
        z = [torch.empty(_BLOCK, 2).normal_(generator=g) for g in generators]
        u = [torch.empty(_BLOCK).uniform_(generator=g) for g in generators]
        drawn = zip(torch.stack(race, 1), torch.stack(z, 1), torch.stack(u, 1), strict=True)
        yield from (Noise(*numbers) for numbers in drawn)
