"""Strokes as an animated GIF: the pen as it moves."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from graves_lm.rendering.layout import POINT_MS, Page, Style, layers, place
from graves_lm.rendering.png import Ink

SHADES = 16  # enough for smooth edges, and a small file


def strokes_to_gif(
    lines: Sequence[ArrayLike],
    style: Style | None = None,
    line_height: int = 64,
    max_pixels: int = 500_000,
    max_frames: int = 100,
    point_ms: float = POINT_MS,
    hold_ms: int = 1500,
) -> bytes:
    """A looping GIF of the lines (T, 3) being written; `line_height` in pixels, the rest as `page_to_gif`."""
    page = place(lines, style or Style())
    return page_to_gif(page, line_height / page.line_height, max_pixels, max_frames, point_ms, hold_ms)


def page_to_gif(
    page: Page,
    scale: float,
    max_pixels: int = 1_000_000,
    max_frames: int = 100,
    point_ms: float = POINT_MS,
    hold_ms: int = 1500,
) -> bytes:
    """A looping GIF of the page being written, a point every `point_ms`, in `max_frames` at most.

    A palette holds 16 colours with their shades: a page has no more. All strokes are as wide as the pen.

    The pen keeps its pace: where there are more points than frames, a frame shows several points and stays
    as long. The finished page is held for `hold_ms`. `scale` is in pixels per unit of the page; a page of
    more than `max_pixels` is drawn smaller.
    """
    shown = layers(page)
    inks = [Ink(page, scale, max_pixels, layer.pen) for layer in shown]
    for layer, ink in zip(shown, inks, strict=True):
        for xy_N2 in layer.strokes if layer.printed else ():
            ink.stroke(xy_N2)
    points = sum(len(xy_N2) for xy_N2 in page.strokes)
    # A frame of less than 20 ms is slowed down by the viewers.
    frames_wanted = min(max_frames, max(1, int(points * point_ms / 20)))
    stops = np.linspace(0, points, frames_wanted + 1)[1:].round().astype(int)

    paper = np.array([255, 255, 255])
    shares = np.linspace(0, 1, SHADES)[:, None]
    shades = [paper + shares * (np.array(layer.rgb) - paper) for layer in shown]  # one after another
    palette = np.concatenate(shades).round().astype(np.uint8).tobytes()

    def frame() -> Image.Image:
        levels = [round(v * (SHADES - 1) / 255) for v in range(256)]
        drawn = inks[0].coverage().point(levels)
        for number, ink in enumerate(inks[1:], 1):
            over = ink.coverage().point(levels)
            first = number * SHADES
            drawn.paste(
                over.point([v + first for v in range(256 - first)] + [255] * first),
                mask=over.point([0] + [255] * 255),
            )
        picture = Image.frombytes("P", drawn.size, drawn.tobytes())
        picture.putpalette(palette)
        return picture

    frames, drawn = [], 0
    of_colour = {layer.rgb: ink for layer, ink in zip(shown, inks, strict=True) if not layer.printed}
    remaining = [
        (xy_N2, first, of_colour[page.colour(number)])
        for number, xy_N2 in enumerate(page.strokes)
        for first in range(len(xy_N2))
    ]
    for stop in stops:
        for xy_N2, last, ink in remaining[drawn:stop]:
            ink.stroke(xy_N2[max(0, last - 1) : last + 1])
        drawn = stop
        frames.append(frame())

    # Each frame's time is rounded to the format's 10 ms from the running total, so that the pace holds.
    clock = (np.array([0, *stops[:-1]]) * point_ms / 10).round().astype(int) * 10
    durations = [*np.diff(clock).tolist(), hold_ms]
    file = BytesIO()
    frames[0].save(
        file, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=False
    )
    return file.getvalue()
