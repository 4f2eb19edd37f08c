"""A text of any length as lines to write."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from graves_lm.runtime.errors import UserError

LINE = re.compile(r"([^\n\r\v\f\x85\u2028\u2029]*)(\r\n|[\n\r\v\f\x85\u2028\u2029]|\Z)")
WORD = re.compile(r"\S+")


class TextLine(NamedTuple):
    """A line to write: words with one space between them, never empty."""

    text: str
    blank: int = 0  # empty lines before it; the gap between paragraphs


def wrap(text: str, width: int) -> Iterator[TextLine]:
    """The text's lines, of at most `width` characters, one after another.

    The text's own line ends are kept. Within a line, each run of spaces and tabs is one space, words move to
    the next line whole, and a word longer than a line is cut. Empty lines at the end are dropped. What is
    held in memory beside the text is one line. Raises UserError for a width below 1 and a text without words.
    """
    if width < 1:
        raise UserError(f"a line of {width} characters holds nothing: give a width of 1 or more")
    if not WORD.search(text):
        raise UserError("there is nothing to write: the text is empty")
    return _lines(text, width)


def _lines(text: str, width: int) -> Iterator[TextLine]:
    blank = 0
    for line in LINE.finditer(text):
        written = ""
        for word in _pieces(text, line.start(1), line.end(1), width):
            if written and len(written) + 1 + len(word) > width:
                yield TextLine(written, blank)
                written, blank = word, 0
            else:
                written = f"{written} {word}" if written else word
        if written:
            yield TextLine(written, blank)
            blank = 0
        else:
            blank += 1


def _pieces(text: str, start: int, end: int, width: int) -> Iterator[str]:
    """The words of a part of the text, longer ones cut."""
    for word in WORD.finditer(text, start, end):
        for first in range(word.start(), word.end(), width):
            yield text[first : min(first + width, word.end())]
