"""Markdown as blocks to write: headings larger, lists and quotations further in, emphasis underlined."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from graves_lm.runtime.extras import require_package
from graves_lm.writing.block import PLAIN, Block, Look, Run

HEADINGS = {"h1": Look(size=1.6), "h2": Look(size=1.3)}
"""Others are written in the usual size, and underlined."""
QUOTED = 4  # characters that a quotation stands further in
BULLET = "- "


def from_markdown(text: str, look: Look = PLAIN) -> list[Block]:
    """The blocks of a text in CommonMark, by markdown-it-py, where it is not said otherwise in a look.

    Emphasis is underlined, strong emphasis twice. Of links there is the text, of pictures what is said in
    their place; HTML is text. A thematic break is a gap. Raises UserError where markdown-it-py is not
    installed.
    """
    require_package("markdown_it", "desk", "Markdown")
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

    tokens = MarkdownIt("commonmark", {"html": False}).parse(text)
    return list(_blocks(SyntaxTreeNode(tokens).children, look))


def _blocks(nodes: Any, look: Look, gap: int = 1) -> Iterator[Block]:
    """The blocks of one node after another, with empty lines between them."""
    blank = 0
    for node in nodes:
        for number, block in enumerate(_block(node, look)):
            yield block if number else replace(block, blank=blank)
            blank = gap
        blank += node.type == "hr"


def _block(node: Any, look: Look) -> Iterator[Block]:
    match node.type:
        case "paragraph":
            yield Block(list(_runs(node)), look)
        case "heading":
            larger = HEADINGS.get(node.tag)
            runs = list(_runs(node, 0 if larger else 1))
            yield Block(runs, look._replace(size=look.size * larger.size) if larger else look)
        case "bullet_list" | "ordered_list":
            yield from _items(node, look)
        case "blockquote":
            yield from _blocks(node.children, look._replace(indent=look.indent + QUOTED))
        case "fence" | "code_block":
            yield Block([Run(node.content)], look)


def _items(node: Any, look: Look) -> Iterator[Block]:
    """The items of a list, each after its mark; loose ones with a gap between them, as they are written."""
    number = int(node.attrs.get("start", 1))
    for count, item in enumerate(node.children):
        mark = f"{number + count}. " if node.type == "ordered_list" else BULLET
        tight = all(child.hidden for child in item.children if child.type == "paragraph")
        within = look._replace(indent=look.indent + len(mark))
        inner = list(_blocks(item.children, within, gap=0 if tight else 1)) or [Block([], within)]
        first = inner[0]
        blank = 0 if tight or count == 0 else 1
        yield Block([Run(mark), *first.runs], first.look._replace(indent=look.indent), blank, len(mark))
        yield from inner[1:]


def _runs(node: Any, underlines: int = 0) -> Iterator[Run]:
    """The words of a block or of what is in it."""
    for child in node.children:
        match child.type:
            case "inline" | "link" | "image":
                yield from _runs(child, underlines)
            case "em":
                yield from _runs(child, max(underlines, 1))
            case "strong":
                yield from _runs(child, 2)
            case "softbreak":
                yield Run(" ", underlines)
            case "hardbreak":
                yield Run("\n", underlines)
            case _:
                yield Run(child.content, underlines)
