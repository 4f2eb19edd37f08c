"""Lines put together from the words of a page: the ink is the person's own, in another order."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from graves_lm.data.hershey.lines import HersheyLines
from graves_lm.data.recombined import pages, recombined
from graves_lm.data.strokes import StrokeLine, from_pen_strokes, to_pen_strokes
from graves_lm.runtime.errors import UserError
from graves_lm.trained.loading import packaged_reader

POINTS, APART, GAP = 12, 20, 35  # of a letter; from letter to letter; more between words


def written(name: str, text: str, slope: float = 0.0, joined: bool = False) -> StrokeLine:
    """Each letter a loop of its own form, on a line that rises; `joined`: the pen is never lifted."""
    strokes, x = [], 0.0
    for c in text:
        if c == " ":
            x += GAP - APART + 10
            continue
        strokes.append(letter(c) + np.array([x, 0]))
        x += APART
    strokes = [np.column_stack([p[:, 0], p[:, 1] + slope * p[:, 0]]) for p in strokes]
    line = from_pen_strokes(strokes)
    if joined:
        line[:-1, 2] = 0
    return StrokeLine(name, line, text, name[:3])


def letter(c: str) -> np.ndarray:
    """(POINTS, 2): ten units wide, as high as its number in the alphabet, centred on the line."""
    turn = np.linspace(0, 2 * np.pi, POINTS)
    return np.column_stack([5 + 5 * np.cos(turn), (10 + ord(c) % 32) * np.sin(turn)])


@pytest.fixture
def found(monkeypatch):
    """A reader of such letters; lines with a '?' it cannot read."""

    def places(lines, texts):
        made = []
        for text in texts:
            last = np.cumsum([c != " " for c in text]) * POINTS  # behind each letter; a space is there, too
            made.append(None if "?" in text else last - POINTS // 2)
        return made

    monkeypatch.setattr("graves_lm.trained.loading.packaged_reader", lambda: SimpleNamespace(places=places))


LINES = [
    written("aaa-1-01", "the quick brown", 0.05),
    written("aaa-1-02", "fox jumps over", 0.05),
    written("aaa-2-01", "lazy dogs", -0.02),
    written("bbb-1-01", "Zebra and mule", 0.0),
    written("bbb-1-02", "which one?"),
    written("bbb-1-03", "never cut me", joined=True),
]


def words_by_page(lines):
    words = {}
    for line in lines:
        if "?" not in line.text and "cut" not in line.text:
            words.setdefault(line.id.rpartition("-")[0], []).extend(line.text.split(" "))
    return words


def test_a_line_has_words_of_one_page_each_once(found):
    words = words_by_page(LINES)
    made = recombined(LINES, 60)
    assert len(made) == 60
    for line in made:
        page = line.id.split("~")[0]
        assert line.writer == page[:3]
        assert not Counter(line.text.split(" ")) - Counter(words[page])
        assert len(line.text) <= 32
    assert len({line.text for line in made}) > 20


def test_the_ink_is_that_of_the_words(found):
    """Each letter has its form at its place: ten units free within a word, a page's gap between two."""
    level = [written(line.id, line.text) for line in LINES[:4]]
    for made in recombined(level, 40):
        strokes = to_pen_strokes(made.strokes)
        letters = made.text.replace(" ", "")
        starts = set(np.cumsum([len(word) for word in made.text.split(" ")])[:-1].tolist())
        assert len(strokes) == len(letters)
        middle_N = [(stroke[:, 1].max() + stroke[:, 1].min()) / 2 for stroke in strokes]
        np.testing.assert_allclose(middle_N, middle_N[0], atol=3)
        for n, (c, stroke) in enumerate(zip(letters, strokes, strict=True)):
            np.testing.assert_allclose(np.ptp(stroke, axis=0), np.ptp(letter(c), axis=0), atol=1.5)
            if n:
                free = stroke[:, 0].min() - strokes[n - 1][:, 0].max()
                assert abs(free - (GAP if n in starts else APART - 10)) < 1.5


def test_words_of_a_line_that_rises_stand_on_one_that_rises(found):
    rising = [written(f"ddd-1-{n}", "maximum maximum minimum", 0.06) for n in range(3)]
    for made in recombined(rising, 20):
        x_N, y_N = np.array([stroke.mean(axis=0) for stroke in to_pen_strokes(made.strokes)]).T
        assert abs(np.polyfit(x_N, y_N, 1)[0] - 0.06) < 0.02


def test_what_is_seldom_is_read_more_often(found):
    plain = [written(f"ccc-1-{n:02}", "one two ten") for n in range(40)]
    made = recombined([*plain, written("ccc-2-01", "Zoo tent")], 300)
    assert sum("Z" in line.text for line in made) > 300 / 20  # 1 of 122 words


def test_the_seed_decides_all_and_each_line_by_itself(found):
    made, again, fewer = recombined(LINES, 8), recombined(LINES, 8), recombined(LINES, 3)
    for a, b in zip([*made, *made[:3]], [*again, *fewer], strict=True):
        assert (a.id, a.text) == (b.id, b.text)
        np.testing.assert_array_equal(a.strokes, b.strokes)
    assert [line.text for line in recombined(LINES, 8, seed=1)] != [line.text for line in made]


def test_no_words_no_lines(found):
    assert recombined(LINES, 0) == recombined([], 5) == recombined(LINES[4:], 5) == pages(LINES[5:]) == []


def test_without_a_reader_it_is_said(monkeypatch):
    monkeypatch.setattr("graves_lm.trained.loading.packaged_reader", lambda: None)
    assert recombined(LINES, 0) == []
    with pytest.raises(UserError, match=r"data\.recombined"):
        recombined(LINES, 4)


def test_the_package_s_reader_finds_the_words():
    lines = [line._replace(id=f"page-{n}") for n, line in enumerate(HersheyLines(8, 1, characters=(20, 32)))]
    made = recombined(lines, 30)
    read = packaged_reader().read([line.strokes for line in made])
    errors = sum(Levenshtein.distance(line.text, text) for line, text in zip(made, read, strict=True))
    assert errors < 0.1 * sum(len(line.text) for line in made)
