"""Written lines on pages of paper: each on its baseline, all in one size.

Lengths are millimetres from a page's top left corner, y down, where nothing else is said.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Annotated, Literal, NamedTuple

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from graves_lm.rendering.layout import RGB, Page, colour_rgb, positions, split_strokes
from graves_lm.rendering.plotter import Plotter
from graves_lm.runtime.errors import UserError
from graves_lm.settings import declared
from graves_lm.settings.kinds import Command, Margin, Millimetres, Name, Share, Slant, Speed
from graves_lm.writing.baseline import Measure, measure
from graves_lm.writing.paper import SIZES, PaperName

WIDTH, HEIGHT = SIZES["a4"]
COLOURS = 16  # that the palette of a GIF has room for
ABOVE, BELOW = 0.7, 0.3  # of a line's height, over and under its baseline, on the first and last line
TALL, DEEP = 0.9, 0.55  # what stands higher or hangs lower, in line heights, would run into other lines
FIRST = 20  # lines whose size and width decide on the scale of all: about a page
LONG = 1.25  # times the upper quartile of the widths: a line gone astray, which shall not decide
TABLET = 130.0  # data units: the height of an x in common writing, for lines without letters
ADVANCE = 1.3  # heights of an x: the width of a character and the space after it, on average


@declared("page")
@dataclass(frozen=True)
class PageSettings:
    """The paper and how it is written on. A4, in a hand of the size of a letter to a friend.

    Args:
        width: of the paper.
        height: of the paper; None for one page as long as the writing.
        paper: a paper by its name, in place of width and height (a height of None stays).
        margin_left, margin_right, margin_top, margin_bottom: without writing.
        line_height: from baseline to baseline. The size of the letters follows it.
        x_height: the height of an x, as a share of the line height. The letters are smaller where the lines
            would be too wide.
        straighten: the share of a baseline's slope and bends that is taken out.
        align: where lines stand between the margins.
        slant: degrees that the letters lean to the right, beyond the hand's own.
        drift: millimetres that a line leaves its place by, up or down, at most; another way each line.
        ragged: millimetres that a line begins inside its margin, at most.
        stroke_width: of the pen.
        colour: a CSS colour: a name, "#rrggbb", "rgb(…)" or "hsl(…)".
        colours: those of the lines, in turn; none: all are in `colour`.
        order: of the strokes in files that a plotter follows: as written, or with a short way in the air.
        feed, pen_up, pen_down, origin: what a plotter is told, see `Plotter`.

    >>> PageSettings().characters, PageSettings(width=148, line_height=8).characters
    (38, 37)
    """

    width: Millimetres = WIDTH
    height: Millimetres | None = HEIGHT
    margin_left: Margin = 20.0
    margin_right: Margin = 20.0
    margin_top: Margin = 20.0
    margin_bottom: Margin = 20.0
    line_height: Millimetres = 12.0
    x_height: Annotated[float, Meta(ge=1e-3, le=1)] = 0.28
    straighten: Share = 0.8
    stroke_width: Millimetres = 0.4
    colour: Name = "black"
    paper: PaperName | None = None
    align: Literal["left", "right", "centre"] = "left"
    slant: Slant = 0.0
    drift: Margin = 0.0
    ragged: Margin = 0.0
    colours: Sequence[Name] = ()
    order: Literal["written", "shortest"] = "written"
    feed: Speed = 3000.0
    pen_up: Sequence[Command] = ("G0 Z5",)
    pen_down: Sequence[Command] = ("G1 Z0 F600",)
    origin: Literal["bottom_left", "top_left"] = "bottom_left"

    def __post_init__(self) -> None:
        for colour in (self.colour, *self.colours):
            colour_rgb(colour)
        if len(self.colours) > COLOURS:
            raise UserError(f"page.colours: {len(self.colours)} colours; {COLOURS} are the most")
        if self.paper is not None:
            self._take_paper(self.paper)
        if self.text_width < self.line_height:
            raise UserError(
                f"page of width {self.width:g} mm: its margins leave {self.text_width:g} mm for writing, "
                f"less than a line's height of {self.line_height:g} mm"
            )
        if self.height is not None and self.height < self.margin_top + self.line_height + self.margin_bottom:
            raise UserError(
                f"page of height {self.height:g} mm: its margins leave no room for a line of "
                f"{self.line_height:g} mm"
            )

    def _take_paper(self, paper: str) -> None:
        """The sizes of the paper in place of the usual ones. Raises UserError where others are given."""
        width, height = SIZES[paper]
        if self.width not in (WIDTH, width) or self.height not in (HEIGHT, height, None):
            raise UserError(f"page.paper={paper}: give either a paper or page.width and page.height")
        object.__setattr__(self, "width", width)
        object.__setattr__(self, "height", None if self.height is None else height)

    @property
    def plotter(self) -> Plotter:
        """What a plotter is told."""
        return Plotter(self.feed, tuple(self.pen_up), tuple(self.pen_down), self.origin)

    @property
    def text_width(self) -> float:
        """The room of a line, wherever it begins."""
        return self.width - self.margin_left - self.margin_right - self.ragged

    @property
    def characters(self) -> int:
        """About as many characters of an average hand fill a line."""
        return max(1, int(self.text_width / (ADVANCE * self.x_height * self.line_height)))


class WrittenLine(NamedTuple):
    """A line of text as the pen wrote it."""

    text: str
    strokes: NDArray[np.float32]  # (T, 3), data units
    blank: int = 0  # empty lines before it


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


def paginate(lines: Iterable[WrittenLine], settings: PageSettings) -> Iterator[WrittenPage]:
    """The pages, one after another; about a page is held in memory (`height=None`: all, as one page).

    All lines have one scale, which the first ones decide. Each starts at the left margin with its first
    ink. Empty lines at the top of a page are left out. Raises UserError for strokes that are not finite.
    """
    measured = ((line, measure(line.strokes, line.text)) for line in lines)
    first = list(islice(measured, FIRST))
    scale = common_scale([m for _, m in first], settings)
    top = settings.margin_top + ABOVE * settings.line_height
    strokes: list[NDArray[np.float64]] = []
    colours: list[RGB] = []
    placed: list[PlacedLine] = []
    for number, (line, size) in enumerate(chain(first, measured), 1):
        y = placed[-1].baseline + (1 + line.blank) * settings.line_height if placed else top
        if y > _lowest(settings):
            yield _page(strokes, colours, placed, settings)
            strokes, colours, placed, y = [], [], [], top
        drawn, shrink = place_line(line, size, scale, settings)
        strokes += [s + np.array([settings.margin_left, y]) for s in _set_down(drawn, number, settings)]
        if settings.colours:
            rgb = colour_rgb(settings.colours[(number - 1) % len(settings.colours)])
            colours += [rgb] * len(drawn)
        placed.append(PlacedLine(number, line.text, y, shrink))
    if placed:
        yield _page(strokes, colours, placed, settings)


def _lowest(settings: PageSettings) -> float:
    """The lowest baseline of a page."""
    if settings.height is None:
        return math.inf
    rounding = 1e-9 * settings.height
    return settings.height - settings.margin_bottom - BELOW * settings.line_height + rounding


def _set_down(
    drawn: list[NDArray[np.float64]], number: int, settings: PageSettings
) -> list[NDArray[np.float64]]:
    """A line's strokes, which begin at x = 0, where its page wants them, with its own share of disorder."""
    if not drawn or (settings.align, settings.drift, settings.ragged) == ("left", 0, 0):
        return drawn
    rng = np.random.default_rng(number)  # the same each time, another for each line
    level, rise, inwards = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0, 1)
    width = max(float(xy_N2[:, 0].max()) for xy_N2 in drawn)
    free = settings.text_width - width
    right = {"left": 0.0, "centre": free / 2, "right": free}[settings.align]
    right += settings.ragged * (1 - inwards if settings.align == "right" else inwards)
    half = settings.drift / 2  # each of its two parts
    return [
        xy_N2
        + np.stack([np.full(len(xy_N2), right), half * (level + rise * (2 * xy_N2[:, 0] / width - 1))], 1)
        if width
        else xy_N2 + np.array([right, half * level])
        for xy_N2 in drawn
    ]


def _page(
    strokes: list[NDArray[np.float64]],
    colours: list[RGB],
    placed: list[PlacedLine],
    settings: PageSettings,
) -> WrittenPage:
    height = settings.height
    if height is None:
        height = placed[-1].baseline + BELOW * settings.line_height + settings.margin_bottom
    rgb = colour_rgb(settings.colour)
    drawing = Page(strokes, settings.width, height, settings.line_height, settings.stroke_width, rgb, colours)
    return WrittenPage(drawing, tuple(placed))


def common_scale(sizes: list[Measure], settings: PageSettings) -> float:
    """Millimetres per data unit: the letters in the wanted size, or smaller, so that the lines fit."""
    heights = [m.x_height for m in sizes if m.x_height > 0]
    scale = settings.x_height * settings.line_height / (float(np.median(heights)) if heights else TABLET)
    widths = np.array([m.width for m in sizes if m.width > 0])
    if len(widths):
        usual = widths[widths <= LONG * np.quantile(widths, 0.75)]
        scale = min(scale, settings.text_width / float(usual.max()))
    return scale


def place_line(
    line: WrittenLine, size: Measure, scale: float, settings: PageSettings
) -> tuple[list[NDArray[np.float64]], float]:
    """The line's strokes with its first ink at x = 0 and its baseline at y = 0, and what it was shrunk by."""
    xy_T2 = positions(line.strokes)
    if len(xy_T2) == 0:
        return [], 1.0
    xy_T2[:, 0] -= xy_T2[:, 0].min()
    base_T = size.baseline(xy_T2[:, 0])
    # What is left of a slope turns about the line's middle, where it comes least near to other lines.
    middle = (base_T.min() + base_T.max()) / 2
    xy_T2[:, 1] -= middle + settings.straighten * (base_T - middle)
    xy_T2 *= scale
    if settings.slant:
        xy_T2[:, 0] -= math.tan(math.radians(settings.slant)) * xy_T2[:, 1]
        xy_T2[:, 0] -= xy_T2[:, 0].min()
    room = np.array([settings.text_width, TALL * settings.line_height, DEEP * settings.line_height])
    taken = np.array([xy_T2[:, 0].max(), -xy_T2[:, 1].min(), xy_T2[:, 1].max()])
    shrink = float(1 / np.maximum(taken / room, 1).max())
    return split_strokes(xy_T2 * shrink, line.strokes), shrink
