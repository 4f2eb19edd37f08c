"""Strokes in the order in which a plotter's pen has the shortest way through the air.

Nearest neighbour, either end first, from the page's origin, then the tour's crossings are taken out (2-opt),
which reverses runs of strokes; a stroke looks the same whichever end it was drawn from.

Shapes: N strokes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from graves_lm.rendering.layout import Page, by_colour

Floats = NDArray[np.float64]
ROUNDS = 50  # of 2-opt: a page of writing takes about ten


def travel(strokes: Sequence[Floats], start: tuple[float, float] = (0.0, 0.0)) -> float:
    """How far the pen moves in the air, from `start` to the first stroke and from each to the next."""
    if not strokes:
        return 0.0
    ends = np.stack([np.array(start), *(s[-1] for s in strokes[:-1])])
    return float(np.hypot(*(np.stack([s[0] for s in strokes]) - ends).T).sum())


def ordered(page: Page, start: tuple[float, float] = (0.0, 0.0)) -> Page:
    """The page with its strokes in an order of little travel from `start` on, colour by colour."""
    order: list[tuple[int, bool]] = []
    for numbers in by_colour(page):
        strokes = [page.strokes[n] for n in numbers]
        found = shortest(strokes, start)
        order += [(numbers[n], turned) for n, turned in found]
        last, turned = found[-1]
        start = tuple(strokes[last][0 if turned else -1])
    return page._replace(
        strokes=[page.strokes[n][:: -1 if turned else 1] for n, turned in order],
        colours=[page.colours[n] for n, _ in order] if page.colours else [],
        widths=[page.widths[n][:: -1 if turned else 1] for n, turned in order] if page.widths else [],
    )


def shortest(strokes: Sequence[Floats], start: tuple[float, float] = (0.0, 0.0)) -> list[tuple[int, bool]]:
    """An order of little travel: the strokes' numbers, and whether each is turned round. Never one of more
    than the order that is given has.

    Time grows with N² and more: 700 strokes, a page, take half a second, 2,000 two.
    """
    as_given = [(n, False) for n in range(len(strokes))]
    if len(strokes) == 0:
        return []
    ends_N22 = np.stack([np.stack([s[0], s[-1]]) for s in strokes])
    order_N, turned_N = _uncrossed(*_nearest(ends_N22, np.array(start)), ends_N22, np.array(start))
    found = list(zip(order_N.tolist(), turned_N.tolist(), strict=True))
    drawn = [strokes[n][::-1] if turned else strokes[n] for n, turned in found]
    return found if travel(drawn, start) < travel(strokes, start) else as_given


def _nearest(ends_N22: Floats, start: Floats) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Always the nearest end next: the strokes' numbers, and whether each is turned round."""
    count = len(ends_N22)
    left_N22 = ends_N22.copy()  # those that are drawn are moved beyond all others
    order_N, turned_N = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    place = start
    for i in range(count):
        way_N2 = ((left_N22 - place) ** 2).sum(-1)
        n, end = divmod(int(way_N2.argmin()), 2)
        order_N[i], turned_N[i] = n, end == 1
        place = ends_N22[n, 1 - end]
        left_N22[n] = np.inf
    return order_N, turned_N


def _uncrossed(
    order_N: NDArray[np.int64], turned_N: NDArray[np.bool_], ends_N22: Floats, start: Floats
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """2-opt: as long as it shortens the way, a run of strokes is drawn backwards, each turned round.

    The way ends with the last stroke, so a run up to it saves the way that led there.
    """
    count = len(order_N)
    for _ in range(ROUNDS):
        better = False
        for i in range(count):
            sides = np.where(turned_N, 1, 0)
            first_N2 = ends_N22[order_N, sides]  # where each stroke begins, and where it ends
            last_N2 = ends_N22[order_N, 1 - sides]
            before = last_N2[i - 1] if i else start
            # Of the run i … j, before → first[i] and last[j] → first[j+1] become before → last[j] and
            # first[i] → first[j+1].
            old = np.hypot(*(first_N2[i] - before)) + _ways(last_N2[i:-1], first_N2[i + 1 :])
            new = np.hypot(*(last_N2[i:] - before).T) + _ways(first_N2[i + 1 :], first_N2[i])
            j = int((new - old).argmin())
            if new[j] - old[j] < -1e-9:
                run = slice(i, i + j + 1)
                order_N[run] = order_N[run][::-1].copy()
                turned_N[run] = ~turned_N[run][::-1]
                better = True
        if not better:
            break
    return order_N, turned_N


def _ways(from_n2: Floats, to_n2: Floats) -> Floats:
    """Lengths, and a last one of 0: after the last stroke the pen goes nowhere."""
    return np.append(np.hypot(*(to_n2 - from_n2).T), 0.0)
