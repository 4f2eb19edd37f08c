"""The random numbers of sampled lines: each line its own, so that it is the same alone and among others.

They come from a counter (Philox: J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011):
number n of a line is a function of the line's key and n, the same on every machine and in every language.
Point t of a line takes the numbers from (M + 3) t on: M of the race, two of z, one of u.

Shape legend: L lines, P points of each, M mixture components.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_BLOCK = 256  # points whose random numbers are made together

Key = tuple[int, int]
"""Of a line, two words of 64 bits: the seed, and the line's place."""


class Noise(NamedTuple):
    """The random numbers of a point of each line, (L, M), (L, 2) and (L,), or of P, (P, L, M), (P, L, 2) and
    (P, L): see `StrokeDistribution.point`."""

    race_LM: Tensor
    z_L2: Tensor
    u_L: Tensor

    def to(self, device: torch.device) -> "Noise":
        return self if self.u_L.device == device else Noise(*(n.to(device) for n in self))

    def of(self, lines: Sequence[int]) -> "Noise":
        """Those of some lines."""
        along = self.u_L.dim() - 1
        index = torch.tensor(lines, dtype=torch.long, device=self.u_L.device)
        return Noise(*(n.index_select(along, index) for n in self))


def line_key(seed: int, line: int, candidate: int = 0) -> Key:
    """The key of a line, or of one of its candidates."""
    return seed % 2**64, line % 2**32 << 32 | candidate % 2**32


def point_noise(mixtures: int, keys: Sequence[Key]) -> Iterator[Noise]:
    """The random numbers of lines with these keys, point after point without end: standard exponential,
    standard normal (G. Box, M. Muller, 1958) and uniform."""
    for some in noise_blocks(mixtures, keys, 1):
        yield Noise(*(n[0] for n in some))


def noise_blocks(mixtures: int, keys: Sequence[Key], points: int) -> Iterator[Noise]:
    """The same for some points at a time, of which 256 must be a multiple."""
    generators = [np.random.Philox(key=np.array(key, np.uint64)) for key in keys]
    shape = (_BLOCK, mixtures + 3)
    while True:
        words_TLN = np.stack([g.random_raw(np.prod(shape)).reshape(shape) for g in generators], axis=1)
        uniform_TLN = ((words_TLN >> 11) + 0.5) * 2.0**-53  # never 0 or 1
        far_TL, turn_TL = np.sqrt(-2 * np.log(uniform_TLN[..., -3])), 2 * np.pi * uniform_TLN[..., -2]
        z_TL2 = np.stack([far_TL * np.cos(turn_TL), far_TL * np.sin(turn_TL)], axis=2)
        numbers = (-np.log(uniform_TLN[..., :-3]), z_TL2, uniform_TLN[..., -1])
        drawn = [torch.from_numpy(n.astype(np.float32)).split(points) for n in numbers]
        yield from (Noise(*some) for some in zip(*drawn, strict=True))
