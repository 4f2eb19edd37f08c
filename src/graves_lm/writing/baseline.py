"""Where a written line stands and how large it is, from the turning points of the pen.

The pen turns at the bottoms of letters, most of which stand on the baseline while some hang below it (g,
p, y) or end above it (quotes, hyphens); and at their tops, most of which lie at the height of an x.

Shapes: T points of a line, N turning points, R rises tried, C candidates, K coefficients of a baseline.
"""

from typing import NamedTuple

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike, NDArray

from graves_lm.rendering.layout import positions, split_strokes

Floats = NDArray[np.float64]

# All in heights of an x. What is known of lines of writing before one is seen: how far the pen misses the
# baseline, and how much baselines climb (per x height of way), and bend (over the line's width).
MISS, CLIMB, BEND = 0.09, 0.04, 0.5
SHORT = 8.0  # half a line of two or three words: a shorter one has hardly a bend
OUTLIER = 0.03  # the likelihood of a bottom that does not stand on the baseline, against one that does
SWING = 0.3  # a turn after a shorter way up or down is a tremor
CAPITALS = 1.65  # the height of a capital
SEARCHED = 32  # candidates that a search looks at; a runaway line has thousands


class Measure(NamedTuple):
    """A line's place, in data units: x from the leftmost ink, y down from where the first offset starts."""

    baseline: Polynomial  # its y at an x
    width: float
    x_height: float  # 0 where no letter shows it


def measure(line: ArrayLike, text: str = "") -> Measure:
    """Baseline and size of the line (T, 3). The text tells capitals from small letters.

    Raises UserError where the strokes are not finite.
    """
    xy_T2 = positions(line)
    if len(xy_T2) == 0:
        return Measure(Polynomial([0.0]), 0.0, 0.0)
    left, width = xy_T2[:, 0].min(), float(np.ptp(xy_T2[:, 0]))
    bottoms_N2, tops_N2, size = turning_points([s - (left, 0) for s in split_strokes(xy_T2, line)])
    if len(bottoms_N2) == 0:
        return Measure(Polynomial([xy_T2[:, 1].max()]), width, 0.0)
    for _ in range(2):  # the first size is rough
        baseline = fit_baseline(bottoms_N2, width, size)
        heights_N = baseline(tops_N2[:, 0]) - tops_N2[:, 1]
        heights_N = heights_N[heights_N > 0.4 * size]
        if len(heights_N) == 0:
            return Measure(baseline, width, 0.0)
        size = densest(heights_N, 0.2 * size)
    if sum(c.islower() for c in text) < sum(c.isupper() or c.isdigit() for c in text):
        size /= CAPITALS
    return Measure(baseline, width, size)


def turning_points(strokes: list[Floats]) -> tuple[Floats, Floats, float]:
    """Bottoms (N, 2) and tops (N, 2) of the pen's ways up and down, and a typical such way."""
    turns = [s[_turns(s[:, 1])] for s in strokes]
    ways = np.sort(np.concatenate([np.abs(np.diff(t[:, 1])) for t in turns]))
    if ways.sum() == 0:
        return np.zeros((0, 2)), np.zeros((0, 2)), 0.0
    # Half of all the way is made of pieces at least as long: tremors add up to little.
    size = float(ways[np.searchsorted(np.cumsum(ways), ways.sum() / 2)])
    bottoms, tops = [], []
    for turn in turns:
        way = np.diff(turn[:, 1], prepend=turn[:1, 1], append=turn[-1:, 1])
        before, after = way[:-1], way[1:]
        large = np.maximum(np.abs(before), np.abs(after)) > SWING * size
        bottoms.append(turn[large & (before - after > 0)])
        tops.append(turn[large & (before - after < 0)])
    return np.concatenate(bottoms), np.concatenate(tops), size


def _turns(y_N: Floats) -> NDArray[np.int64]:
    """Indices where y stops growing or falling, and both ends."""
    moving = np.flatnonzero(np.diff(y_N))
    sign = np.sign(np.diff(y_N)[moving])
    inner = moving[1:][sign[1:] != sign[:-1]]
    return np.unique(np.concatenate([[0], inner, [len(y_N) - 1]]))


def fit_baseline(bottoms_N2: Floats, width: float, size: float) -> Polynomial:
    """The cubic on which most of the bottoms stand.

    The most probable baseline, where bottoms miss it by a normal error or are outliers anywhere, and
    baselines are level and straight unless the bottoms show otherwise (so that a single word has no slope).
    The best straight line is searched for, then bent.
    """
    x_N, y_N = bottoms_N2.T / size
    half = max(width / size, 1.0) / 2
    u_N = x_N / half - 1
    # The prior's spread of: y at the middle, half the rise over the width, the two bends.
    bend = BEND * min(1, half / SHORT) ** 2
    spread = np.array([np.inf, CLIMB * half, bend, bend])
    A_NK = np.stack([np.ones_like(u_N), u_N, u_N**2, u_N**3], 1)

    rises_R = np.linspace(-5, 5, 101) * spread[1]
    level_RN = y_N - rises_R[:, None] * u_N  # where each bottom would have the line's middle, at each rise
    level_RC = level_RN[:, :: len(y_N) // SEARCHED + 1]
    cost_RC = np.stack(
        [
            np.minimum(((level_RN - level_R[:, None]) / MISS) ** 2, -2 * np.log(OUTLIER)).sum(1)
            for level_R in level_RC.T
        ],
        1,
    )
    cost_RC += (rises_R[:, None] / spread[1]) ** 2
    r, c = np.unravel_index(cost_RC.argmin(), cost_RC.shape)
    c_K = np.array([level_RC[r, c], rises_R[r], 0.0, 0.0])
    for miss in np.linspace(4, 1, 8) * MISS:  # wide at first, to find what bends away
        weight_N = np.exp(-0.5 * ((y_N - A_NK @ c_K) / miss) ** 2)
        weight_N *= 1 / (weight_N + OUTLIER) / miss**2
        c_K = np.linalg.solve((A_NK.T * weight_N) @ A_NK + np.diag(spread**-2), (A_NK.T * weight_N) @ y_N)
    return Polynomial(c_K * size)(Polynomial([-1, 1 / (half * size)]))


def densest(values_N: Floats, width: float) -> float:
    """Where the values lie densest: the mean of those about the peak, weighted as they were counted."""
    peaks_C = values_N[:: len(values_N) // SEARCHED + 1]
    weight_CN = np.exp(-0.5 * ((peaks_C[:, None] - values_N) / width) ** 2)
    weight_N = weight_CN[weight_CN.sum(1).argmax()]
    return float((weight_N * values_N).sum() / weight_N.sum())
