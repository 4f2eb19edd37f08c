"""The baselines and sizes of generated lines, which are known, are found."""

import numpy as np
import pytest

from graves_lm.data.strokes import from_pen_strokes
from graves_lm.writing.baseline import measure
from tests.writing.letters import person, written

TEXTS = [
    "The kettle sang, the cat slept,",
    "happy gypsy pays: you try jigging",  # many letters that hang below the line
    '"Why not?" asked Queen Xenia; no',
    "KEEP OUT! WET PAINT (by Exit B).",
    "Grandfather wound the clock and went off",
]


@pytest.mark.parametrize("text", TEXTS)
def test_slope_and_height_are_found(text):
    sizes = []
    for number in range(9):
        slope = (-0.06, 0.0, 0.08)[number % 3]
        hand = person(number, slope)
        x_height = hand.x_height * hand.size
        line = written(text, hand, number, shift=(1234.0, -777.0))
        found = measure(line.strokes, text)
        x = np.linspace(0, found.width, 20)
        left = line.strokes[:, 0].cumsum().min()
        missed = np.abs(found.baseline(x) - (-777 + slope * (x + left - 1234))) / x_height
        assert missed.max() < 0.45
        assert missed.mean() < 0.2
        sizes.append(found.x_height / x_height)
    assert np.median(sizes) == pytest.approx(1, abs=0.1)
    assert 0.5 < min(sizes) < max(sizes) < 1.5


def test_a_bent_baseline_is_followed():
    hand = person(4)
    line = written("Some say the bridge was built in a day", hand)
    x = line.strokes[:, 0].cumsum()
    bend = 0.5 * hand.x_height * hand.size * np.sin(2 * np.pi * x / x.max())
    line.strokes[:, 1] += np.diff(bend, prepend=0)
    found = measure(line.strokes, line.text)
    missed = found.baseline(x - x.min()) - bend
    assert np.abs(missed).mean() < 0.15 * hand.x_height * hand.size


@pytest.mark.parametrize("text", ["gap", "you", "Yes.", "I", "no pay", "12"])
def test_a_short_line_is_level(text):
    for number in range(12):
        hand = person(number)
        found = measure(written(text, hand, number).strokes, text)
        ends = found.baseline(np.array([0, found.width]))
        assert np.abs(ends).max() < 0.45 * hand.x_height * hand.size


def test_it_does_not_matter_where_a_line_is_or_how_large():
    line = written(TEXTS[0], person(2, 0.05))
    found = measure(line.strokes, line.text)
    moved = line.strokes * np.array([0.01, 0.01, 1])
    moved[0, :2] += (5, -7)
    other = measure(moved, line.text)
    assert other.x_height == pytest.approx(0.01 * found.x_height, rel=1e-4)
    x = np.linspace(0, found.width, 5)
    assert other.baseline(0.01 * x) == pytest.approx(0.01 * found.baseline(x) - 7, abs=1e-3)


@pytest.mark.parametrize(
    "pen",
    [
        [],
        [[(3, 4)]],
        [[(0, 0), (50, 0)]],  # a dash
        [[(0, 0), (0, 0), (0, 0)]],
        [[(0, 0), (0, 80)]],
        [[(0, 0)], [(20, 0)], [(40, 0)]],  # dots
        [[(0, 0), (1e9, 1e9), (0, 5)]],
    ],
)
def test_little_or_strange_ink(pen):
    found = measure(from_pen_strokes(pen))
    assert np.isfinite(found.baseline(np.array([0.0, found.width]))).all()
    assert found.width >= 0
    assert found.x_height >= 0
