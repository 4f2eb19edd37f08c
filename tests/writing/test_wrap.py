"""No character is lost, no line is too long, and nothing is done before it is asked for."""

import random
import tracemalloc
from itertools import pairwise

import pytest

from graves_lm.runtime.errors import UserError
from graves_lm.writing.wrap import TextLine, wrap


def test_paragraphs_and_words():
    text = "one two  three\tfour\r\nfive\n\n\n  six sevenseven   \n"
    assert list(wrap(text, 9)) == [
        TextLine("one two"),
        TextLine("three"),
        TextLine("four"),
        TextLine("five"),
        TextLine("six", 2),
        TextLine("sevenseve"),
        TextLine("n"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028"])
def test_line_ends_of_any_system(end):
    assert list(wrap(f"{end}a{end}b{end}{end}c{end}{end}", 5)) == [
        TextLine("a", 1),
        TextLine("b"),
        TextLine("c", 1),
    ]


@pytest.mark.parametrize("seed", range(30))
def test_nothing_is_lost_and_no_line_is_too_long(seed):
    rng = random.Random(seed)
    text = "x" + "".join(rng.choices("abcé𝒳.   \t\n", k=400))
    width = rng.randint(1, 30)
    lines = list(wrap(text, width))
    assert all(0 < len(line.text) <= width for line in lines)
    assert "".join(line.text for line in lines).replace(" ", "") == "".join(text.split())
    if max(map(len, text.split())) <= width:  # words that fit are whole
        assert [word for line in lines for word in line.text.split(" ")] == text.split()
    assert sum(line.blank for line in lines) == sum(not p.strip() for p in text.rstrip().split("\n"))


def test_lines_are_filled():
    words = ["abc", "de", "f", "ghij"] * 200
    lines = [line.text for line in wrap(" ".join(words), 20)]
    for line, after in pairwise(lines):
        assert len(line) + 1 + len(after.split()[0]) > 20


def test_memory_stays_bounded():
    text = "word " * 10_000 + "\n" * 20_000 + "x" * 50_000
    lines = wrap(text, 40)
    tracemalloc.start()
    count = sum(1 for _ in lines)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 1250 + 1250
    assert peak < 50_000


@pytest.mark.parametrize(("text", "width"), [("", 40), (" \n\t ", 40), ("a", 0), ("a", -3)])
def test_bad_input_is_said_at_once(text, width):
    with pytest.raises(UserError) as error:
        wrap(text, width)
    assert "\n" not in str(error.value)
