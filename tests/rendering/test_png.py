"""The PNG is decoded: there is ink on the strokes and nowhere else."""

from io import BytesIO

import numpy as np
from PIL import Image

from graves_lm.rendering.layout import Style
from graves_lm.rendering.png import strokes_to_png

# A square's left and lower side, the pen up over the right side, a dot in the top right corner.
LINE = np.array([[0, 0, 0], [0, 100, 0], [100, 0, 1], [0, -100, 1]])
STYLE = Style(margin=0.1, stroke_width=0.05)


def decode(png: bytes) -> np.ndarray:
    image = Image.open(BytesIO(png))
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image).astype(int)


def test_ink_where_the_pen_was():
    pixels = decode(strokes_to_png([LINE], STYLE, line_height=100))  # one pixel a unit
    assert pixels.shape == (120, 120, 3)
    dark = pixels.mean(-1) < 64
    assert dark[10:110, 10].all()
    assert dark[110, 10:110].all()
    assert dark[10, 110]
    assert not dark[15:105, 15:].any()  # neither inside nor under the lifted pen
    assert not dark[:7].any()


def test_colour_and_smooth_edges():
    pixels = decode(strokes_to_png([LINE], Style(colour="#c00000"), line_height=100))
    assert (pixels == (192, 0, 0)).all(-1).any()
    assert len(np.unique(pixels[..., 1])) > 3


def test_several_lines():
    one, two = (decode(strokes_to_png([LINE] * n, STYLE, line_height=50)) for n in (1, 2))
    assert two.shape[1] == one.shape[1]
    assert two.shape[0] == one.shape[0] + 50 + 20


def test_a_runaway_page_is_drawn_smaller():
    pixels = decode(strokes_to_png([LINE, LINE * (1000, 1, 1)], line_height=100, max_pixels=10_000))
    assert pixels.shape[0] * pixels.shape[1] <= 11_000


def test_nothing_to_draw_is_a_blank_page():
    assert (decode(strokes_to_png([])) == 255).all()
