"""What is saved is read back by others' readers, and is where the pen was."""

import json
import re
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from graves_lm.rendering.handwriting import FORMATS, NEEDED
from graves_lm.runtime.errors import UserError
from graves_lm.writing.handwriting import Handwriting, check_output
from graves_lm.writing.output import PAGE_FORMATS
from graves_lm.writing.page import PageSettings
from graves_lm.writing.placing import WrittenLine
from tests.writing.letters import LETTER, letter

SVG = "{http://www.w3.org/2000/svg}"
NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)")
HERE = [ending for ending in FORMATS if ending not in NEEDED or find_spec(NEEDED[ending])]
SMALL = PageSettings(100, 60, 12, 8, 10, 6, line_height=8, colour="#203080")


@pytest.fixture(scope="module")
def handwriting() -> Handwriting:
    """A letter on four small pages."""
    return Handwriting(letter(width=30), SMALL)


def drawn(svg: str) -> tuple[ET.Element, list[np.ndarray]]:
    """The picture's root, and of each path the places it passes: the ends of its lines or curves."""
    root = ET.fromstring(svg)
    paths = []
    for path in root.iter(f"{SVG}path"):
        start, curves = re.fullmatch("M([^c]*)(?:c(.*))?", path.attrib["d"]).groups()
        xy = np.array(NUMBER.findall(start), dtype=float).reshape(-1, 2)
        if curves is not None:
            steps = np.array(NUMBER.findall(curves), dtype=float).reshape(-1, 3, 2)[:, 2]
            xy = np.concatenate([xy, xy + steps.cumsum(0)])
        paths.append(xy)
    return root, paths


def test_svg_has_the_strokes_in_millimetres(handwriting):
    assert len(handwriting.pages) == 4
    for number, page in enumerate(handwriting.pages):
        root, paths = drawn(handwriting.svg(number, tolerance=0))
        assert (root.attrib["width"], root.attrib["height"]) == ("100mm", "60mm")
        assert root.attrib["viewBox"] == "0 0 100 60"
        assert root.find(f"{SVG}g").attrib["stroke"] == "#203080"
        # Against the points themselves: each line's strokes are those of the network, moved and scaled.
        lines = [handwriting.lines[line.number - 1] for line in page.lines]
        assert len(paths) == sum(int(line.strokes[:, 2].sum()) for line in lines)
        first = 0
        for line in lines:
            count = int(line.strokes[:, 2].sum())
            x = np.concatenate([p[:, 0] for p in paths[first : first + count]])
            offsets = line.strokes[:, 0].astype(float)
            lengths = [len(p) for p in paths[first : first + count]]
            if 2 not in lengths:  # a dot is drawn with two points
                fit = np.polyfit(offsets.cumsum(), x, 1)
                assert np.abs(np.polyval(fit, offsets.cumsum()) - x).max() < 0.01
            first += count


def test_curves_are_shorter_and_pass_the_same_ends(handwriting):
    assert len(handwriting.svg()) < 0.6 * len(handwriting.svg(tolerance=0))
    _, curves = drawn(handwriting.svg())
    for curve, stroke in zip(curves, handwriting.pages[0].drawing.strokes, strict=True):
        assert curve[0] == pytest.approx(stroke[0], abs=0.0051)
        assert curve[-1] == pytest.approx(stroke[-1], abs=0.0051)
        # Each place between is near a point, too.
        for place in curve:
            assert np.hypot(*(stroke - place).T).min() < 0.06


def test_animated_svg_keeps_the_pace(handwriting):
    root, _ = drawn(handwriting.svg(animated=True, point_ms=10))
    clock = 0.0
    for path, stroke in zip(root.iter(f"{SVG}path"), handwriting.pages[0].drawing.strokes, strict=True):
        delay, duration = map(float, re.findall(r":([\d.e-]+)s", path.attrib["style"]))
        assert delay == pytest.approx(clock, rel=1e-3)
        assert duration == pytest.approx(len(stroke) / 100)
        clock += len(stroke) / 100


def test_png_has_ink_where_the_strokes_are(handwriting):
    picture = Image.open(BytesIO(handwriting.png(dpi=127)))  # 5 pixels a millimetre
    assert picture.size == (500, 300)
    assert picture.info["dpi"] == pytest.approx((127, 127), abs=0.1)
    pixels = np.asarray(picture).astype(int)
    places = np.concatenate(handwriting.pages[0].drawing.strokes)
    at = (places * 5).astype(int)
    assert (pixels[at[:, 1], at[:, 0]].sum(-1) < 600).mean() > 0.99
    assert (pixels == (32, 48, 128)).all(-1).any()
    inked = np.argwhere(pixels.sum(-1) < 600) / 5  # (y, x) in mm
    assert inked[:, 1].min() > 12 - 0.6
    assert inked[:, 1].max() < 92 + 0.6


def test_gif_ends_with_the_page(handwriting):
    picture = Image.open(BytesIO(handwriting.gif(dpi=50.8, point_ms=5)))
    assert picture.size == (200, 120)
    ink = []
    for frame in (0, picture.n_frames // 2, picture.n_frames - 1):
        picture.seek(frame)
        ink.append((np.asarray(picture.convert("L")) < 200).sum())
    assert ink[0] < 0.1 * ink[2]
    assert 0.3 * ink[2] < ink[1] < 0.7 * ink[2]


def test_json_has_the_points(handwriting):
    lines = json.loads(handwriting.json())["lines"]
    for line, strokes in zip(lines, handwriting.strokes, strict=True):
        found = np.array(line["points"])
        np.testing.assert_allclose(found[1:, :2], strokes[1:, :2].astype(float).cumsum(0), atol=1e-6)
        assert found[0, :2].tolist() == [0, 0]
        assert np.array_equal(found[:, 2], strokes[:, 2])


def test_files_of_several_pages(handwriting, tmp_path):
    assert [p.name for p in handwriting.save(tmp_path / "a.svg")] == [
        "a-1.svg",
        "a-2.svg",
        "a-3.svg",
        "a-4.svg",
    ]
    assert [p.name for p in handwriting.save(str(tmp_path / "b.Anim.SVG"))] == [
        "b-1.Anim.SVG",
        "b-2.Anim.SVG",
        "b-3.Anim.SVG",
        "b-4.Anim.SVG",
    ]
    assert handwriting.save(tmp_path / "c.json") == [tmp_path / "c.json"]
    assert len(handwriting.save(tmp_path / "d.png", dpi=40)) == 4
    assert (tmp_path / "a-2.svg").read_text() == handwriting.svg(1)
    assert (tmp_path / "b-3.Anim.SVG").read_text() == handwriting.svg(2, animated=True)
    assert (tmp_path / "d-1.png").read_bytes() == handwriting.png(dpi=40)
    assert len(list(tmp_path.iterdir())) == 4 + 4 + 1 + 4


def test_one_page_has_the_name_itself(tmp_path):
    short = Handwriting(list(letter())[:1], SMALL)
    for ending in HERE:
        path = tmp_path / f"a{ending}"
        assert short.save(path) == [path]
        assert path.stat().st_size > 100
    assert {*PAGE_FORMATS, ".json", ".inkml", ".pdf"} == set(FORMATS)


def test_text_and_summary(handwriting):
    assert handwriting.text.split() == LETTER.split()
    assert handwriting.text.startswith("Dear Ursula,\n\nthank you")
    points = sum(map(len, handwriting.strokes))
    assert repr(handwriting) == (
        f"<Handwriting 'Dear Ursula,': {len(handwriting.lines)} lines, {points} points, 4 pages, 0 warnings>"
    )


def test_notebooks_see_a_page(handwriting):
    several, _ = drawn(handwriting._repr_svg_())
    assert several.attrib["height"] == "60mm"
    one, paths = drawn(Handwriting(list(letter())[:1])._repr_svg_())
    assert one.attrib["width"] == "210mm"
    assert float(one.attrib["height"].removesuffix("mm")) == 52
    assert "background" in one.attrib["style"]
    assert paths


def test_warnings():
    lines = list(letter())
    lines[2] = lines[2]._replace(strokes=lines[2].strokes * np.array([4, 1, 1], np.float32))
    handwriting = Handwriting(lines, SMALL, ["line 1: hit the cap of points"])
    first, second = handwriting.warnings
    assert first == "line 1: hit the cap of points"
    assert re.fullmatch(r"line 3: drawn \d\d% smaller than its page asks for, to fit it", second)
    assert "2 warnings" in repr(handwriting)


def test_plain_pairs_will_do():
    line = next(letter())
    handwriting = Handwriting([(line.text, line.strokes.tolist()), (line.text, line.strokes, 2)])
    assert [line.blank for line in handwriting.lines] == [0, 2]
    assert handwriting.strokes[0].dtype == np.float32


def test_a_very_long_page_is_drawn_coarser_unless_told_otherwise():
    line = WrittenLine(".", np.array([[0, 0, 0], [5, 5, 1]], np.float32), blank=400)
    handwriting = Handwriting([line, line], PageSettings(height=None))
    picture = Image.open(BytesIO(handwriting.png()))
    assert max(picture.size) == 16_384
    assert picture.info["dpi"][1] * handwriting.pages[0].drawing.height / 25.4 == pytest.approx(
        16_384, rel=0.01
    )
    with pytest.raises(UserError, match="at most"):
        handwriting.png(dpi=150)


@pytest.mark.parametrize("dpi", [0, -1, float("nan"), 1e9])
def test_bad_dpi(handwriting, dpi):
    with pytest.raises(UserError, match="dpi="):
        handwriting.png(dpi=dpi)


def test_nothing_or_nonsense_to_draw():
    with pytest.raises(UserError, match="no line"):
        Handwriting([])
    line = next(letter())
    with pytest.raises(UserError, match="not finite"):
        Handwriting([(line.text, line.strokes + np.inf)])


def test_paths_are_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "folder.svg").mkdir()
    (tmp_path / "file").write_text("")
    for path, complaint in {
        "a.ps": "use one of them",
        "a": "use one of them",
        "folder.svg": "is a folder",
        "missing/a.svg": "does not exist",
        "file/a.svg": "does not exist",
        "x" * 300 + ".svg": "choose another path",
    }.items():
        with pytest.raises(UserError, match=complaint) as error:
            check_output(tmp_path / path)
        assert "\n" not in str(error.value)
        assert path in str(error.value)
    for ending in HERE:
        check_output(tmp_path / f"a{ending}")
    monkeypatch.chdir(tmp_path)
    check_output("a.svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.svg"]


def test_a_folder_that_cannot_be_written():
    with pytest.raises(UserError, match="cannot write /proc/"):
        check_output("/proc/a.svg")
