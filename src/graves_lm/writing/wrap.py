"""A text of any length as lines to write."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from graves_lm.runtime.errors import UserError
from graves_lm.writing.block import PLAIN, Block, Look, Underline, plain

LINE = re.compile(r"([^\n\r\v\f\x85\u2028\u2029]*)(\r\n|[\n\r\v\f\x85\u2028\u2029]|\Z)")
WORD = re.compile(r"\S+")
LONGEST = 100  # characters: what is longer is no word, and is not divided but cut

Divide = Callable[[str, int], tuple[str, int] | None]
"""The beginning of a word, of at most so many characters with its hyphen, and how many of the word's that is;
None where it cannot be divided so."""
Room = Callable[[Look], int]
"""How many characters a line of this look has room for."""


class TextLine(NamedTuple):
    """A line to write: words with one space between them, never empty."""

    text: str
    blank: int = 0  # empty lines before it; the gap between paragraphs
    look: Look = PLAIN


def wrap(text: str, width: int, divide: Divide | None = None) -> Iterator[TextLine]:
    """The text's lines, of at most `width` characters, one after another, as `wrap_blocks` has them."""
    return wrap_blocks(plain(text), lambda _: width, divide)


def wrap_blocks(blocks: Iterable[Block], room: Room, divide: Divide | None = None) -> Iterator[TextLine]:
    """The blocks' lines, of at most as many characters as each has room for, one after another.

    A text's own line ends are kept. Within a line, each run of spaces and tabs is one space, words move to
    the next line whole, or divided where `divide` says, and a word longer than a line is cut. Empty lines at
    the end are dropped, and blocks without words. Raises UserError for a width below 1 and a text without
    words.
    """
    blocks = list(blocks)
    for block in blocks:
        if (width := room(block.look)) < 1:
            raise UserError(f"a line of {width} characters holds nothing: give a width of 1 or more")
    if not any(WORD.search(block.text) for block in blocks):
        raise UserError("there is nothing to write: the text is empty")
    return _lines(blocks, room, divide)


class _Piece(NamedTuple):
    """A word, or a part of one, and where it begins in its block's text."""

    text: str
    begin: int
    end: int


def _lines(blocks: list[Block], room: Room, divide: Divide | None) -> Iterator[TextLine]:
    blank = 0
    for block in blocks:
        text, look = block.text, block.look
        if not WORD.search(text):
            continue
        blank += block.blank
        following = look._replace(indent=look.indent + block.hanging, top=None)
        rest = max(1, room(following))
        for line in LINE.finditer(text):
            if line.start() == len(text):
                break
            words = 0
            for pieces, last in _with_last(_filled(text, line, (room(look), rest), divide)):
                words += len(pieces)
                shown = look._replace(ends=last, underlines=tuple(_underlines(block, pieces)))
                yield TextLine(" ".join(piece.text for piece in pieces), blank, shown)
                blank, look = 0, following
            blank += not words


def _with_last(lines: Iterator[list[_Piece]]) -> Iterator[tuple[list[_Piece], bool]]:
    """Each, and whether it is the last one."""
    before = next(lines, None)
    while before is not None:
        after = next(lines, None)
        yield before, after is None
        before = after


def _filled(
    text: str, line: re.Match[str], widths: tuple[int, int], divide: Divide | None
) -> Iterator[list[_Piece]]:
    """A line of the text as lines to write: the first of the first width, all others of the second."""
    pieces: list[_Piece] = []
    width, taken = widths[0], 0
    for word in WORD.finditer(text, line.start(1), line.end(1)):
        begin = word.start()
        while begin < word.end():
            length, free = word.end() - begin, width - taken - bool(pieces)
            shown = text[begin : begin + min(length, width)]
            if length > free:
                rest = text[begin : word.end()] if length <= LONGEST else ""
                divided = divide(rest, free) if divide is not None else None
                # What has a line for itself and cannot be divided is cut.
                shown, length = divided or ((shown, len(shown)) if not pieces else ("", 0))
            if length:
                taken += len(shown) + bool(pieces)
                pieces.append(_Piece(shown, begin, begin + length))
                begin += length
            if begin < word.end():
                yield pieces
                pieces, width, taken = [], widths[1], 0
    if pieces:
        yield pieces


def _underlines(block: Block, pieces: list[_Piece]) -> Iterator[Underline]:
    """What of a line of the block is underlined, from word to word in one."""
    ends = accumulate(len(run.text) for run in block.runs)
    for run, run_end in zip(block.runs, ends, strict=True):
        if not run.underlines:
            continue
        begin, end, place = None, 0, 0  # in the line
        for text, first, last in pieces:
            within = max(first, run_end - len(run.text)), min(last, run_end)
            if within[0] < within[1]:
                begin = place + within[0] - first if begin is None else begin
                end = place + (len(text) if within[1] == last else within[1] - first)
            place += len(text) + 1
        if begin is not None:
            yield Underline(begin, end, run.underlines)
