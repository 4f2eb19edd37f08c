"""The paper and the size of the writing on it. Lengths are millimetres where nothing else is said."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from graves_lm.rendering.layout import colour_rgb
from graves_lm.rendering.plotter import Plotter
from graves_lm.runtime.errors import UserError
from graves_lm.settings import declared
from graves_lm.settings.kinds import Command, Margin, Millimetres, Name, Share, Slant, Speed
from graves_lm.writing.block import PLAIN, Align, Look
from graves_lm.writing.paper import SIZES, PaperName

WIDTH, HEIGHT = SIZES["a4"]
SQUARES = 200_000  # on a page; A3 with lines of 2 mm has 120,000
COLOURS = 12  # that the palette of a GIF has room for
ABOVE, BELOW = 0.7, 0.3  # of a line's height, over and under its baseline, on the first and last line
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
        align: where lines stand between the margins; justified ones fill the room, but for the last of a
            paragraph.
        slant: degrees that the letters lean to the right, beyond the hand's own.
        drift: millimetres that a line leaves its place by, up or down, at most; another way each line.
        ragged: millimetres that a line begins inside its margin, at most.
        stroke_width: of the pen.
        swell: the share of its width by which a slow pen's strokes are thicker, and a fast one's thinner.
        colour: a CSS colour: a name, "#rrggbb", "rgb(…)" or "hsl(…)".
        colours: those of the lines, in turn; none: all are in `colour`.
        ruling: what is printed on the paper: lines to write on, squares half a line high, or dots.
        margin_line: a line at the left margin is printed on it, too.
        numbers: the pages are numbered, by hand, where there are several.
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
    align: Align = "left"
    slant: Slant = 0.0
    drift: Margin = 0.0
    ragged: Margin = 0.0
    swell: Share = 0.0
    colours: Sequence[Name] = ()
    ruling: Literal["none", "lines", "squares", "dots"] = "none"
    margin_line: bool = False
    numbers: bool = False
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
        squares = 4 * self.width * (self.height or 10 * self.width) / self.line_height**2
        if self.ruling != "none" and squares > SQUARES:
            raise UserError(
                f"page.ruling={self.ruling}: {squares:,.0f} squares of half a line's height; "
                f"{SQUARES:,} are the most; give a larger line_height"
            )
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
    def advance(self) -> float:
        """How wide a character and the space after it are in common writing."""
        return ADVANCE * self.x_height * self.line_height

    @property
    def characters(self) -> int:
        """About as many characters of an average hand fill a line."""
        return max(1, int(self.text_width / self.advance))

    def left(self, look: Look) -> float:
        """Where the room of a line begins."""
        return (self.margin_left if look.left is None else look.left) + look.indent * self.advance

    def room(self, look: Look = PLAIN) -> float:
        """How wide it is; in the bottom margin from edge to edge."""
        if look.foot:
            return self.width
        end = self.width - self.margin_right
        if look.width is not None:
            end = min(end, self.left(look._replace(indent=0.0)) + look.width)
        return end - self.left(look) - self.ragged

    @property
    def first(self) -> float:
        """The baseline of a page's first line."""
        return self.margin_top + ABOVE * self.line_height

    @property
    def last(self) -> float:
        """The lowest baseline of a page."""
        if self.height is None:
            return math.inf
        return self.height - self.margin_bottom - BELOW * self.line_height + 1e-9 * self.height
