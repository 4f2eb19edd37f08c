"""Written lines on pages of paper: each on its baseline, all in one size.

Lengths are millimetres from a page's top left corner, y down, where nothing else is said.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graves_lm.rendering.brush import widths
from graves_lm.rendering.layout import RGB, Page, colour_rgb, positions, split_strokes
from graves_lm.writing.baseline import Measure, measure
from graves_lm.writing.block import PLAIN, Look
from graves_lm.writing.page import ABOVE, BELOW, PageSettings
from graves_lm.writing.ruling import ruling
from graves_lm.writing.standing import standing, underlines

Floats = NDArray[np.float64]
TALL, DEEP = 0.9, 0.55  # what stands higher or hangs lower, in line heights, would run into other lines
FIRST = 20  # lines whose size and width decide on the scale of all: about a page
LONG = 1.25  # times the upper quartile of the widths: a line gone astray, which shall not decide
TABLET = 130.0  # data units: the height of an x in common writing, for lines without letters


class WrittenLine(NamedTuple):
    """A line of text as the pen wrote it."""

    text: str
    strokes: NDArray[np.float32]  # (T, 3), data units
    blank: int = 0  # empty lines before it
    look: Look = PLAIN


class PlacedLine(NamedTuple):
    """Where a line stands on its page."""

    number: int  # in the whole document, from 1
    text: str
    baseline: float  # from the page's top
    shrink: float  # 1, or smaller where the line would run over the margin or into other lines


class WrittenPage(NamedTuple):
    """A page: the drawing and the lines on it."""

    drawing: Page
    lines: tuple[PlacedLine, ...]


def next_baseline(before: float | None, blank: int, look: Look, settings: PageSettings) -> float | None:
    """The baseline of a page's next line, after that of the line before, if there is one; None: it has no
    place on this page."""
    rows = rows_of(look)
    if look.top is not None:
        return look.top + (ABOVE + rows - 1) * settings.line_height
    if before is None:
        return settings.first + (rows - 1) * settings.line_height
    y = before + (blank + rows) * settings.line_height
    return y if y <= settings.last else None


def rows_of(look: Look) -> int:
    """How many line heights a line takes: whole ones, so that all lines stand on ruled paper's."""
    return math.ceil(look.size - 1e-9)


def paginate(lines: Iterable[WrittenLine], settings: PageSettings) -> Iterator[WrittenPage]:
    """The pages, one after another; about a page is held in memory (`height=None`: all, as one page).

    All lines have one scale, which the first ones decide. Each starts at the left margin with its first
    ink. Empty lines at the top of a page are left out. Raises UserError for strokes that are not finite.
    """
    measured = ((line, measure(line.strokes, line.text)) for line in lines)
    first = list(islice(measured, FIRST))
    scale = common_scale(first, settings)
    sheet = _Sheet(settings)
    for number, (line, size) in enumerate(chain(first, measured), 1):
        if line.look.foot and settings.height is not None:
            sheet.add(line, size, number, scale, foot(settings))
            continue
        y = next_baseline(sheet.baseline, line.blank, line.look, settings)
        if y is None:
            yield sheet.page()
            sheet = _Sheet(settings)
            y = next_baseline(None, 0, line.look, settings)
        assert y is not None
        sheet.add(line, size, number, scale, y)
        sheet.baseline = y
    if sheet.lines:
        yield sheet.page()


def foot(settings: PageSettings) -> float:
    """The baseline of what stands in the bottom margin."""
    assert settings.height is not None
    return settings.height - max(0.4 * settings.margin_bottom, BELOW * settings.line_height)


@dataclass
class _Sheet:
    """A page that is being filled."""

    settings: PageSettings
    strokes: list[Floats] = field(default_factory=list)
    widths: list[Floats] = field(default_factory=list)
    colours: list[RGB] = field(default_factory=list)
    lines: list[PlacedLine] = field(default_factory=list)
    baseline: float | None = None  # of the last line, which others follow

    def add(self, line: WrittenLine, size: Measure, number: int, scale: float, y: float) -> None:
        """Put a line on its baseline."""
        settings = self.settings
        drawn, shrink = place_line(line, size, scale, settings)
        placed = standing(drawn, line.text, line.look, number, settings)
        placed += underlines(placed, line.text, line.look, number, settings)
        self.strokes += [xy_N2 + np.array([0, y]) for xy_N2 in placed]
        if settings.swell:
            self.widths += widths(placed, settings.stroke_width, settings.swell)
        if settings.colours:
            rgb = colour_rgb(settings.colours[(number - 1) % len(settings.colours)])
            self.colours += [rgb] * len(placed)
        self.lines.append(PlacedLine(number, line.text, y, shrink))

    def page(self) -> WrittenPage:
        settings = self.settings
        height = settings.height
        if height is None:
            lowest = max(line.baseline for line in self.lines)
            height = lowest + BELOW * settings.line_height + settings.margin_bottom
        drawing = Page(
            self.strokes,
            settings.width,
            height,
            settings.line_height,
            settings.stroke_width,
            colour_rgb(settings.colour),
            self.colours,
            self.widths,
            ruling(settings, height),
        )
        return WrittenPage(drawing, tuple(self.lines))


def common_scale(lines: list[tuple[WrittenLine, Measure]], settings: PageSettings) -> float:
    """Millimetres per data unit: the letters in the wanted size, or smaller, so that the lines fit."""
    heights = [m.x_height for _, m in lines if m.x_height > 0]
    scale = settings.x_height * settings.line_height / (float(np.median(heights)) if heights else TABLET)
    # What each would take of its room at the scale 1.
    shares = np.array(
        [m.width * line.look.size / settings.room(line.look) for line, m in lines if m.width > 0]
    )
    if len(shares):
        usual = shares[shares <= LONG * np.quantile(shares, 0.75)]
        scale = min(scale, 1 / float(usual.max()))
    return scale


def place_line(
    line: WrittenLine, size: Measure, scale: float, settings: PageSettings
) -> tuple[list[Floats], float]:
    """The line's strokes with its first ink at x = 0 and its baseline at y = 0, and what it was shrunk by."""
    xy_T2 = positions(line.strokes)
    if len(xy_T2) == 0:
        return [], 1.0
    xy_T2[:, 0] -= xy_T2[:, 0].min()
    base_T = size.baseline(xy_T2[:, 0])
    # What is left of a slope turns about the line's middle, where it comes least near to other lines.
    middle = (base_T.min() + base_T.max()) / 2
    xy_T2[:, 1] -= middle + settings.straighten * (base_T - middle)
    xy_T2 *= scale * line.look.size
    if settings.slant:
        xy_T2[:, 0] -= math.tan(math.radians(settings.slant)) * xy_T2[:, 1]
        xy_T2[:, 0] -= xy_T2[:, 0].min()
    height = rows_of(line.look) * settings.line_height
    room = np.array([settings.room(line.look), TALL * height, DEEP * height])
    taken = np.array([xy_T2[:, 0].max(), -xy_T2[:, 1].min(), xy_T2[:, 1].max()])
    shrink = float(1 / np.maximum(taken / room, 1).max())
    return split_strokes(xy_T2 * shrink, line.strokes), shrink
