"""Strokes' points as few cubic Bézier curves, after P. J. Schneider, "An Algorithm for Automatically Fitting
Digitized Curves", Graphics Gems (1990).

Strokes are cut into parts, and a part is fitted with one segment or cut in two. A page has thousands of parts
of a dozen points: all that there are at a time are fitted together, which is some ten times as fast as one
after another.

Shapes: N points of a stroke, S segments; a segment (4, 2) is its start, two control points and its end.
P parts at a time, M points of all of them; sums over the points of a part are `np.add.reduceat`'s.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CORNER = math.radians(70)  # a sharper turn of the pen stays a corner
_TRIES = 4  # improvements of the points' parameters before a part is cut


class _Parts(NamedTuple):
    """Parts of a long row of points: from and to which point, both included, and the directions (P, 2) at
    their ends."""

    first_P: Ints
    last_P: Ints
    leaving_P2: Floats
    arriving_P2: Floats

    def some(self, which: NDArray[np.bool_]) -> "_Parts":
        ends = self.first_P[which], self.last_P[which]
        return _Parts(*ends, self.leaving_P2[which], self.arriving_P2[which])


class _Points(NamedTuple):
    """The points of parts, one part after another: where each part begins, and whose each point is."""

    xy_M2: Floats
    starts_P: Ints
    part_M: Ints

    def sum(self, x_M: Floats) -> Floats:
        return np.add.reduceat(x_M, self.starts_P)


def smooth(strokes: Sequence[Floats], tolerance: float) -> list[Floats]:
    """For each stroke (N, 2) segments (S, 4, 2), each starting where the one before ends, `tolerance` or less
    from every point.

    The curve starts and ends at the stroke's ends, keeps its direction between segments except at
    corners, and has no segment for a stroke of one point.
    """
    moving = [xy_N2[_moved(xy_N2)] for xy_N2 in strokes]  # a pen that rests has no direction
    lengths = np.array([len(xy_N2) for xy_N2 in moving], np.int64)
    if not (lengths > 1).any():
        return [np.zeros((0, 4, 2))] * len(strokes)
    points_N2, ends = np.concatenate(moving), np.cumsum(lengths)
    parts = _between_corners(points_N2, (ends - lengths)[lengths > 1], ends[lengths > 1] - 1)
    found: list[tuple[Ints, Floats]] = []
    while len(parts.first_P):
        segment_P42, fits_P = _fitted(points_N2, parts, tolerance)
        found.append((parts.first_P[fits_P], segment_P42[fits_P]))
        parts = _halves(points_N2, parts.some(~fits_P))
    first_S, segment_S42 = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(first_S)
    return np.split(segment_S42[order], np.searchsorted(first_S[order], ends[:-1]))


def flat(strokes: Sequence[Floats], tolerance: float) -> list[Floats]:
    """For each stroke places (P, 2) of a polygon along its curves, for what draws straight lines only.

    It leaves no point by more than twice the tolerance: once for `smooth`, once for the chords. A stroke of
    one point, and one that rests where it is, is that point.
    """
    return [
        _chords(xy_N2, segments_S42, tolerance)
        for xy_N2, segments_S42 in zip(strokes, smooth(strokes, tolerance), strict=True)
    ]


def _chords(xy_N2: Floats, segments_S42: Floats, tolerance: float) -> Floats:
    if len(segments_S42) == 0:
        return xy_N2[:1]
    # A chord over a part 1/n of a cubic is at most |B''| / 8 n² from it, and |B''| is 6 times the larger of
    # the second differences of its control points, or less.
    bends_S = np.hypot(*np.moveaxis(6 * np.diff(segments_S42, 2, axis=1), -1, 0)).max(1)
    chords_S = np.maximum(1, np.ceil(np.sqrt(bends_S / (8 * tolerance)))).astype(int)
    segment_C42 = np.repeat(segments_S42, chords_S, axis=0)
    number_C = np.arange(len(segment_C42)) - np.repeat(np.cumsum(chords_S) - chords_S, chords_S)
    u_C = (number_C + 1) / np.repeat(chords_S, chords_S)
    return np.concatenate([xy_N2[:1], _bezier(segment_C42, u_C)])


def _moved(xy_N2: Floats) -> NDArray[np.bool_]:
    return np.concatenate([[True], (np.diff(xy_N2, axis=0) != 0).any(1)])


def _between_corners(points_N2: Floats, first: Ints, last: Ints) -> _Parts:
    """The parts of strokes of two points or more, from `first` to `last`, between the corners."""
    steps = np.diff(points_N2, axis=0)
    cross = steps[:-1, 0] * steps[1:, 1] - steps[:-1, 1] * steps[1:, 0]
    turns = np.abs(np.arctan2(cross, (steps[:-1] * steps[1:]).sum(1)))
    inner_N = np.zeros(len(points_N2), bool)
    for a, b in zip(first.tolist(), last.tolist(), strict=True):
        inner_N[a + 1 : b] = True
    corners = np.flatnonzero(turns > CORNER) + 1
    corners = corners[inner_N[corners]]
    first_P, last_P = np.sort(np.concatenate([first, corners])), np.sort(np.concatenate([last, corners]))
    leaving_P2 = _end_directions(points_N2, first_P, last_P, 1)
    return _Parts(first_P, last_P, leaving_P2, _end_directions(points_N2, last_P, first_P, -1))


def _end_directions(points_N2: Floats, here_P: Ints, there_P: Ints, on: int) -> Floats:
    """The directions at one end of parts, towards the other end: that of a parabola through three points."""
    next_P = here_P + on
    step_P2 = points_N2[next_P] - points_N2[here_P]
    third_P = np.where(next_P == there_P, next_P, next_P + on)
    way_P2 = 4 * step_P2 - (points_N2[third_P] - points_N2[here_P])
    # Where the pen picks up speed, the parabola may start sideways.
    along_P = (way_P2 * step_P2).sum(1) > 0.8 * np.hypot(*way_P2.T) * np.hypot(*step_P2.T)
    return _unit(np.where((along_P & (third_P != next_P))[:, None], way_P2, step_P2))


def _unit(way_P2: Floats) -> Floats:
    return way_P2 / np.hypot(*way_P2.T)[:, None]


def _halves(points_N2: Floats, parts: _Parts) -> _Parts:
    """Each part in two, with one direction for both sides, so that the curve goes on without a kink."""
    mid_P = parts.first_P + (parts.last_P - parts.first_P + 1) // 2
    way_P2 = points_N2[mid_P + 1] - points_N2[mid_P - 1]
    back_P2 = points_N2[mid_P] - points_N2[mid_P - 1]
    on_P2 = _unit(np.where(way_P2.any(1)[:, None], way_P2, back_P2))
    return _Parts(
        np.concatenate([parts.first_P, mid_P]),
        np.concatenate([mid_P, parts.last_P]),
        np.concatenate([parts.leaving_P2, on_P2]),
        np.concatenate([-on_P2, parts.arriving_P2]),
    )


def _of(points_N2: Floats, parts: _Parts) -> _Points:
    counts_P = parts.last_P - parts.first_P + 1
    starts_P = np.cumsum(counts_P) - counts_P
    part_M = np.repeat(np.arange(len(counts_P)), counts_P)
    number_M = np.arange(len(part_M)) - starts_P[part_M]
    return _Points(points_N2[parts.first_P[part_M] + number_M], starts_P, part_M)


def _fitted(points_N2: Floats, parts: _Parts, tolerance: float) -> tuple[Floats, NDArray[np.bool_]]:
    """For each part a segment (P, 4, 2) between its ends, and whether that is near enough to its points."""
    points = _of(points_N2, parts)
    u_M, length_P = _by_length(points)
    segment_P42, fits_P = np.zeros((len(length_P), 4, 2)), np.zeros(len(length_P), bool)
    left_P = np.arange(len(length_P))  # parts that are still tried
    for _ in range(_TRIES):
        segment = _solved(points, u_M, parts, length_P)
        off_M2 = _bezier(segment[points.part_M], u_M) - points.xy_M2
        error_P = np.maximum.reduceat(np.hypot(*off_M2.T), points.starts_P)
        few_P = parts.last_P - parts.first_P
        good_P = (few_P == 1) | (error_P <= tolerance)
        segment_P42[left_P[good_P]], fits_P[left_P[good_P]] = segment[good_P], True
        again_P = ~good_P & (error_P <= 4 * tolerance) & (few_P > 2)
        if not again_P.any():
            break
        again_M = again_P[points.part_M]
        u_M = _nearer(segment[points.part_M][again_M], off_M2[again_M], u_M[again_M])
        left_P, parts, length_P = left_P[again_P], parts.some(again_P), length_P[again_P]
        points = _of(points_N2, parts)
    return segment_P42, fits_P


def _by_length(points: _Points) -> tuple[Floats, Floats]:
    """Parameters (M,) from 0 to 1 by the way from point to point, and the parts' lengths (P,)."""
    chord_M = np.hypot(*np.diff(points.xy_M2, axis=0, prepend=points.xy_M2[:1]).T)
    chord_M[points.starts_P] = 0
    length_P = points.sum(chord_M)
    way_M = np.cumsum(chord_M)
    way_M -= way_M[points.starts_P][points.part_M]
    ends_P = np.append(points.starts_P[1:], len(chord_M)) - 1
    u_M = way_M / length_P[points.part_M]
    u_M[ends_P] = 1
    return u_M, length_P


def _solved(points: _Points, u_M: Floats, parts: _Parts, length_P: Floats) -> Floats:
    """The least-squares segments (P, 4, 2) with the parts' end directions, for points at the parameters u."""
    ends_P = np.append(points.starts_P[1:], len(u_M)) - 1
    first_P2, last_P2, of = points.xy_M2[points.starts_P], points.xy_M2[ends_P], points.part_M
    v_M = 1 - u_M
    b1, b2 = 3 * u_M * v_M**2, 3 * u_M**2 * v_M
    a1, a2 = b1[:, None] * parts.leaving_P2[of], b2[:, None] * parts.arriving_P2[of]
    ends = (v_M**3 + b1)[:, None] * first_P2[of] + (u_M**3 + b2)[:, None] * last_P2[of]
    rest = points.xy_M2 - ends
    pairs = ((a1, a1), (a1, a2), (a2, a2), (a1, rest), (a2, rest))
    c11, c12, c22, x1, x2 = (points.sum((a * b).sum(1)) for a, b in pairs)
    det = c11 * c22 - c12 * c12
    clear = det > 1e-9 * c11 * c22
    solved_P2 = np.stack([x1 * c22 - x2 * c12, c11 * x2 - c12 * x1], 1) / np.where(clear, det, 1)[:, None]
    # A handle that points back or overshoots makes loops that the pen never drew.
    length_P1 = length_P[:, None]
    clear &= ((solved_P2 > 0.01 * length_P1) & (solved_P2 < length_P1)).all(1)
    handle_P2 = np.where(clear[:, None], solved_P2, length_P1 / 3)
    leaving_P2, arriving_P2 = handle_P2[:, :1] * parts.leaving_P2, handle_P2[:, 1:] * parts.arriving_P2
    return np.stack([first_P2, first_P2 + leaving_P2, last_P2 + arriving_P2, last_P2], 1)


def _bezier(segment_M42: Floats, u_M: Floats) -> Floats:
    """A place (M, 2) on each of some segments."""
    v_M = 1 - u_M
    weight_M4 = np.stack([v_M**3, 3 * u_M * v_M**2, 3 * u_M**2 * v_M, u_M**3], 1)
    made: Floats = np.einsum("mk,mkx->mx", weight_M4, segment_M42)
    return made


def _nearer(segment_M42: Floats, off_M2: Floats, u_M: Floats) -> Floats:
    """Parameters at which the segments are nearer to the points that they are `off`: a Newton step each."""
    v_M = 1 - u_M
    velocity_M4 = np.stack([v_M**2, 2 * u_M * v_M, u_M**2], 1)
    d1 = np.einsum("mk,mkx->mx", velocity_M4, 3 * np.diff(segment_M42, axis=1))
    d2 = np.einsum("mk,mkx->mx", np.stack([v_M, u_M], 1), 6 * np.diff(segment_M42, 2, axis=1))
    slope = (d1 * d1).sum(1) + (off_M2 * d2).sum(1)
    step = np.divide((off_M2 * d1).sum(1), slope, out=np.zeros_like(u_M), where=slope > 0)
    return np.clip(u_M - step, 0, 1)
