"""Strokes as PNG, and the drawing of strokes in pixels."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from graves_lm.rendering.brush import finer
from graves_lm.rendering.layout import Page, Style, layers, place
from graves_lm.runtime.errors import UserError

SUPERSAMPLING = 4  # Pillow draws without smoothing: draw larger, then average
DPI = 150.0
MAX_PIXELS = 20_000_000  # of a page, A4 at 400 dpi; sixteen bytes each while it is drawn
MAX_SIDE = 16_384  # pixels; a GIF ends at 65,535, and many viewers well before


class Ink:
    """A page drawn in pixels: how much of each is inked by a pen, in the page's unit (None: the page's).

    `scale` is in pixels per unit of the page; a page that would have more than `max_pixels` or a side above
    `MAX_SIDE` (a sampler may run away) is drawn smaller.
    """

    def __init__(self, page: Page, scale: float, max_pixels: int, pen: float | None = None):
        scale = min(
            scale,
            (max_pixels / (page.width * page.height)) ** 0.5,
            MAX_SIDE / max(page.width, page.height),
        )
        width, height = (max(1, round(v * scale)) for v in (page.width, page.height))
        self._scale = scale * SUPERSAMPLING
        self._pen = max(
            (page.pen if pen is None else pen) * self._scale, SUPERSAMPLING
        )  # a pixel or more, or it would fade
        self._canvas = Image.new("L", (width * SUPERSAMPLING, height * SUPERSAMPLING))
        self._draw = ImageDraw.Draw(self._canvas)

    def stroke(self, xy_N2: NDArray[np.float64], width_N: NDArray[np.float64] | None = None) -> None:
        """Draw a stroke with round joints and ends, as wide as the pen or, at its points, as it is told; one
        point makes a dot."""
        if width_N is not None:
            self._swelling(*finer(xy_N2, width_N))
            return
        points = [(float(x), float(y)) for x, y in xy_N2 * self._scale]
        self._draw.line(points, fill=255, width=round(self._pen))
        for x, y in points:
            self._draw.circle((x, y), self._pen / 2, fill=255)

    def _swelling(self, xy_P2: NDArray[np.float64], width_P: NDArray[np.float64]) -> None:
        """A stroke of places that are near each other."""
        width_P = np.maximum(width_P * self._scale, SUPERSAMPLING)
        points = [(float(x), float(y)) for x, y in xy_P2 * self._scale]
        for first, last, width in zip(points, points[1:], (width_P[1:] + width_P[:-1]) / 2, strict=False):
            self._draw.line([first, last], fill=255, width=round(width))
        for xy, width in zip(points, width_P, strict=True):
            self._draw.circle(xy, width / 2, fill=255)

    def coverage(self) -> Image.Image:
        """The ink so far, mode L: 0 for paper to 255 for ink."""
        return self._canvas.reduce(SUPERSAMPLING)


def strokes_to_png(
    lines: Sequence[ArrayLike], style: Style | None = None, line_height: int = 96, max_pixels: int = 4_000_000
) -> bytes:
    """A PNG on white of the lines (T, 3); `line_height` in pixels."""
    page = place(lines, style or Style())
    return to_png(draw(page, line_height / page.line_height, max_pixels))


def page_to_png(page: Page, dpi: float | None = None) -> bytes:
    """A PNG on white of a page in millimetres, with its resolution noted, so that it prints in its size.

    `dpi` None stands for `DPI`, or less for a very long page. Raises UserError where the given one would make
    more than `MAX_PIXELS` pixels or a side above `MAX_SIDE`.
    """
    most = 25.4 * min((MAX_PIXELS / page.width / page.height) ** 0.5, MAX_SIDE / max(page.width, page.height))
    if dpi is None:
        dpi = min(DPI, most)
    if not 0 < dpi <= most:
        raise UserError(
            f"dpi={dpi:g}: a page of {page.width:.0f} × {page.height:.0f} mm has {most:.4g} at most"
        )
    return to_png(draw(page, dpi / 25.4, MAX_PIXELS), dpi)


def draw(page: Page, scale: float, max_pixels: int) -> Image.Image:
    """A picture of the page on white; `scale` in pixels per unit of the page, as `Ink` has it."""
    picture: Image.Image | None = None
    for layer in layers(page):
        ink = Ink(page, scale, max_pixels, layer.pen)
        for xy_N2, width_N in zip(layer.strokes, layer.widths, strict=True):
            ink.stroke(xy_N2, width_N)
        coverage = ink.coverage()
        picture = picture or Image.new("RGB", coverage.size, "white")
        picture.paste(layer.rgb, mask=coverage)
    assert picture is not None
    return picture


def to_png(picture: Image.Image, dpi: float | None = None) -> bytes:
    """The picture's PNG file."""
    file = BytesIO()
    picture.save(file, "PNG", optimize=True, **({} if dpi is None else {"dpi": (dpi, dpi)}))
    return file.getvalue()
