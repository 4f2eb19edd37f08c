"""A page of strokes with printed words on it."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from PIL import ImageDraw, ImageFont

from graves_lm.rendering.layout import Page
from graves_lm.rendering.png import DPI, MAX_PIXELS, MAX_SIDE, draw, to_png
from graves_lm.rendering.svg import page_to_svg

_GREY = "#666666"


class Label(NamedTuple):
    """A word: where its baseline begins, and how high its letters are, in the page's unit."""

    x: float
    y: float
    text: str
    size: float


def labelled_svg(page: Page, labels: Sequence[Label], tolerance: float = 0.0) -> str:
    """An SVG document of a page in millimetres, as `page_to_svg`, with labels."""
    words = "".join(
        f'<text x="{x:.2f}" y="{y:.2f}" font-size="{size:g}">{escape(text)}</text>\n'
        for x, y, text, size in labels
    )
    drawn = page_to_svg(page, page.width, tolerance).removesuffix("</svg>\n")
    return f'{drawn}<g font-family="sans-serif" fill="{_GREY}">\n{words}</g>\n</svg>\n'


def labelled_png(page: Page, labels: Sequence[Label]) -> bytes:
    """A PNG on white of a page in millimetres, at 150 dots per inch or less for a very long one."""
    largest = min((MAX_PIXELS / page.width / page.height) ** 0.5, MAX_SIDE / max(page.width, page.height))
    dpi = min(DPI, 25.4 * largest)
    scale = dpi / 25.4
    picture = draw(page, scale, MAX_PIXELS)
    pen = ImageDraw.Draw(picture)
    for x, y, text, size in labels:
        font = ImageFont.load_default(size * scale)
        pen.text((x * scale, y * scale), text, fill=_GREY, font=font, anchor="ls")
    return to_png(picture, dpi)
