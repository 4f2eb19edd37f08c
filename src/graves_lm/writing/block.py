"""A text's parts, and how the lines of each stand on their page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Align = Literal["left", "right", "centre", "justified"]


class Underline(NamedTuple):
    """Characters of a line with a line under them, or several."""

    begin: int
    end: int
    lines: int = 1


class Look(NamedTuple):
    """How a line stands on its page, where that is not as the page's settings say.

    size: of the letters, times the usual one. A larger line takes a whole number of line heights.
    indent: that it stands further in, in characters of the usual size.
    align: None: as the page.
    ends: it is the last one of its paragraph, which is not stretched to the margin.
    underlines: what is underlined.
    left: where its room begins, in mm from the paper's left edge; None: at the margin.
    width: of its room, in mm; None: up to the right margin.
    top: where it begins, in mm from the paper's top edge; None: after the line before.
    foot: it stands in the middle of the bottom margin, and lines after it go on as if it were not there.
    """

    size: float = 1.0
    indent: float = 0.0
    align: Align | None = None
    ends: bool = True
    underlines: tuple[Underline, ...] = ()
    left: float | None = None
    width: float | None = None
    top: float | None = None
    foot: bool = False


PLAIN = Look()


class Run(NamedTuple):
    """Words in a row that are underlined alike."""

    text: str
    underlines: int = 0


@dataclass(frozen=True)
class Block:
    """A part of a text: one paragraph or, with line ends, several of the same look.

    Args:
        runs: its text.
        look: of its lines.
        blank: empty lines before it.
        hanging: characters by which all lines but the first stand further in than that.
    """

    runs: Sequence[Run]
    look: Look = PLAIN
    blank: int = 0
    hanging: int = 0

    @property
    def text(self) -> str:
        """All of its runs."""
        return "".join(run.text for run in self.runs)


def plain(text: str) -> list[Block]:
    """A text as it stands, as one block."""
    return [Block([Run(text)])]
