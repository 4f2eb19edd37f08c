"""The package's reader as a judge of drawn lines: strokes too many are found, marks of letters are kept."""

import numpy as np
import pytest

from graves_lm.data.hershey.hand import Hand
from graves_lm.data.hershey.lines import write_line
from graves_lm.data.strokes import from_pen_strokes
from graves_lm.models.frames import has_extent
from graves_lm.trained.loading import load_reader
from graves_lm.trained.reader import TrainedReader, errors, misread_places, takes_late_marks


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


def test_marks_over_letters_that_have_none_are_surplus(reader):
    """Nearly always: one, and two. What is left reads as the line without them, which loses none."""
    found = []
    for text in ("he saw her and she was", "a man can read and", "we had one more hour.", "we left"):
        for n in range(5):
            strokes = strokes_of(text, n)
            mark = dot((strokes[-2][:, 0].mean(), min(p[:, 1].min() for p in strokes) - 40))
            plain = judged(reader, strokes, text)
            assert plain.surplus == 0
            for marks in ([mark], [mark, mark - (60, 0)]):
                verdict = judged(reader, [*strokes, *marks], text)
                found.append(verdict == plain._replace(surplus=len(marks) * len(mark)))
    assert np.mean(found) > 0.8


def test_the_marks_of_letters_and_full_stops_are_kept(reader):
    for n in range(6):
        for text in ("and this is it", "so he was there.", "what do you see?", "we met at six"):
            assert judged(reader, strokes_of(text, n), text).surplus == 0


def test_which_words_take_late_marks():
    for text in ("with it", "jam", "déjà", "six.", "how?"):
        assert takes_late_marks(text, dots=True)
    for text in ("a fox ", "fat", "déjà"):
        assert takes_late_marks(text, dots=False)
    for text in ("it was", "German", "", " ", "it is so."):
        assert not takes_late_marks(text, dots=True)
        assert not takes_late_marks(text, dots=False)
    assert not takes_late_marks("through", dots=True)
    assert not takes_late_marks("is", dots=False)


def test_letters_that_it_does_not_know_are_judged_by_those_they_are_made_of(reader):
    """Each may be read as any, and all else must be read."""
    assert (reader.near("Grüße, señor"), reader.near("日本"), reader.near("3 €")) == (
        "Gruse, senor",
        None,
        None,
    )
    assert reader.near("u\u0308ber") == "uber"
    for n in range(3):
        right, wrong = (
            judged(reader, strokes_of(text, n), "she was a señora")
            for text in ("she was a señora", "he saw nothing")
        )
        assert right.surplus == 0
        assert right.errors + 3 < wrong.errors
        assert right.nats < wrong.nats
        assert (
            judged(reader, strokes_of("ñ", n), "ñ").errors <= judged(reader, strokes_of("ñ", n), "n").errors
        )


def test_a_line_in_which_the_pen_never_moves_reads_as_nothing(reader):
    verdict = judged(reader, [np.array([[5.0, 5.0]])], "a")
    assert (verdict.read, verdict.errors, verdict.nats, verdict.surplus) == ("", 1, float("inf"), 0)
    one_stroke_and_dots = [np.array([[0, 0], [0, 90.0]]), np.array([[40.0, 0]]), np.array([[50.0, 0]])]
    assert has_extent(from_pen_strokes(one_stroke_and_dots))
    assert np.isfinite(judged(reader, one_stroke_and_dots, "l").nats)


@pytest.mark.parametrize(
    ("text", "read", "places"),
    [
        ("a house", "a house", []),
        ("a house", "ahouse", [2]),  # the gap is not seen
        ("a house", "a ho use", [4]),  # or where there is none
        ("a house", "a hcuse", [3]),
        ("a house", "a hous", [6]),
        ("a house", "ouse", [0, 2]),
        ("a house", "a houses", [6]),  # what is too much belongs to the character before the end
        ("a house", "", [0, 2, 3, 4, 5, 6]),
        ("", "a", []),
    ],
)
def test_which_characters_are_read_otherwise(text, read, places):
    assert misread_places(text, read) == places


def test_places_and_errors_agree_on_any_texts():
    """Without places nothing is read otherwise, spaces included."""
    random = np.random.default_rng(0)
    for _ in range(300):
        text, read = ("".join(random.choice(list("ab c"), random.integers(0, 9))) for _ in range(2))
        text = " ".join(text.split())
        places = misread_places(text, read)
        assert bool(places) == bool(text and text != read)
        assert len(places) or not (text and errors(text, read))
        assert all(text[u] != " " for u in places)


def test_the_verdict_says_which_characters_are_wrong(reader):
    strokes = strokes_of("we had one more hour.")
    assert judged(reader, strokes, "we had one more hour.").wrong == []
    assert judged(reader, strokes, "we had two more hour.").wrong == [7, 8, 9]
    nothing = judged(reader, [np.array([[5.0, 5.0]])], "ab")
    assert list(nothing.wrong) == [0, 1]
    # What the reader does not know may be read as any, and is never wrong.
    assert 3 not in judged(reader, strokes, "we ñad one more hour.").wrong
