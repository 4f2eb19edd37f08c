"""Lines stand on their baselines, in one size, within the margins, on as many pages as needed."""

import tracemalloc
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest

from graves_lm.runtime.errors import UserError
from graves_lm.writing.block import Look, Underline
from graves_lm.writing.numbers import numbered
from graves_lm.writing.page import PageSettings
from graves_lm.writing.placing import WrittenLine, paginate
from graves_lm.writing.words import extents
from graves_lm.writing.wrap import TextLine, wrap
from tests.writing.letters import letter, person, written

SMALL = PageSettings(100, 60, 12, 8, 10, 6, line_height=8)


def inks(page) -> list[np.ndarray]:
    """The ink (N, 2) of each line of a page, told apart by which baseline is nearest to its middle."""
    baselines = np.array([line.baseline for line in page.lines])
    found = [[] for _ in page.lines]
    for xy in page.drawing.strokes:
        middle = np.median(xy[:, 1]) + 0.1 * page.drawing.line_height
        found[np.abs(baselines - middle).argmin()].append(xy)
    return [np.concatenate(parts) for parts in found]


def test_letters_stand_on_the_baselines():
    settings = PageSettings(straighten=1)
    (page,) = paginate(letter(), settings)
    first = settings.margin_top + 0.7 * settings.line_height
    rows = [0, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 14]
    assert len(page.lines) == len(rows)
    for line, row, ink in zip(page.lines, rows, inks(page), strict=True):
        assert line.baseline == pytest.approx(first + row * settings.line_height)
        # The pen stays longest about the baseline and the height of an x.
        near = np.abs(ink[:, 1] - line.baseline) < 0.1 * settings.line_height
        assert near.mean() > 0.2
        for half in (ink[:, 0] < np.median(ink[:, 0]), ink[:, 0] > np.median(ink[:, 0])):
            assert np.quantile(ink[half, 1], 0.85) == pytest.approx(line.baseline, abs=2.0)


@pytest.mark.parametrize("number", range(8))
def test_margins_and_neighbours_are_left_alone(number):
    settings = replace(SMALL, height=120)
    for page in paginate(letter(number=number), settings):
        every = inks(page)
        assert max(ink[:, 0].max() for ink in every) <= 92 + 1e-6
        assert [ink[:, 0].min() for ink in every] == pytest.approx([12] * len(every), abs=8)
        assert min(ink[:, 0].min() for ink in every) == pytest.approx(12)
        assert every[0][:, 1].min() > settings.margin_top - 1
        assert every[-1][:, 1].max() < settings.height - settings.margin_bottom + 1
        assert (page.drawing.width, page.drawing.height) == (100, 120)


def test_each_line_begins_at_the_margin():
    for line in letter():
        (page,) = paginate([line], SMALL)
        assert min(xy[:, 0].min() for xy in page.drawing.strokes) == pytest.approx(12)


def test_one_scale_for_all_lines():
    lines = list(letter())
    pages = list(paginate(lines, SMALL))
    assert len(pages) > 1
    strokes = iter([xy for page in pages for xy in page.drawing.strokes])
    scales = []
    for line in lines:
        count = int(line.strokes[:, 2].sum())
        ink = np.concatenate(list(islice(strokes, count)))
        scales.append(np.ptp(ink[:, 0]) / np.ptp(line.strokes[:, 0].astype(float).cumsum()))
    assert next(strokes, None) is None
    assert scales == pytest.approx([scales[0]] * len(scales), rel=1e-6)
    assert all(line.shrink == 1 for page in pages for line in page.lines)


def test_letters_have_the_wanted_size():
    settings = PageSettings(width=2000, line_height=10, x_height=0.3, straighten=1)
    for number in range(6):
        hand = person(number)
        line = written("a narrow canoe on some warm sea", hand)
        (page,) = paginate([line], settings)
        (ink,) = inks(page)
        # 2000 mm are wide enough, so that the height of an x decides.
        scale = np.ptp(ink[:, 0]) / np.ptp(line.strokes[:, 0].cumsum())
        assert scale * hand.x_height * hand.size == pytest.approx(3, rel=0.2)


def test_a_long_line_is_shrunk_alone_and_says_so():
    lines = list(letter())
    long = lines[4].strokes * np.array([3, 1, 1], np.float32)
    lines[4] = lines[4]._replace(strokes=long)
    placed = [line for page in paginate(lines, SMALL) for line in page.lines]
    assert [line.number for line in placed if line.shrink < 1] == [5]
    assert 0.25 < placed[4].shrink < 0.5
    pages = list(paginate(lines, SMALL))
    assert max(xy[:, 0].max() for page in pages for xy in page.drawing.strokes) == pytest.approx(92)


def test_pages_break_between_lines():
    # 44 mm for writing are five lines of 8 mm.
    lines = list(letter())
    pages = list(paginate(lines, SMALL))
    flat = [line for page in pages for line in page.lines]
    assert [line.text for line in flat] == [line.text for line in lines]
    assert [line.number for line in flat] == list(range(1, len(lines) + 1))
    for page in pages:
        assert page.lines[0].baseline == pytest.approx(10 + 0.7 * 8)
        assert page.lines[-1].baseline <= 60 - 6 - 0.3 * 8
    # As many as fit: the next line would have run into the margin.
    for page, after in pairwise(pages):
        blank = lines[after.lines[0].number - 1].blank
        assert page.lines[-1].baseline + (1 + blank) * 8 > 60 - 6 - 0.3 * 8


def test_a_page_as_long_as_the_writing():
    (page,) = paginate(letter(), replace(SMALL, height=None))
    assert page.drawing.height == pytest.approx(10 + 15 * 8 + 6)


@pytest.mark.parametrize("straighten", [0, 0.5, 1])
def test_straightening_takes_out_a_share_of_the_slope(straighten):
    line = written("Some say the bridge was built in a day", person(3, slope=0.08))
    (page,) = paginate([line], PageSettings(straighten=straighten))
    (ink,) = inks(page)
    xy = line.strokes[:, :2].astype(float).cumsum(0)
    scale = np.ptp(ink[:, 0]) / np.ptp(xy[:, 0])
    removed = (xy - xy[0])[:, 1] * scale - (ink - ink[0])[:, 1]
    slope = np.polyfit(ink[:, 0], removed, 1)[0]
    assert slope == pytest.approx(0.08 * straighten, abs=0.006)


def test_little_or_strange_ink():
    odd = [
        WrittenLine("", np.zeros((0, 3), np.float32)),
        WrittenLine(".", np.array([[0, 0, 1]], np.float32)),
        WrittenLine("-", np.array([[0, 0, 0], [60, 0, 1]], np.float32)),
        WrittenLine("?", np.array([[0, 0, 0], [1e7, -1e7, 0], [3, 1e7, 1]], np.float32)),
    ]
    assert list(paginate([], SMALL)) == []
    (page,) = paginate(odd, SMALL)
    ink = np.concatenate(page.drawing.strokes)
    assert np.isfinite(ink).all()
    assert (ink >= 0).all()
    assert (ink <= (100, 60)).all()


def test_100_000_characters_page_by_page():
    asked = [0]

    def lines():
        for line in wrap("word " * 20_000, 40):
            asked[0] += 1
            strokes = np.zeros((900, 3), np.float32)  # 27 MB in all
            strokes[1:, 0] = 6
            yield WrittenLine(line.text, strokes)

    pages = paginate(lines(), PageSettings())
    first = next(pages)
    assert asked[0] <= len(first.lines) + 1
    tracemalloc.start()
    count = len(first.lines) + sum(len(page.lines) for page in pages)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert asked[0] == count == 2500
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "setting",
    [
        {"width": 0},
        {"width": float("nan")},
        {"height": -1},
        {"height": 45},
        {"margin_left": -1},
        {"margin_left": 180},
        {"line_height": 0},
        {"line_height": float("inf")},
        {"x_height": 1.5},
        {"straighten": 2},
        {"stroke_width": 0},
        {"colour": "bluish"},
        {"line_height": "10"},
    ],
)
def test_settings_that_cannot_be(setting):
    with pytest.raises(UserError) as error:
        PageSettings(**setting)
    assert "\n" not in str(error.value)
    assert str(next(iter(setting.values()))) in str(error.value) or "height" in str(error.value)


def test_strokes_that_are_not_finite():
    line = next(letter())
    line.strokes[3, 0] = np.nan
    with pytest.raises(UserError, match="not finite"):
        list(paginate([line], SMALL))


def test_paper_by_name():
    a5 = PageSettings(paper="a5")
    assert (a5.width, a5.height) == (148, 210)
    assert replace(a5, height=None).height is None
    assert (replace(a5, line_height=9).width, PageSettings(paper="letter").height) == (148, 279.4)
    with pytest.raises(UserError, match=r"page\.paper=a5: give either a paper or"):
        PageSettings(paper="a5", width=100)
    with pytest.raises(UserError, match=r"page\.paper=a55: one of .*did you mean 'a5'"):
        PageSettings(paper="a55")


@pytest.mark.parametrize(("align", "share"), [("left", 0), ("centre", 0.5), ("right", 1)])
def test_lines_stand_where_they_are_told(align, share):
    settings = replace(SMALL, height=None, align=align)
    for line in letter(width=12):
        (page,) = paginate([line], settings)
        x = np.concatenate(page.drawing.strokes)[:, 0]
        assert x.min() - 12 == pytest.approx(share * (80 - np.ptp(x)))


def test_slant_leans_each_place_by_its_height():
    line = next(letter())
    ((plain,), (leant,)) = (list(paginate([line], replace(SMALL, slant=slant))) for slant in (0, 20))
    before, after = np.concatenate(plain.drawing.strokes), np.concatenate(leant.drawing.strokes)
    assert after[:, 1] == pytest.approx(before[:, 1])
    lean = np.polyfit(before[:, 1], after[:, 0] - before[:, 0], 1)
    assert lean[0] == pytest.approx(-np.tan(np.radians(20)))
    assert after[:, 0].min() == pytest.approx(12)


def test_disorder_is_within_what_is_asked_for_and_none_by_default():
    lines = list(letter(width=20))
    (plain,), (loose,), (again,) = (
        list(paginate(lines, replace(SMALL, height=None, ragged=ragged, drift=drift)))
        for ragged, drift in ((0, 0), (4, 1.5), (4, 1.5))
    )
    assert all(
        np.array_equal(a, b) for a, b in zip(loose.drawing.strokes, again.drawing.strokes, strict=True)
    )
    left, down = [], []
    at = 0
    for line in lines:
        count = int(line.strokes[:, 2].sum())
        before, after = (np.concatenate(p.drawing.strokes[at : at + count]) for p in (plain, loose))
        at += count
        left.append(after[:, 0].min() - before[:, 0].min())
        # Where the place was, in the plain line's size: the room is narrower by what is ragged.
        down.append(np.median(after[:, 1]) - np.median(before[:, 1]))
        assert after[:, 0].max() <= 92 + 1e-6
    assert min(left) >= -1e-9
    assert max(left) <= 4
    assert np.ptp(left) > 1
    assert np.abs(down).max() <= 1.5 + 0.3
    assert np.ptp(down) > 0.3


def test_lines_take_turns_with_colours():
    settings = replace(SMALL, height=None, colours=["navy", "#ff0000"])
    lines = list(letter(width=30))
    (page,) = paginate(lines, settings)
    counts = [int(line.strokes[:, 2].sum()) for line in lines]
    wanted = [((0, 0, 128), (255, 0, 0))[i % 2] for i, count in enumerate(counts) for _ in range(count)]
    assert list(page.drawing.colours) == wanted
    with pytest.raises(UserError, match="13 colours; 12"):
        PageSettings(colours=["red"] * 13)


def test_justified_lines_fill_their_room_but_the_last():
    lines = list(letter(width=26))
    looks = [Look(ends=number % 3 == 2) for number in range(len(lines))]
    written = [line._replace(look=look) for line, look in zip(lines, looks, strict=True)]
    settings = replace(SMALL, height=None, align="justified")
    (left,), (page,) = (paginate(written, replace(settings, align=align)) for align in ("left", "justified"))
    for before, ink, line in zip(inks(left), inks(page), written, strict=True):
        free = 80 - np.ptp(before[:, 0])
        if line.look.ends or free > 0.35 * 80 or " " not in line.text:
            assert ink == pytest.approx(before)
        else:
            assert (ink[:, 0].min(), ink[:, 0].max()) == pytest.approx((12, 92))
            assert ink[:, 1] == pytest.approx(before[:, 1])
    assert any(
        np.ptp(ink[:, 0]) > np.ptp(before[:, 0]) + 1
        for before, ink in zip(inks(left), inks(page), strict=True)
    )


def test_larger_lines_take_whole_rows_and_stand_further_in():
    line = written("a line of words", person(3))
    looks = [Look(), Look(size=1.5), Look(indent=5.0), Look(left=40.0, align="right"), Look(top=50.0)]
    settings = replace(SMALL, height=None)
    (page,) = paginate([line._replace(look=look) for look in looks], settings)
    first = 10 + 0.7 * 8
    assert [placed.baseline for placed in page.lines] == [
        first,
        first + 16,
        first + 24,
        first + 32,
        50 + 0.7 * 8,
    ]
    plain, larger, inwards, right, _ = (ink[:, 0] for ink in inks(page))
    assert np.ptp(larger) == pytest.approx(1.5 * np.ptp(plain))
    assert inwards.min() == pytest.approx(12 + 5 * settings.advance)
    assert right.max() == pytest.approx(92)
    assert page.drawing.height == pytest.approx(50 + 8 + 6)


def test_numbers_stand_at_the_feet_of_the_pages_where_there_are_several():
    text = [TextLine("words on a line", number % 2) for number in range(12)]
    settings = replace(SMALL, numbers=True, height=66, margin_bottom=12)
    lines = list(numbered(text, settings))
    pages = list(
        paginate([written(t.text, person(3))._replace(blank=t.blank, look=t.look) for t in lines], settings)
    )
    plain = list(paginate([written(t.text, person(3))._replace(blank=t.blank) for t in text], settings))
    assert [[line.text for line in page.lines] for page in pages] == [
        [*(line.text for line in page.lines), f"- {number} -"] for number, page in enumerate(plain, 1)
    ]
    for page in pages:
        foot = inks(page)[-1]
        assert 66 - 12 < foot[:, 1].min() < foot[:, 1].max() < 66
        assert foot[:, 0].min() + foot[:, 0].max() == pytest.approx(100)
    assert list(numbered(text[:3], settings)) == text[:3]


def test_underlines_lie_under_their_words():
    line = written("one two three", person(3))
    look = Look(underlines=(Underline(4, 7, 2),))
    settings = replace(SMALL, height=None, colours=["navy"], swell=0.5)
    (plain,), (marked,) = (paginate([line._replace(look=its)], settings) for its in (Look(), look))
    drawn = marked.drawing
    count = len(plain.drawing.strokes)
    assert len(drawn.strokes) == len(drawn.colours) == len(drawn.widths) == count + 2
    _, two, _ = extents(plain.drawing.strokes, line.text)
    for number, under in enumerate(drawn.strokes[count:]):
        assert under[[0, -1], 0] == pytest.approx(two)
        assert under[:, 1] - marked.lines[0].baseline == pytest.approx(
            (0.14 + 0.09 * number) * 8, abs=0.02 * 8
        )


def test_paper_with_too_much_on_it_is_refused():
    PageSettings(paper="a3", ruling="dots", line_height=2)
    with pytest.raises(UserError, match=r"page\.ruling=dots: .* squares .* give a larger line_height"):
        PageSettings(ruling="dots", line_height=0.1)
    PageSettings(line_height=0.1)


def test_what_is_printed_on_the_paper():
    line = written("words", person(3))
    pages = {
        ruling: next(paginate([line], replace(SMALL, ruling=ruling, margin_line=ruling == "dots")))
        for ruling in ("none", "lines", "squares", "dots")
    }
    prints = {name: page.drawing.prints for name, page in pages.items()}
    assert prints["none"] == []
    (rules,), (squares,), (dots, margin) = prints["lines"], prints["squares"], prints["dots"]
    # A line is just under each baseline that the page has room for.
    heights = [float(rule[0, 1]) for rule in rules.strokes]
    assert np.diff(heights) == pytest.approx(8)
    assert 0 < heights[0] - pages["lines"].lines[0].baseline < 1
    assert heights[-1] <= 60 - 6
    assert all(rule[:, 0].tolist() == [0, 100] for rule in rules.strokes)
    across = [s for s in squares.strokes if s[0, 0] == 0 and s[1, 0] == 100]
    down = [s for s in squares.strokes if s[0, 1] == 0 and s[1, 1] == 60]
    assert len(across) + len(down) == len(squares.strokes)
    assert np.diff([s[0, 1] for s in across]) == pytest.approx(4)
    assert np.diff([s[0, 0] for s in down]) == pytest.approx(4)
    assert len(dots.strokes) == len(across) * len(down)
    assert margin.strokes[0][:, 0].tolist() == [12 - 0.3 * 8] * 2
