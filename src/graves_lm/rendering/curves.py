"""A stroke's points as few cubic Bézier curves, after P. J. Schneider, "An Algorithm for Automatically
Fitting Digitized Curves", Graphics Gems (1990).

Shapes: N points of a stroke, S segments; a segment (4, 2) is its start, two control points and its end.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CORNER = math.radians(70)  # a sharper turn of the pen stays a corner
_TRIES = 4  # improvements of the points' parameters before a segment is cut


def smooth(xy_N2: Floats, tolerance: float) -> Floats:
    """Segments (S, 4, 2), each starting where the one before ends, `tolerance` or less from every point.

    The curve starts and ends at the stroke's ends, keeps its direction between segments except at
    corners, and has no segment for a stroke of one point.
    """
    moved = np.concatenate([[True], (np.diff(xy_N2, axis=0) != 0).any(1)])
    points_N2 = xy_N2[moved]  # a pen that rests has no direction
    if len(points_N2) < 2:
        return np.zeros((0, 4, 2))
    steps = np.diff(points_N2, axis=0)
    cross = steps[:-1, 0] * steps[1:, 1] - steps[:-1, 1] * steps[1:, 0]
    turns = np.abs(np.arctan2(cross, (steps[:-1] * steps[1:]).sum(1)))
    corners = [0, *(np.flatnonzero(turns > CORNER) + 1).tolist(), len(points_N2) - 1]
    segments: list[Floats] = []
    # Parts still to be fitted, the next one last, with the directions at their ends.
    parts = []
    for first, last in zip(corners[-2::-1], corners[:0:-1], strict=True):
        part = points_N2[first : last + 1]
        parts.append((part, _end_direction(part[:3]), _end_direction(part[:-4:-1])))
    while parts:
        part, leaving, arriving = parts.pop()
        segment = _fit(part, leaving, arriving, tolerance)
        if segment is not None:
            segments.append(segment)
        else:
            mid = len(part) // 2
            # One direction for both sides, so that the curve goes on without a kink.
            on = _unit(part[mid + 1] - part[mid - 1], part[mid] - part[mid - 1])
            parts += [(part[mid:], on, arriving), (part[: mid + 1], leaving, -on)]
    return np.stack(segments)


def flat(xy_N2: Floats, tolerance: float) -> Floats:
    """Places (P, 2) of a polygon along the stroke's curves, for what draws straight lines only.

    It leaves no point by more than twice the tolerance: once for `smooth`, once for the chords. A stroke of
    one point, and one that rests where it is, is that point.
    """
    segments_S42 = smooth(xy_N2, tolerance)
    if len(segments_S42) == 0:
        return xy_N2[:1]
    # A chord over a part 1/n of a cubic is at most |B''| / 8 n² from it, and |B''| is 6 times the larger of
    # the second differences of its control points, or less.
    bends_S = np.hypot(*np.moveaxis(6 * np.diff(segments_S42, 2, axis=1), -1, 0)).max(1)
    chords_S = np.maximum(1, np.ceil(np.sqrt(bends_S / (8 * tolerance)))).astype(int)
    parts = [
        _bezier(segment, np.arange(1, n + 1) / n) for segment, n in zip(segments_S42, chords_S, strict=True)
    ]
    return np.concatenate([xy_N2[:1], *parts])


def _unit(way: Floats, otherwise: Floats) -> Floats:
    """The direction of the way, or the other one where it has none."""
    way = way if way.any() else otherwise
    return way / np.hypot(*way)


def _end_direction(points: Floats) -> Floats:
    """The direction at the first of two or three points: that of a parabola through them."""
    step = points[1] - points[0]
    if len(points) < 3:
        return _unit(step, step)
    way = 4 * step - (points[2] - points[0])
    # Where the pen picks up speed, the parabola may start sideways.
    return _unit(way if way @ step > 0.8 * np.hypot(*way) * np.hypot(*step) else step, step)


def _fit(part: Floats, leaving: Floats, arriving: Floats, tolerance: float) -> Floats | None:
    """A segment between the part's ends that is near enough to its points; None where none was found."""
    chords = np.hypot(*np.diff(part, axis=0).T)
    u = np.concatenate([[0.0], np.cumsum(chords)]) / chords.sum()
    for _ in range(_TRIES):
        segment = _solve(part, u, leaving, arriving, float(chords.sum()))
        errors = np.hypot(*(_bezier(segment, u) - part).T)
        if len(part) == 2 or errors.max() <= tolerance:
            return segment
        if errors.max() > 4 * tolerance or len(part) < 4:
            break
        u = _nearer(segment, part, u)
    return None


def _solve(part: Floats, u: Floats, leaving: Floats, arriving: Floats, length: float) -> Floats:
    """The least-squares segment with the given end directions, for points at the parameters u."""
    first, last = part[0], part[-1]
    b1, b2 = 3 * u * (1 - u) ** 2, 3 * u**2 * (1 - u)
    a1, a2 = b1[:, None] * leaving, b2[:, None] * arriving
    ends = ((1 - u) ** 3 + b1)[:, None] * first + (u**3 + b2)[:, None] * last
    rest = part - ends
    c11, c12, c22 = (a1 * a1).sum(), (a1 * a2).sum(), (a2 * a2).sum()
    x1, x2 = (a1 * rest).sum(), (a2 * rest).sum()
    det = c11 * c22 - c12 * c12
    handles = np.full(2, length / 3)
    if det > 1e-9 * c11 * c22:
        solved = np.array([x1 * c22 - x2 * c12, c11 * x2 - c12 * x1]) / det
        # A handle that points back or overshoots makes loops that the pen never drew.
        if (solved > 0.01 * length).all() and (solved < length).all():
            handles = solved
    return np.stack([first, first + handles[0] * leaving, last + handles[1] * arriving, last])


def _bezier(segment: Floats, u: Floats) -> Floats:
    """Places (n, 2) on a segment at the parameters u (n,)."""
    v = 1 - u
    return np.stack([v**3, 3 * u * v**2, 3 * u**2 * v, u**3], 1) @ segment


def _nearer(segment: Floats, part: Floats, u: Floats) -> Floats:
    """Parameters at which the segment is nearer to the points: a Newton step each."""
    v = 1 - u
    off = _bezier(segment, u) - part
    d1 = np.stack([v**2, 2 * u * v, u**2], 1) @ (3 * np.diff(segment, axis=0))
    d2 = np.stack([v, u], 1) @ (6 * np.diff(segment, 2, axis=0))
    slope = (d1 * d1).sum(1) + (off * d2).sum(1)
    step = np.divide((off * d1).sum(1), slope, out=np.zeros_like(u), where=slope > 0)
    return np.clip(u - step, 0, 1)
