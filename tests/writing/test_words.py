"""Words are found in the ink of lines whose words were written one by one."""

import numpy as np
import pytest

from graves_lm.data.hershey.lines import write_line
from graves_lm.writing.block import Underline
from graves_lm.writing.words import extents, parts, spans
from graves_lm.writing.wrap import wrap
from tests.writing.letters import LETTER, person


def line_and_words(text: str, number: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """The strokes of a generated line, and to which word each belongs: those that the line has without the
    words after it."""
    words = text.split()
    begun = [" ".join(words[: n + 1]) for n in range(len(words))]
    ends = [len(write_line(part, person(number), np.random.default_rng(seed))) for part in begun]
    strokes = [np.asarray(s, float) for s in write_line(text, person(number), np.random.default_rng(seed))]
    return strokes, np.searchsorted(ends, np.arange(len(strokes)), side="right")


@pytest.mark.parametrize("number", range(6))
def test_each_stroke_is_in_its_word(number):
    for seed, line in enumerate(wrap(LETTER, 36)):
        strokes, truth = line_and_words(line.text, number, seed)
        found = np.full(len(strokes), -1)
        for word, members in enumerate(parts(strokes, line.text)):
            found[members] = word
        assert found.tolist() == truth.tolist()


def test_words_that_cannot_be_told_apart():
    dash = np.array([[0.0, 0.0], [5.0, 0.0]])
    assert parts([dash], "a b") == []
    assert parts([], "a") == []
    assert extents([dash], "a") == [(0.0, 5.0)]
    assert parts([dash, dash], "a") == [[0, 1]]
    assert parts([dash[:1], dash[:1]], "a b") == [[0], [1]]  # no width at all
    assert spans([dash], "a b", [Underline(2, 3)]) == [(pytest.approx(10 / 3), 5.0)]
    assert spans([], "a b", [Underline(2, 3)]) == []


def test_what_is_underlined_is_where_its_words_are():
    text = "the kettle sang and nobody hurried"
    strokes, truth = line_and_words(text, 2, 5)
    ((left, right),) = spans(strokes, text, [Underline(4, 15)])  # kettle sang
    ink = np.concatenate([s for s, word in zip(strokes, truth, strict=True) if word in (1, 2)])[:, 0]
    assert (left, right) == (ink.min(), ink.max())
    ((left, right),) = spans(strokes, text, [Underline(20, 23)])  # nob of nobody
    ink = np.concatenate([s for s, word in zip(strokes, truth, strict=True) if word == 4])[:, 0]
    assert left == ink.min()
    assert right - left == pytest.approx(np.ptp(ink) / 2)
