"""The one convention for pen strokes, and their normalisation.

A line of handwriting of T points is an array `(T, 3)` float32 with the columns

    dx, dy           the offset from the previous point; x grows to the right, y grows DOWN; data units
    end_of_stroke    1 on the last point of each stroke (the pen is lifted after it), else 0

Row 0 is the point where the pen first touches: nothing comes before it, so its offset is (0, 0). It is
the paper's null vector x_1: a model reads rows 0 … T−1 and predicts rows 1 … T−1. Row 0 itself is never
predicted (its offset is the same in every line, and a Gaussian could shrink on it without bound), and
never counted in the normalisation. The last row always ends a stroke.

Shapes: T points of a line, L lines, N points of all lines.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graves_lm.runtime.errors import UserError

Floats = NDArray[np.float32]
_LARGEST = 1e30  # and its reciprocal the smallest: offsets in any unit, and float32 holds them


class StrokeLine(NamedTuple):
    """One line of handwriting: strokes `(T, 3)` in data units, its text and its writer ("" when unknown)."""

    id: str
    strokes: Floats
    text: str
    writer: str = ""


def from_pen_strokes(pen_strokes: Sequence[ArrayLike]) -> Floats:
    """Absolute positions, one array `(n_i, 2)` per stroke, as offsets `(Σ n_i, 3)`. Empty strokes vanish."""
    positions = [np.asarray(s, dtype=np.float64).reshape(-1, 2) for s in pen_strokes if np.size(s)]
    if not positions:
        return np.zeros((0, 3), np.float32)
    strokes = np.zeros((sum(map(len, positions)), 3), np.float32)
    # Differences in float64, so that large absolute positions cost no precision of the small offsets.
    strokes[1:, :2] = np.diff(np.concatenate(positions), axis=0)
    strokes[np.cumsum([len(p) for p in positions]) - 1, 2] = 1
    return strokes


def to_pen_strokes(strokes: ArrayLike) -> list[NDArray[np.float64]]:
    """Offsets `(T, 3)` as absolute positions `(n_i, 2)` per stroke; the first point lies at the origin."""
    strokes = np.asarray(strokes, dtype=np.float64)
    positions = np.cumsum(strokes[:, :2], axis=0)
    positions -= positions[:1]
    ends = np.flatnonzero(strokes[:, 2] > 0.5) + 1
    return [s for s in np.split(positions, ends) if len(s)]


def size(strokes: ArrayLike) -> float:
    """How large a line (T, 3) is written: the standard deviation of its points' heights about the straight
    line fitted to them."""
    x, y = np.cumsum(np.asarray(strokes, np.float64)[:, :2], axis=0).T
    x, y = x - x.mean(), y - y.mean()
    trend = x @ y / (x @ x) if x.any() else 0.0
    return float(np.std(y - trend * x))


@dataclass(frozen=True)
class Normalisation:
    """Offsets to mean 0 and standard deviation 1 per axis over the training lines; the pen bit is untouched.

    The likelihood of a stroke is a density, so metrics are comparable only in these units: the numbers
    travel with the checkpoint (`to_plain`, `from_plain`).

    >>> line = [[0, 0, 0], [1, 4, 0], [3, 8, 1]]
    >>> normalisation = Normalisation.fit([line])
    >>> normalisation.mean, normalisation.std
    ((2.0, 6.0), (1.0, 2.0))
    >>> normalisation.apply(line)[1:].tolist()
    [[-1.0, -1.0, 0.0], [1.0, 1.0, 1.0]]
    """

    mean: tuple[float, float]
    std: tuple[float, float]

    @classmethod
    def fit(cls, lines: Iterable[ArrayLike]) -> "Normalisation":
        """From unpadded lines `(T, 3)`; row 0 of each is the starting point, not an offset (see above)."""
        count, mean, square = 0, np.zeros(2), np.zeros(2)
        for line in lines:
            offsets = np.asarray(line, dtype=np.float64)[1:, :2]
            if len(offsets) == 0:
                continue
            # Chan's merge of the mean and the sum of squares: one pass, nothing kept, no cancellation.
            line_mean = offsets.mean(axis=0)
            shift = line_mean - mean
            total = count + len(offsets)
            square += ((offsets - line_mean) ** 2).sum(axis=0) + shift**2 * (count * len(offsets) / total)
            mean = mean + shift * (len(offsets) / total)
            count = total
        std = np.sqrt(square / max(count, 1))
        if not (std > 0).all() or not np.isfinite(std).all():
            axis = "xy"[int(np.argmin(std))] if np.isfinite(std).all() else "some"
            raise UserError(
                f"the {count} training offsets do not vary along the {axis} axis, so they cannot be "
                "normalised: give more or other lines"
            )
        return cls((float(mean[0]), float(mean[1])), (float(std[0]), float(std[1])))

    @property
    def still(self) -> tuple[float, float]:
        """The offset of a pen that does not move, in normalised units."""
        return -self.mean[0] / self.std[0], -self.mean[1] / self.std[1]

    def scaled(self, factor: float) -> "Normalisation":
        """That of lines `factor` times as large."""
        (mean_x, mean_y), (std_x, std_y) = self.mean, self.std
        return Normalisation((factor * mean_x, factor * mean_y), (factor * std_x, factor * std_y))

    def apply(self, strokes: ArrayLike) -> Floats:
        """Data units `(…, 3)` to normalised units."""
        return self._map(strokes, lambda xy: (xy - np.array(self.mean)) / np.array(self.std))

    def invert(self, strokes: ArrayLike) -> Floats:
        """Normalised units `(…, 3)` to data units."""
        return self._map(strokes, lambda xy: xy * np.array(self.std) + np.array(self.mean))

    @staticmethod
    def _map(strokes: ArrayLike, change: Any) -> Floats:
        # The arithmetic is float64 and rounds to float32 once, so a round trip is exact to the last bit
        # of the largest number involved (the offset, or the mean it is measured from).
        result = np.array(strokes, dtype=np.float32)
        result[..., :2] = change(result[..., :2].astype(np.float64))
        return result

    def to_plain(self) -> dict[str, list[float]]:
        """Plain lists, for checkpoints that load with `weights_only=True`."""
        return {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_plain(cls, plain: Any) -> "Normalisation":
        """What `to_plain` gave. Raises UserError for anything else."""
        if not isinstance(plain, dict) or set(plain) != {"mean", "std"}:
            raise UserError("normalisation: a mean and a std are needed")
        for name, least in (("mean", -_LARGEST), ("std", 1 / _LARGEST)):
            pair = plain[name]
            if not isinstance(pair, list) or len(pair) != 2:
                raise UserError(f"normalisation: its {name} is not of two numbers, for x and y")
            for number in pair:
                # The bounds are False for NaN.
                if type(number) not in (int, float) or not least <= number <= _LARGEST:
                    raise UserError(
                        f"normalisation: its {name} is not of numbers from {least} to {_LARGEST}: "
                        f"{str(number)[:20]}"
                    )
        (mean_x, mean_y), (std_x, std_y) = plain["mean"], plain["std"]
        return cls((float(mean_x), float(mean_y)), (float(std_x), float(std_y)))
