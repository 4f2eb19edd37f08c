"""A pen whose stroke is wide where it is slow and thin where it is fast.

Shapes: N points of a stroke, P places of an outline.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SMOOTH = 5  # points over which the speed is averaged
FINER = 4  # places of an outline between two points
THINNEST = 0.2  # of the pen's width


def widths(strokes: Sequence[Floats], pen: float, swell: float) -> list[Floats]:
    """How wide each stroke (N, 2) is at its points, (N,): about `pen`, and by up to the share `swell` of it
    wider where the pen is slow and thinner where it is fast. Points come at an even rate."""
    speeds = [_speed(xy_N2) for xy_N2 in strokes]
    moving = np.concatenate([*speeds, np.zeros(0)])
    usual = float(np.median(moving[moving > 0])) if (moving > 0).any() else 1.0
    return [pen * np.maximum(1 + swell * np.clip(1 - speed / usual, -1, 1), THINNEST) for speed in speeds]


def _speed(xy_N2: Floats) -> Floats:
    """The way per point about each point, (N,)."""
    if len(xy_N2) < 2:
        return np.zeros(len(xy_N2))
    way = np.hypot(*np.diff(xy_N2, axis=0).T)
    way_N = np.concatenate([way[:1], (way[1:] + way[:-1]) / 2, way[-1:]])
    size = min(SMOOTH, len(way_N))
    padded = np.pad(way_N, (size // 2, size - 1 - size // 2), "edge")
    return np.convolve(padded, np.full(size, 1 / size), "valid")


def finer(xy_N2: Floats, width_N: Floats) -> tuple[Floats, Floats]:
    """More places (P, 2) with their widths along the stroke: on cubics through its points."""
    if len(xy_N2) < 3:
        return xy_N2, width_N
    slope = np.gradient(xy_N2, axis=0)
    t = np.arange(FINER)[:, None, None] / FINER
    h00, h10, h01, h11 = 2 * t**3 - 3 * t**2 + 1, t**3 - 2 * t**2 + t, 3 * t**2 - 2 * t**3, t**3 - t**2
    between = h00 * xy_N2[:-1] + h10 * slope[:-1] + h01 * xy_N2[1:] + h11 * slope[1:]
    places_P2 = np.concatenate([between.swapaxes(0, 1).reshape(-1, 2), xy_N2[-1:]])
    at = np.arange(len(places_P2)) / FINER
    return places_P2, np.interp(at, np.arange(len(width_N)), width_N)


def outline(xy_N2: Floats, width_N: Floats) -> Floats:
    """The border (P, 2) of a stroke with round ends, to be filled by the non-zero rule."""
    xy_P2, width_P = finer(xy_N2, width_N)
    moved = np.concatenate([[True], np.hypot(*np.diff(xy_P2, axis=0).T) > 1e-9])
    xy_P2, radius_P = xy_P2[moved], width_P[moved] / 2
    circle = np.linspace(0, np.pi, 7)
    if len(xy_P2) == 1:
        around = np.linspace(0, 2 * np.pi, 13)[:-1]
        return xy_P2 + radius_P[:, None] * np.stack([np.cos(around), np.sin(around)], 1)
    way = np.gradient(xy_P2, axis=0)
    angle_P = np.arctan2(way[:, 1], way[:, 0])
    # A cusp, where the pen turns back, has a way of no length: the way to it serves.
    still = np.hypot(*way.T) < 1e-9
    angle_P[still] = np.arctan2(*np.diff(xy_P2, axis=0, prepend=xy_P2[:1])[still].T[::-1])
    side_P2 = radius_P[:, None] * np.stack([-np.sin(angle_P), np.cos(angle_P)], 1)

    def cap(end: int, turned: float) -> Floats:
        angle = angle_P[end] + turned - circle
        return xy_P2[end] + radius_P[end] * np.stack([np.cos(angle), np.sin(angle)], 1)

    return np.concatenate([xy_P2 + side_P2, cap(-1, np.pi / 2), (xy_P2 - side_P2)[::-1], cap(0, -np.pi / 2)])
