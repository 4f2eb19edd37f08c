"""The SVG is read back: its coordinates are the running sums of the offsets."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from graves_lm.rendering.layout import Page, Style
from graves_lm.rendering.svg import page_to_svg, strokes_to_animated_svg, strokes_to_svg
from graves_lm.runtime.errors import UserError

SVG = "{http://www.w3.org/2000/svg}"
# Two strokes and a dot; y grows downwards.
LINE = np.array([[0, 0, 0], [10, 0, 0], [0, 20, 1], [5, -20, 0], [7.5, 3.25, 1], [2, 2, 1]])


def read(svg: str) -> tuple[ET.Element, list[np.ndarray]]:
    root = ET.fromstring(svg)
    paths = [p.attrib["d"] for p in root.iter(f"{SVG}path")]
    assert all(d.startswith("M") for d in paths)
    return root, [np.array(d[1:].split(), dtype=float).reshape(-1, 2) for d in paths]


def test_coordinates_are_running_sums():
    margin = 0.5 * 20
    root, paths = read(strokes_to_svg([LINE], Style(margin=0.5)))
    xy = LINE[:, :2].cumsum(0) + margin
    assert [len(p) for p in paths] == [3, 2, 2]
    assert np.allclose(paths[0], xy[:3], atol=0.01)
    assert np.allclose(paths[1], xy[3:5], atol=0.01)
    assert np.allclose(paths[2], xy[[5, 5]], atol=0.01)  # the dot
    assert root.attrib["viewBox"] == "0 0 44.5 40"
    assert "width" not in root.attrib
    assert root.find(f"{SVG}g").attrib["stroke-linecap"] == "round"


def test_lines_stand_under_each_other():
    style = Style(margin=0.1, line_gap=0.5, colour="navy", stroke_width=0.2)
    root, paths = read(strokes_to_svg([LINE, LINE * (2, 1, 1)], style, width_mm=100))
    gap = paths[3][:, 1].min() - max(p[:, 1].max() for p in paths[:3])
    assert gap == pytest.approx(10)
    assert paths[3][0, 0] == paths[0][0, 0] == 2
    group = root.find(f"{SVG}g")
    assert (group.attrib["stroke"], group.attrib["stroke-width"]) == ("#000080", "4")
    assert root.attrib["width"] == "100mm"
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert float(root.attrib["height"].removesuffix("mm")) == pytest.approx(100 * height / width, rel=1e-4)


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_any_unit_keeps_a_thousandth_of_the_line(unit):
    _, paths = read(strokes_to_svg([LINE * (unit, unit, 1)]))
    drawn = np.concatenate(paths)[:-1]
    assert np.allclose((drawn - drawn[0]) / unit, LINE[:, :2].cumsum(0), atol=0.02)
    assert max(len(v) for v in strokes_to_svg([LINE * (unit, unit, 1)]).split()) < 60


def test_same_strokes_same_text():
    assert strokes_to_svg([LINE]) == strokes_to_svg([LINE.astype(np.float32)])


@pytest.mark.parametrize("lines", [[], [np.zeros((0, 3))], [np.array([[3.0, 4.0, 1.0]])]])
def test_little_or_nothing_to_draw(lines):
    _, paths = read(strokes_to_svg(lines))
    assert len(paths) == sum(map(len, lines))


def test_refusals():
    with pytest.raises(UserError, match="colour"):
        strokes_to_svg([LINE], Style(colour='"/><script>'))
    with pytest.raises(UserError, match="finite"):
        strokes_to_svg([LINE * np.nan])
    with pytest.raises(ValueError, match="shape"):
        strokes_to_svg([LINE[:, :2]])


PAGE = Page([np.array([(20.0, 30.0), (24, 28), (28, 30.5)]), np.array([(31.0, 22.25)])], 210, 297, 10, 0.4)


def test_a_page_in_millimetres():
    root, paths = read(page_to_svg(PAGE, PAGE.width))
    assert (root.attrib["width"], root.attrib["height"]) == ("210mm", "297mm")
    assert root.attrib["viewBox"] == "0 0 210 297"
    assert root.find(f"{SVG}g").attrib["stroke-width"] == "0.4"
    assert root.find(f"{SVG}g").attrib["fill"] == "none"
    assert np.allclose(paths[0], PAGE.strokes[0])
    assert np.allclose(paths[1], PAGE.strokes[1].repeat(2, 0))


def test_strokes_appear_one_after_another():
    root, paths = read(page_to_svg(PAGE, point_ms=50))
    assert len(paths) == 2
    line, dot = root.iter(f"{SVG}path")
    assert line.attrib["pathLength"] == "1"
    assert line.attrib["style"] == "animation-delay:0s;animation-duration:0.15s"
    assert dot.attrib["style"] == "animation-delay:0.15s;animation-duration:0.05s"
    assert dot.attrib["class"] == "dot"
    assert "pathLength" not in dot.attrib  # it has no length to be counted in
    style = root.find(f"{SVG}style").text
    for name in ("pen-write", "pen-land"):
        assert f"@keyframes {name}" in style
    # The same drawing, but for the times: a viewer without animation shows all of it.
    still, _ = read(page_to_svg(PAGE))
    assert [p.attrib["d"] for p in still.iter(f"{SVG}path")] == [p.attrib["d"] for p in (line, dot)]
    assert strokes_to_animated_svg([LINE]).count("animation-delay") == 3
