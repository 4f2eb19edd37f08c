"""How large a network writes in the style of a prime, as a share of the prime itself.

Samples are smaller than their prime, the more so the larger the bias, by a share that is the hand's own:
0.66 to 0.91 at a bias of 0.5 (docs/adr/0025-primes.md). So the prime's own text is written in its style,
which is not shown, and compared with the prime.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from graves_lm.data.strokes import Floats, Normalisation, size
from graves_lm.sampling.events import whole_lines
from graves_lm.sampling.passage import Passage, Prime
from graves_lm.sampling.protocols import DrawsHandwriting

TRIALS = 3
"""Lines that are written for it. The middle one counts: one in some goes astray."""
_NUMBER = 2**41  # of the first of them, beyond all others', for its random numbers
_LEAST, _MOST = 0.4, 2.5  # beyond them the network has not taken on the style at all
_KEPT = 64  # shares that are remembered


class SizeKept:
    """The share for primes, samplers and weights that were seen before, and for new ones.

    Args:
        network: as it is when the share is asked for; later changes of its weights make another.
        normalisation: between data units and the network's.
    """

    def __init__(self, network: nn.Module, normalisation: Normalisation):
        self._network, self._normalisation = network, normalisation
        self._shares: dict[Any, float] = {}

    def share(self, sampler: DrawsHandwriting, prime: Prime) -> float:
        """The size of what `sampler` draws over that of the prime; 1 where no line of it comes to its end.

        The same for the same prime, settings and weights, so that a line that is drawn again is the same.
        """
        key = (
            prime.point_T3.numpy().tobytes(),
            tuple(prime.symbol_U),
            settings_key(sampler),
            weights_key(self._network),
        )
        return remembered(self._shares, key, lambda: self._measured(sampler, prime), _KEPT)

    def _measured(self, sampler: DrawsHandwriting, prime: Prime) -> float:
        own = size(self._normalisation.invert(prime.point_T3.numpy()))
        found = []
        for n in range(TRIALS):  # alone each: a single line has the faster step
            passage = Passage([prime.symbol_U[:-1]], 0, prime, _NUMBER + n, live=True)
            for line in whole_lines(sampler.events(self._network, passage)):  # type: ignore[arg-type]
                if line.report.stopped:
                    found.append(size(self._in_data_units(line.points)) / own)
        kept = [share for share in found if _LEAST < share < _MOST]
        return float(np.median(kept)) if kept else 1.0

    def _in_data_units(self, points: Any) -> Floats:
        line = self._normalisation.invert(np.array(points, np.float32))
        line[0, :2] = 0  # the way from the prime
        return line


def settings_key(sampler: Any) -> tuple[type, str]:
    """What tells samplers that draw differently apart."""
    return type(sampler), repr(getattr(sampler, "__dict__", sampler))


def weights_key(network: nn.Module) -> tuple[tuple[int, int], ...]:
    """What changes when a network's weights do."""
    return tuple((w.data_ptr(), 0 if w.is_inference() else w._version) for w in network.parameters())


def remembered(known: dict[Any, Any], key: Any, make: Callable[[], Any], most: int) -> Any:
    """What is known by a key, made where it is not; the oldest is forgotten when there are `most`."""
    if key not in known:
        made = make()
        if len(known) >= most:
            del known[next(iter(known))]
        known[key] = made
    return known[key]
