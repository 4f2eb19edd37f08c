"""How a pen moves along a path: overlapping minimum-jerk movements, read off by a tablet.

A stroke is written as a chain of simple movements between its corners and along its bows. Each follows
the path with the smoothest possible start and stop (Flash & Hogan 1985: the progress 10τ³−15τ⁴+6τ⁵
minimises the jerk), takes a time that grows slowly with its length, and begins before the one before it
is over; the overlapping ones add up (Flash & Henis 1991). So the speed dips where the path bends and
corners become round, as in real handwriting.

Units: font units (capitals are 21 high) and seconds. Shapes: n points of a path, P movements, S readings.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graves_lm.data.hershey.forms import Path

RATE = 75.0  # readings per second, as the whiteboard of IAM-OnDB
_STEP = 0.6  # font units between the points of a resampled path
_CORNER = 0.9  # radians turned within about 2 units that make a corner
_TURN, _REACH = 2.0, 26.0  # radians or font units that one movement covers at most


class Motor(NamedTuple):
    """How one person moves."""

    tempo: float  # seconds of a movement over 10 font units
    overlap: float  # share of a movement that overlaps with the next
    roundness: float  # font units over which corners are smoothed
    tremor: float  # font units


def write(path: Path, motor: Motor, rng: np.random.Generator, rate: float = RATE) -> Path:
    """Readings `(S, 2)`, `rate` a second, of a pen that writes the polyline `path` `(n, 2)`; at least two."""
    path = _smooth(_resample(path), motor.roundness)
    cuts, corner = _cut(path)
    step = np.hypot(*np.diff(path, axis=0).T)
    arc = np.concatenate([[0.0], np.cumsum(step)])  # (n,)
    lengths = np.diff(arc[cuts])  # (P,)
    effort = np.exp(rng.normal(0, 0.1, len(lengths)))
    durations = motor.tempo * (np.maximum(lengths, 3.0) / 10) ** 0.4 * effort
    # A corner is nearly a stop; a bow is written through.
    overlaps = motor.overlap * np.where(corner[1:-1], 0.55, 1.0)
    starts = np.concatenate([[0.0], np.cumsum(durations[:-1] * (1 - overlaps))])
    # The pen lands and lifts in flight: neither the very first nor the very last moment is on paper.
    first, last = 0.12 * durations[0], (starts + durations).max() - 0.12 * durations[-1]
    readings = max(2, round((last - first) * rate))
    times = first + (rng.random() + np.arange(readings)) / rate  # (S,)

    progress = _minimum_jerk((times[:, None] - starts) / durations)  # (S, P)
    reached = arc[cuts[:-1]] + progress * lengths  # (S, P) how far each movement has come on the path
    place = np.stack([np.interp(reached, arc, path[:, axis]) for axis in (0, 1)], axis=-1)  # (S, P, 2)
    pen = path[0] + (place - path[cuts[:-1]]).sum(axis=1)
    return pen + motor.tremor * _smooth_noise(rng, len(times))


def _minimum_jerk(tau: NDArray[np.float64]) -> NDArray[np.float64]:
    tau = np.clip(tau, 0, 1)
    return tau**3 * (10 - 15 * tau + 6 * tau**2)


def _resample(path: Path) -> Path:
    """Points about `_STEP` apart along the polyline."""
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    at = np.linspace(0, arc[-1], max(3, round(arc[-1] / _STEP) + 1))
    return np.stack([np.interp(at, arc, path[:, axis]) for axis in (0, 1)], axis=1)


def _smooth(path: Path, width: float) -> Path:
    """A moving average with a bell-shaped weight; the ends stay where they are."""
    half = min(round(2 * width / _STEP), (len(path) - 1) // 2)
    if half < 1:
        return path
    weight = (1 - (np.arange(-half, half + 1) / (half + 1)) ** 2) ** 2
    weight /= weight.sum()
    # Continued point-symmetrically beyond its ends, a path keeps them.
    before, after = 2 * path[0] - path[half:0:-1], 2 * path[-1] - path[-2 : -half - 2 : -1]
    longer = np.concatenate([before, path, after])
    return np.stack([np.convolve(longer[:, axis], weight, "valid") for axis in (0, 1)], axis=1)


def _cut(path: Path) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Indices `(P+1,)` where movements begin and end, and which of them are corners or ends."""
    d = np.diff(path, axis=0)
    cross = d[:-1, 0] * d[1:, 1] - d[:-1, 1] * d[1:, 0]
    turn = np.abs(np.arctan2(cross, (d[:-1] * d[1:]).sum(axis=1)))  # (n-2,) at inner points
    sharp = np.convolve(turn, np.ones(5), "same")[: len(turn)] if len(turn) >= 5 else turn
    padded = np.concatenate([[0.0], sharp, [0.0]])
    peak = (sharp > _CORNER) & (sharp >= padded[:-2]) & (sharp > padded[2:])
    corners = np.concatenate([[0], np.flatnonzero(peak) + 1, [len(path) - 1]])
    load = np.concatenate([[0.0], np.cumsum(np.append(turn, 0.0) / _TURN + np.hypot(*d.T) / _REACH)])  # (n,)
    cuts: list[int] = []
    for a, b in pairwise(corners):
        parts = max(1, round(float(load[b] - load[a])))
        wanted = load[a] + (load[b] - load[a]) * np.arange(parts) / parts
        cuts.extend(np.searchsorted(load, wanted[1:]).tolist() if parts > 1 else [])
        cuts.append(int(a))
    unique = np.unique([*cuts, len(path) - 1])
    return unique, np.isin(unique, corners)


def _smooth_noise(rng: np.random.Generator, count: int) -> Path:
    """Noise `(S, 2)` of variance about 1 with most power below 10 Hz, as the tremor of a hand."""
    weight = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / np.sqrt(19.0)
    white = rng.normal(size=(count + 4, 2))
    return np.stack([np.convolve(white[:, axis], weight, "valid") for axis in (0, 1)], axis=1)
