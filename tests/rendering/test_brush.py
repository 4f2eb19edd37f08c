"""A stroke that swells is wide where the pen was slow, in each format; prints lie under the strokes."""

import re
import xml.etree.ElementTree as ET
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw

from graves_lm.rendering.brush import finer, outline, widths
from graves_lm.rendering.gif import page_to_gif
from graves_lm.rendering.layout import Page, Print
from graves_lm.rendering.pdf import pages_to_pdf
from graves_lm.rendering.png import page_to_png
from graves_lm.rendering.svg import page_to_svg

SVG = "{http://www.w3.org/2000/svg}"
X = np.concatenate([np.arange(0, 10, 0.25), np.arange(10, 40, 1.5)])  # slow, then fast
STROKE = np.stack([10 + X, np.full(len(X), 20.0)], 1)
DOT = np.array([[70.0, 20.0]])


def test_widths_follow_the_speed():
    (line, dot), (even, _) = (widths([STROKE, DOT], 0.5, swell) for swell in (0.6, 0.0))
    assert even == pytest.approx(0.5)
    assert line[5] >= 0.5 > line[-5]
    (line,) = widths([STROKE[20:]], 0.5, 0.6)
    assert line[5] > 0.5 >= line[-5]
    assert (line >= 0.2 * 0.5 - 1e-12).all()
    assert (line <= 1.6 * 0.5 + 1e-12).all()
    assert dot == pytest.approx(1.6 * 0.5)


def test_finer_strokes_pass_their_points():
    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 30):
        xy, width = rng.normal(size=(count, 2)).cumsum(0), rng.uniform(1, 2, count)
        more, its = finer(xy, width)
        step = 1 if count < 3 else 4
        assert more[::step] == pytest.approx(xy)
        assert its[::step] == pytest.approx(width)


def covered(polygon: np.ndarray, scale: float = 20.0) -> np.ndarray:
    """What a polygon covers of 80 × 40, at so many pixels a unit."""
    picture = Image.new("1", (int(80 * scale), int(40 * scale)))
    ImageDraw.Draw(picture).polygon([tuple(p) for p in (polygon * scale).tolist()], fill=1)
    return np.asarray(picture)


def test_an_outline_is_as_wide_as_the_stroke():
    (width,) = widths([STROKE], 1.0, 0.5)
    inside = covered(outline(STROKE, width))
    for place in (4, 20, 45, 55):
        column = inside[:, int(STROKE[place, 0] * 20)]
        assert column.sum() / 20 == pytest.approx(width[place], abs=0.12)
        assert np.flatnonzero(column).mean() / 20 == pytest.approx(20, abs=0.06)
    ends = np.flatnonzero(inside.any(0)) / 20  # round ones
    assert ends.min() == pytest.approx(10 - width[0] / 2, abs=0.1)
    assert ends.max() == pytest.approx(STROKE[-1, 0] + width[-1] / 2, abs=0.1)
    circle = covered(outline(DOT, np.array([2.0])))
    assert circle.sum() / 400 == pytest.approx(np.pi, rel=0.06)
    back = np.concatenate([STROKE, STROKE[::-1]])  # the pen turns back on its way
    assert np.isfinite(outline(back, np.full(len(back), 0.4))).all()


def page(**more: object) -> Page:
    return Page([STROKE, DOT], 80.0, 40.0, 8.0, 1.0, (0, 0, 128), **more)


PRINTS = [Print([np.array([[0.0, 30.0], [80.0, 30.0]]), np.array([[5.0, 5.0]])], 1.0, (255, 0, 0))]


def pixels(name: str) -> np.ndarray:
    """The page as a picture, (40, 80, 3) and more, by the program that reads the format."""
    swelling = page(widths=[np.where(X < 10, 3.0, 0.5), np.array([3.0])], prints=PRINTS)
    if name == "png":
        return np.asarray(Image.open(BytesIO(page_to_png(swelling, 25.4 * 10))).convert("RGB"))
    if name == "gif":
        picture = Image.open(BytesIO(page_to_gif(swelling, 10)))
        picture.seek(picture.n_frames - 1)
        return np.asarray(picture.convert("RGB"))
    raise ValueError(name)


@pytest.mark.parametrize("name", ["png", "gif"])
def test_pictures_have_prints_and_widths(name):
    seen = pixels(name).astype(int)
    blue = (seen[..., 2] > 100) & (seen[..., 0] < 60)
    red = (seen[..., 0] > 200) & (seen[..., 2] < 60)
    wide, thin = blue[:, 150].sum(), blue[:, 400].sum()
    assert wide == pytest.approx(30 if name == "png" else 10, abs=3)
    assert thin == pytest.approx(5 if name == "png" else 10, abs=2)
    assert red[300, ::10].all()
    assert red[50, 50]


def test_vectors_have_prints_and_widths():
    width = [np.full(len(X), 2.0), np.array([2.0])]
    root = ET.fromstring(page_to_svg(page(widths=width, prints=PRINTS), 80, 0.05))
    printed, *strokes = root.iter(f"{SVG}path")
    assert (printed.get("stroke"), printed.get("d")) == ("#ff0000", "M0 30 80 30M5 5 5 5")
    assert [path.get("fill") for path in strokes] == ["#000080"] * 2
    border = np.array(re.findall(r"[\d.]+", strokes[0].get("d")), float).reshape(-1, 2)
    assert np.abs(border[:, 1] - 20).max() == pytest.approx(1, abs=0.01)
    animated = ET.fromstring(page_to_svg(page(widths=width, prints=PRINTS), 80, 0.05, 10.0))
    assert len(list(animated.iter(f"{SVG}path"))) == 3

    pypdf = pytest.importorskip("pypdf")
    pytest.importorskip("reportlab")
    content = (
        pypdf.PdfReader(BytesIO(pages_to_pdf([page(widths=width, prints=PRINTS)]))).pages[0].get_contents()
    )
    words = content.get_data().split()
    assert words.count(b"f") == 2  # filled, by the non-zero rule
    assert words.count(b"S") == 1
