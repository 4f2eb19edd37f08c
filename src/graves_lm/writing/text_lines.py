"""From a text and what it is to look like to the lines that are written."""

from collections.abc import Iterable
from dataclasses import replace

from graves_lm.data.alphabet import Alphabet
from graves_lm.runtime.errors import UserError
from graves_lm.writing.block import Block, Look, plain
from graves_lm.writing.hyphens import HYPHEN, divider
from graves_lm.writing.markdown import from_markdown
from graves_lm.writing.numbers import numbered
from graves_lm.writing.page import PageSettings
from graves_lm.writing.wrap import TextLine, wrap_blocks


def text_lines(
    text: str,
    alphabet: Alphabet,
    page: PageSettings,
    width: int | None = None,
    on_unknown: str = "error",
    markdown: bool = False,
    hyphenate: str | None = None,
    where: str = "text",
) -> list[TextLine]:
    """The lines of a text for a page, in characters of the alphabet.

    `width`: characters per line; None: as many as the page has room for. Raises UserError as `spell` and
    `wrap_blocks` do.
    """
    blocks = from_markdown(text) if markdown else plain(text)
    return block_lines(blocks, alphabet, page, width, on_unknown, hyphenate, where)


def block_lines(
    blocks: Iterable[Block],
    alphabet: Alphabet,
    page: PageSettings,
    width: int | None = None,
    on_unknown: str = "error",
    hyphenate: str | None = None,
    where: str = "text",
) -> list[TextLine]:
    """The same of blocks."""
    divide = None if hyphenate is None else divider(hyphenate)
    if divide is not None and HYPHEN not in alphabet:
        raise UserError(
            f"hyphenate={hyphenate}: {HYPHEN!r} is not among the characters the network has learned"
        )
    spelled = [
        replace(
            block, runs=[run._replace(text=alphabet.spell(run.text, on_unknown, where)) for run in block.runs]
        )
        for block in blocks
    ]

    def room(look: Look) -> int:
        usual = page.characters if width is None else width
        return int(usual * page.room(look) / page.text_width / look.size + 1e-9)

    lines = wrap_blocks(spelled, room, divide)
    if page.numbers and page.height is not None:
        lines = numbered(lines, page)
    return list(lines)
