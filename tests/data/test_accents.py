"""Accents on the letters of people's lines: where they stand, and that nothing else changes."""

from itertools import pairwise
from types import SimpleNamespace
from unicodedata import normalize

import numpy as np
import pytest

from graves_lm.data import places
from graves_lm.data.accents import FORMS, MARKED, with_accents
from graves_lm.data.characters import plain_letter
from graves_lm.data.hershey.european import LETTERS
from graves_lm.data.hershey.lines import HersheyLines
from graves_lm.data.strokes import StrokeLine, from_pen_strokes, to_pen_strokes
from graves_lm.runtime.errors import UserError
from graves_lm.trained.loading import packaged_reader

SIDE, APART = 14.0, 20.0


def squares(text: str, slope: float = 0.0, factor: float = 1.0) -> StrokeLine:
    """Each letter a square on the line, in one stroke of 40 points, at 20 units from the one before; a dot
    behind those of i."""
    around = np.concatenate([np.linspace(a, b, 10) for a, b in pairwise(CORNERS)])
    strokes = []
    for n, c in enumerate(text):
        if c == " ":
            continue
        strokes.append(around * SIDE + (n * APART, 0))
        if c == "i":
            strokes.append(np.array([[0.5, -1.4], [0.5, -1.5]]) * SIDE + (n * APART, 0))
    turned = [np.column_stack([p[:, 0], p[:, 1] + slope * p[:, 0]]) * factor for p in strokes]
    return StrokeLine("squares", from_pen_strokes(turned), text)


CORNERS = ((0, -1), (0, 0), (1, 0), (1, -1), (0, -1))


@pytest.fixture
def found(monkeypatch):
    """A reader of squares."""

    def places(lines, texts):
        made = []
        for line, text in zip(lines, texts, strict=True):
            first = np.concatenate([[0], np.flatnonzero(line[:-1, 2]) + 1])
            of_square = first[np.diff([*first, len(line)]) == 40]
            each = iter(of_square + 35)
            at = [next(each) if c != " " else -1 for c in text]
            made.append(np.array([p if p >= 0 else at[n - 1] + 20 for n, p in enumerate(at)]))
        return made

    monkeypatch.setattr("graves_lm.trained.loading.packaged_reader", lambda: SimpleNamespace(places=places))


def marks_of(line: StrokeLine, made: StrokeLine) -> list[np.ndarray]:
    """The strokes of `made` that `line` does not have, where the line's first point is 0."""
    own = [p.tolist() for p in to_pen_strokes(line.strokes)]
    return [p for p in to_pen_strokes(made.strokes) if not any(same(p, q) for q in own)]


def same(p, q) -> bool:
    return np.shape(p) == np.shape(q) and np.allclose(p, q, atol=1e-2 * np.abs(q).max() + 1e-9)


ABOVE = "áàâãäåēėőřčż"


@pytest.mark.parametrize(("factor", "slope"), [(1e-3, 0.0), (1.0, 0.05), (40.0, -0.03)])
@pytest.mark.parametrize("letter", [*ABOVE, *"çęșøłđ"])
def test_a_mark_stands_over_under_or_across_its_letter(found, letter, slope, factor):
    text = f"acer {plain_letter(letter)} muxs"
    line = squares(text, slope, factor)
    made = with_accents([line], 6, letter)
    assert len(made) == 6
    for each in made:
        written = normalize("NFC", each.text)
        assert [plain_letter(c) for c in written] == list(text)
        assert set(each.text) - set(text) == {normalize("NFD", letter)[-1]}, "a mark is a character"
        changed = [n for n, (a, b) in enumerate(zip(text, written, strict=True)) if a != b]
        assert changed
        for mark in marks_of(line, each):
            x, y = mark.mean(axis=0) / factor
            y -= SIDE + slope * x  # from the base line: the line's first point is 14 above it
            n = min(changed, key=lambda n: abs(n * APART + SIDE / 2 - x))
            assert abs(n * APART + SIDE / 2 - x) < 10
            if letter in ABOVE:
                assert -32 < y < -SIDE
            elif letter in "øłđ":
                assert -15 < y < 1
            else:
                assert -2 < y < 9


def test_the_line_itself_is_as_it_was():
    lines = HersheyLines(6, 6, characters=(20, 30))[:]
    made = with_accents(lines, 30)
    assert len(made) >= 20
    for each in made:
        line = next(x for x in lines if each.id == f"{x.id}+accents")
        assert each.writer == line.writer
        written = normalize("NFC", each.text)
        assert [plain_letter(c) for c in written] == list(line.text)
        assert set(written) - set(line.text) <= set(MARKED)
        marks = marks_of(line, each)
        dots = sum(a in "ij" and a != b for a, b in zip(line.text, written, strict=True))
        kept = len(to_pen_strokes(each.strokes)) - len(marks)
        assert kept == len(to_pen_strokes(line.strokes)) - dots
        assert (each.strokes[:, :2] == np.rint(each.strokes[:, :2])).all(), "whole units, as the line's"


def test_the_dot_of_an_i_makes_room(found):
    line = squares("mean i sea")
    (made,) = with_accents([line], 1, "í")
    assert normalize("NFC", made.text) == "mean í sea"
    assert len(to_pen_strokes(made.strokes)) == len(to_pen_strokes(line.strokes))
    (mark,) = marks_of(line, made)
    assert np.hypot(*np.ptp(mark, axis=0)) > 3
    (dotless,) = with_accents([line], 1, "ı")
    assert len(to_pen_strokes(dotless.strokes)) == len(to_pen_strokes(line.strokes)) - 1
    without = line._replace(strokes=dotless.strokes)
    assert with_accents([without], 1, "í") == [], "no dot is found"


def test_a_mark_comes_with_its_letter_or_when_the_word_is_done(found):
    line = squares("sun moon")
    orders = set()
    for made in with_accents([line], 20, "ú"):
        new = marks_of(line, made)[0].tolist()
        orders.add([p.tolist() for p in to_pen_strokes(made.strokes)].index(new))
    assert orders == {2, 3}


def test_letters_are_of_a_plain_one_and_marks_or_words_bring_them():
    assert set(LETTERS) - set(MARKED) == set("ßÆæŒœÞþÐð")
    assert sorted("".join(FORMS.values())) == sorted(MARKED)
    assert all(plain_letter(c) == plain and len(plain) == 1 for plain, own in FORMS.items() for c in own)


def test_the_seed_decides_all_and_lines_that_cannot_be_read_are_left_out():
    lines = HersheyLines(8, 8, characters=(20, 30))[:]
    made, again, other = with_accents(lines, 6), with_accents(lines, 6), with_accents(lines, 6, seed=1)
    assert [x.text for x in made] == [x.text for x in again] != [x.text for x in other]
    for a, b in zip(made, again, strict=True):
        np.testing.assert_array_equal(a.strokes, b.strokes)
    assert with_accents(lines, 0) == with_accents([], 5) == []
    wrong = [line._replace(text="no such text at all, none") for line in lines]
    assert with_accents(wrong, 6) == []
    dots = [line._replace(strokes=np.array([[0, 0, 0], [0, 0, 1]], np.float32)) for line in lines]
    assert with_accents(dots, 6) == []


def test_without_a_reader_it_is_said(monkeypatch):
    monkeypatch.setattr("graves_lm.trained.loading.packaged_reader", lambda: None)
    with pytest.raises(UserError, match=r"data\.accents: .* set data\.accents=0"):
        with_accents([squares("acer muxs")], 1)


def test_the_package_s_reader_finds_the_letters_of_a_line():
    """Those of a line are found in their order, of a text that is not the line's none."""
    lines = HersheyLines(6, 6, characters=(20, 30))[:]
    reader = packaged_reader()
    places = reader.places([line.strokes for line in lines], [line.text for line in lines])
    assert sum(place is not None for place in places) >= 4
    for line, point_U in zip(lines, places, strict=True):
        if point_U is not None:
            assert len(point_U) == len(line.text)
            x_U = np.cumsum(line.strokes[:, 0])[point_U]
            assert np.corrcoef(x_U, np.arange(len(x_U)))[0, 1] > 0.98
    assert reader.places([lines[0].strokes], ["quite another text"]) == [None]


def test_slant_moves_a_mark(found):
    """Over an upright letter it stands above, over a leaning one further to the right."""
    line = squares("acer u moxs")
    leaning = line.strokes.copy()
    leaning[:, 0] -= 0.4 * leaning[:, 1]
    upright, sheared = (
        np.mean([marks_of(each, made)[0][:, 0].mean() for made in with_accents([each], 20, "ū")])
        for each in (line, line._replace(strokes=leaning))
    )
    x = 5 * APART + SIDE / 2
    assert abs(upright - x) < 1.5
    assert 2 < sheared - (x + 0.4 * SIDE / 2) + 0.4 * SIDE < 20


def test_places_are_named_for_the_module_that_has_them():
    assert packaged_reader.__wrapped__.__module__ == places._READER
