"""What plotters and other programs are given, read by others' readers, is where the page's strokes are."""

import re
import xml.etree.ElementTree as ET
from io import BytesIO, StringIO
from itertools import pairwise, permutations, product

import numpy as np
import pytest
from PIL import Image

from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import from_pen_strokes
from graves_lm.rendering.curves import flat
from graves_lm.rendering.dxf import page_to_dxf
from graves_lm.rendering.gcode import page_to_gcode
from graves_lm.rendering.gif import page_to_gif
from graves_lm.rendering.hpgl import page_to_hpgl
from graves_lm.rendering.inkml import strokes_to_inkml
from graves_lm.rendering.layout import Page
from graves_lm.rendering.order import ordered, shortest, travel
from graves_lm.rendering.pdf import pages_to_pdf
from graves_lm.rendering.plotter import Plotter
from graves_lm.rendering.png import page_to_png
from graves_lm.rendering.svg import page_to_svg
from graves_lm.writing.handwriting import Handwriting
from graves_lm.writing.page import PageSettings
from tests.writing.letters import letter

NAVY, RED = (0, 0, 128), (200, 0, 0)
WAVE = np.stack([np.linspace(10, 50, 60), 20 + 5 * np.sin(np.linspace(0, 9, 60))], 1)
STROKES = [WAVE, np.array([[30.0, 40.0]]), WAVE[::-1] + np.array([30, 10]), WAVE + np.array([0, 30])]
PAGE = Page(STROKES, 100.0, 80.0, 8.0, 0.4, NAVY, colours=[NAVY, NAVY, RED, NAVY])
UPRIGHT = [xy * (1, -1) + (0, 80) for xy in STROKES]  # y up, from the bottom left corner
GROUPED = [UPRIGHT[n] for n in (0, 1, 3, 2)]  # the navy pen, then the red one


def distance(xy_N2: np.ndarray, polygon_P2: np.ndarray) -> float:
    """How far the points are from the polygon at most."""
    a, b = polygon_P2[:-1], polygon_P2[1:]
    if len(a) == 0:
        return float(np.hypot(*(xy_N2 - polygon_P2[0]).T).max())
    way = b - a
    length2 = np.maximum((way**2).sum(1), 1e-12)
    share = np.clip(((xy_N2[:, None] - a) * way).sum(-1) / length2, 0, 1)
    off = xy_N2[:, None] - (a + share[..., None] * way)
    return float(np.hypot(off[..., 0], off[..., 1]).min(1).max())


def same(found: list[np.ndarray], wanted: list[np.ndarray], tolerance: float) -> None:
    """Each polygon passes its stroke's points, and begins and ends with them."""
    assert len(found) == len(wanted)
    for polygon, stroke in zip(found, wanted, strict=True):
        assert distance(stroke, polygon) <= tolerance
        assert polygon[0] == pytest.approx(stroke[0], abs=tolerance)
        assert polygon[-1] == pytest.approx(stroke[-1], abs=tolerance)


@pytest.mark.parametrize("tolerance", [0.005, 0.02, 0.3])
def test_polygons_are_near_the_points(tolerance):
    fine = flat([WAVE], 1e-4)[0]
    polygon = flat([WAVE], tolerance)[0]
    assert distance(WAVE, polygon) <= 2 * tolerance
    assert distance(fine, polygon) <= 2 * tolerance + 0.01
    assert len(polygon) < len(fine)
    assert flat([WAVE[[3, 3, 3]]], tolerance)[0].tolist() == [WAVE[3].tolist()]


def test_gcode_lifts_before_it_moves_and_lowers_before_it_draws():
    parser = pytest.importorskip("gcodeparser")
    text = page_to_gcode(PAGE, Plotter(1500, ("M5", "G4 P0.2"), ("M3 S90",)))
    down, drawn, place, speeds, halts = False, [], (0.0, 0.0), set(), 0
    for line in parser.parse_gcode_lines(text, include_comments=False):
        match line.command:
            case ("M", 3):
                down = True
                drawn.append([place])
            case ("M", 5):
                down = False
            case ("G", 0):
                assert not down
                place = (line.params["X"], line.params["Y"])
            case ("G", 1):
                assert down
                drawn[-1].append((line.params["X"], line.params["Y"]))
                speeds |= {line.params["F"]} if "F" in line.params else set()
            case ("M", 0):
                assert not down
                halts += 1
            case command:
                assert command in (("G", 21), ("G", 90), ("G", 17), ("G", 4), ("M", 2))
    same([np.array(xy) for xy in drawn], GROUPED, 0.042)
    assert (place, down, speeds, halts) == ((0, 0), False, {1500}, 1)


def test_the_origin_is_a_corner_of_the_page():
    first = re.compile(r"G0 X(\S+) Y(\S+)")
    for origin, y in (("bottom_left", 80 - WAVE[0, 1]), ("top_left", -WAVE[0, 1])):
        found = first.search(page_to_gcode(PAGE, Plotter(origin=origin)))
        assert [float(number) for number in found.groups()] == pytest.approx([WAVE[0, 0], y])


def test_hpgl_has_a_pen_for_each_colour():
    drawn, pens = [], []
    for command in page_to_hpgl(PAGE, Plotter(feed=6000)).split(";"):
        name, numbers = command.strip()[:2], command.strip()[2:]
        if name in ("PU", "PD") and numbers:
            xy = np.array(numbers.split(","), float).reshape(-1, 2) / 40
            assert len(numbers) < 1000
            drawn = [*drawn, xy] if name == "PU" else [*drawn[:-1], np.concatenate([drawn[-1], xy])]
        elif name in ("SP", "VS"):
            pens.append(name + numbers)
    same(drawn, GROUPED, 0.06)
    assert pens == ["VS10", "SP1", "SP2", "SP0"]


def test_dxf_is_in_millimetres_and_the_same_each_time():
    ezdxf = pytest.importorskip("ezdxf")
    text = page_to_dxf(PAGE)
    document = ezdxf.read(StringIO(text))
    assert not document.audit().errors
    assert document.units == ezdxf.units.MM
    drawn = [
        np.array([e.dxf.location.vec2] if e.dxftype() == "POINT" else [p[:2] for p in e.get_points()])
        for e in document.modelspace()
    ]
    same(drawn, GROUPED, 0.042)
    assert [e.dxf.layer for e in document.modelspace()] == ["pen 1"] * 3 + ["pen 2"]
    assert document.layers.get("pen 2").rgb == RED
    assert page_to_dxf(PAGE) == text


def test_pdf_has_all_pages_in_their_sizes_with_all_strokes():
    pypdf, _ = pytest.importorskip("pypdf"), pytest.importorskip("reportlab")
    pages = [PAGE, PAGE._replace(width=50.0, strokes=STROKES[:1], colours=[])]
    data = pages_to_pdf(pages, 0.05, "Dear")
    read = pypdf.PdfReader(BytesIO(data))
    sizes = [[float(side) * 25.4 / 72 for side in page.mediabox[2:]] for page in read.pages]
    assert np.allclose(sizes, [[100, 80], [50, 80]], atol=0.01)
    assert read.metadata.title == "Dear"
    for page, written in zip(pages, read.pages, strict=True):
        operations = [
            (op.decode(), [float(n) for n in args]) for args, op in written_operations(pypdf, written)
        ]
        starts = [args for op, args in operations if op == "m"]
        assert np.allclose(starts, [xy[0] for xy in page.strokes], atol=0.001)
        ends = [a[1] for a, b in pairwise(operations) if b[0] == "S"]
        assert np.allclose([args[-2:] for args in ends], [xy[-1] for xy in page.strokes], atol=0.001)
        colours = [args for op, args in operations if op == "RG"]
        wanted = [NAVY, RED, NAVY] if page.colours else [NAVY]  # where it changes
        assert np.allclose(colours, np.array(wanted) / 255, atol=1e-3)
    assert pages_to_pdf(pages, 0.05, "Dear") == data


def written_operations(pypdf, page) -> list:
    return [
        (args, op)
        for args, op in pypdf.generic.ContentStream(page.get_contents(), None).operations
        if op in (b"m", b"c", b"l", b"S", b"RG")
    ]


def test_inkml_is_read_back_equal(tmp_path):
    lines = list(letter())
    texts = [f"{line.text} <&> é" for line in lines]
    text = strokes_to_inkml([line.strokes for line in lines], texts)
    (tmp_path / "a.inkml").write_text(text, encoding="utf-8")
    read, problems = read_ink(tmp_path / "a.inkml")
    assert problems == []
    assert [line.text for line in read] == texts
    for line, wanted in zip(read, lines, strict=True):
        strokes = wanted.strokes.copy()
        strokes[0, :2] = 0  # where the line begins is not the ink's
        assert np.array_equal(line.strokes, strokes)
    # By XML's own rules: as many traces as strokes, as many points as there are.
    root = ET.fromstring(text)
    traces = root.findall(".//{http://www.w3.org/2003/InkML}trace")
    assert sum(len(trace.text.split(",")) for trace in traces) == sum(len(line.strokes) for line in lines)


def test_inkml_of_lines_without_texts(tmp_path):
    lines = [from_pen_strokes([WAVE]), np.zeros((0, 3)), from_pen_strokes([WAVE, WAVE[:5] + 3])]
    (tmp_path / "a.inkml").write_text(strokes_to_inkml(lines))
    read, problems = read_ink(tmp_path / "a.inkml")
    assert problems == []
    assert [line.text for line in read] == ["", ""]
    assert all(np.array_equal(line.strokes, lines[n]) for line, n in zip(read, (0, 2), strict=True))


def test_a_row_of_bars_is_drawn_up_and_down():
    rng = np.random.default_rng(0)
    bars = [np.array([[x, 0.0], [x, 9.0]]) for x in range(30)]
    shuffled = [bars[n][:: rng.choice((1, -1))] for n in rng.permutation(30)]
    assert travel(shuffled) > 300
    found = shortest(shuffled)
    assert sorted(n for n, _ in found) == list(range(30))
    assert travel([shuffled[n][:: -1 if turned else 1] for n, turned in found]) == pytest.approx(29)


def test_the_order_lies_between_the_best_and_the_given():
    """All orders, and ways round, of five strokes are tried."""
    for seed in range(8):
        strokes = list(np.random.default_rng(seed).uniform(0, 100, (5, 2, 2)))
        least = min(
            travel([strokes[n][::way] for n, way in zip(order, ways, strict=True)])
            for order in permutations(range(5))
            for ways in product((1, -1), repeat=5)
        )
        found = travel([strokes[n][:: -1 if turned else 1] for n, turned in shortest(strokes)])
        assert least - 1e-9 <= found <= min(1.5 * least, travel(strokes))
    assert shortest([]) == []


def test_an_ordered_page_is_the_same_ink_with_each_pen_taken_once():
    (page,) = Handwriting(letter()).pages
    after = ordered(page.drawing)
    assert travel(after.strokes) < 0.75 * travel(page.drawing.strokes)

    def ink(strokes):
        return sorted(min(xy.tolist(), xy[::-1].tolist()) for xy in strokes)

    assert ink(after.strokes) == ink(page.drawing.strokes)
    colours = ordered(PAGE).colours
    assert [bool(n) and colours[n] != colours[n - 1] for n in range(4)].count(True) == 1
    for xy, colour in zip(STROKES, PAGE.colours, strict=True):
        (found,) = [
            c for drawn, c in zip(ordered(PAGE).strokes, colours, strict=True) if ink([drawn]) == ink([xy])
        ]
        assert found == colour


def test_a_page_of_its_settings(tmp_path):
    settings = PageSettings(order="shortest", pen_up=["M5"], feed=100, origin="top_left")
    short, plain = Handwriting(letter(), settings), Handwriting(letter())
    assert "M5\nG0 X0 Y0" in short.save(tmp_path / "a.gcode")[0].read_text()
    (short.save(tmp_path / "b.svg"), plain.save(tmp_path / "c.svg"))
    assert (tmp_path / "b.svg").read_text() != (tmp_path / "c.svg").read_text() == plain.svg()
    (short.save(tmp_path / "b.anim.svg"), plain.save(tmp_path / "c.anim.svg"))
    assert (tmp_path / "b.anim.svg").read_text() == (tmp_path / "c.anim.svg").read_text()


def test_pictures_have_the_colours_of_the_strokes():
    boxes = [np.array([[x, 5.0], [x + 4, 5.0]]) for x in (5, 15)]
    page = Page(boxes, 24.0, 10.0, 8.0, 3.0, NAVY, colours=[NAVY, RED])
    svg = ET.fromstring(page_to_svg(page))
    assert svg[0].attrib["stroke"] == "#000080"
    assert [path.attrib.get("stroke") for path in svg[0]] == [None, "#c80000"]
    for picture in (Image.open(BytesIO(page_to_png(page, 127))), Image.open(BytesIO(page_to_gif(page, 5)))):
        picture.seek(getattr(picture, "n_frames", 1) - 1)
        shown = picture.convert("RGB")
        assert [shown.getpixel((x * 5, 25)) for x in (7, 17)] == [NAVY, RED]
        assert shown.getpixel((2, 2)) == (255, 255, 255)
