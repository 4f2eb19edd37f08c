"""The package's reader as a judge of drawn lines: strokes too many are found, marks of letters are kept."""

import numpy as np
import pytest

from graves_lm.data.hershey.hand import Hand
from graves_lm.data.hershey.lines import write_line
from graves_lm.data.strokes import from_pen_strokes
from graves_lm.models.frames import has_extent
from graves_lm.trained.loading import load_reader
from graves_lm.trained.reader import TrainedReader, takes_late_marks


@pytest.fixture(scope="module")
def reader() -> TrainedReader:
    return load_reader()


def strokes_of(text: str, n: int = 0) -> list[np.ndarray]:
    hand = Hand.draw(7, n)
    hand.cursive, hand.delayed = False, 0.0
    return write_line(text, hand, np.random.default_rng(n))


def dot(at: tuple[float, float]) -> np.ndarray:
    return np.array(at) + np.array([[0, 0], [3, 4], [4, 8], [5, 10]])


def judged(reader: TrainedReader, strokes: list[np.ndarray], text: str):
    (verdict,) = reader.judge([from_pen_strokes(strokes)], text)
    return verdict


@pytest.mark.parametrize("text", ["he saw her and she was", "a man can read and", "we had one more hour."])
def test_a_mark_over_a_letter_that_has_none_is_surplus(reader, text):
    for n in range(4):
        strokes = strokes_of(text, n)
        high, last = min(p[:, 1].min() for p in strokes), strokes[-2]
        mark = dot((last[:, 0].mean(), high - 40))
        plain, marked = judged(reader, strokes, text), judged(reader, [*strokes, mark], text)
        assert plain.surplus == 0
        assert marked == plain._replace(surplus=len(mark))
        twice = judged(reader, [*strokes, mark, mark - (60, 0)], text)
        assert twice == plain._replace(surplus=2 * len(mark))


def test_the_marks_of_letters_and_full_stops_are_kept(reader):
    for n in range(6):
        for text in ("and this is it", "so he was there.", "what do you see?", "we met at six"):
            assert judged(reader, strokes_of(text, n), text).surplus == 0


def test_which_words_take_late_marks():
    for text in ("with it", "jam", "a fox ", "déjà", "six.", "how?"):
        assert takes_late_marks(text)
    for text in ("it was", "German", "", " ", "it is so."):
        assert not takes_late_marks(text)


def test_a_line_in_which_the_pen_never_moves_reads_as_nothing(reader):
    verdict = judged(reader, [np.array([[5.0, 5.0]])], "a")
    assert (verdict.read, verdict.errors, verdict.nats, verdict.surplus) == ("", 1, float("inf"), 0)
    one_stroke_and_dots = [np.array([[0, 0], [0, 90.0]]), np.array([[40.0, 0]]), np.array([[50.0, 0]])]
    assert has_extent(from_pen_strokes(one_stroke_and_dots))
    assert np.isfinite(judged(reader, one_stroke_and_dots, "l").nats)
