"""No character is lost, no line is too long, and nothing is done before it is asked for."""

import random
import tracemalloc
from itertools import pairwise

import pytest

from graves_lm.runtime.errors import UserError
from graves_lm.writing.block import Block, Look, Run
from graves_lm.writing.wrap import TextLine, wrap, wrap_blocks


def test_paragraphs_and_words():
    text = "one two  three\tfour\r\nfive\n\n\n  six sevenseven   \n"
    within = Look(ends=False)  # their paragraph goes on
    assert list(wrap(text, 9)) == [
        TextLine("one two", 0, within),
        TextLine("three", 0, within),
        TextLine("four"),
        TextLine("five"),
        TextLine("six", 2, within),
        TextLine("sevenseve", 0, within),
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
    assert sum(1 for _ in wrap(text, 40)) > 0  # Python keeps some freed tuples, which would count
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


def thirds(word: str, most: int) -> tuple[str, int] | None:
    """Divides after every third letter."""
    place = min(most - 1, len(word) - 1) // 3 * 3
    return (word[:place] + "-", place) if place > 0 else None


@pytest.mark.parametrize("seed", range(10))
def test_divided_words_fill_the_lines(seed):
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdef", k=rng.randint(1, 14))) for _ in range(200)]
    lines = [line.text for line in wrap(" ".join(words), 20, thirds)]
    assert all(len(line) <= 20 for line in lines)
    joined = "".join(line.removesuffix("-") if line.endswith("-") else line + " " for line in lines)
    assert joined.split() == words
    assert min(map(len, lines[:-1])) >= 20 - 4  # less than three letters and a hyphen are left free


def test_blocks_have_room_of_their_own_and_gaps_between_them():
    larger, inwards = Look(size=2.0), Look(indent=2.0)
    blocks = [
        Block([Run("\n"), Run(" ")], blank=9),  # nothing is written of it
        Block([Run("abcd efgh ij")], larger),
        Block([Run("- "), Run("one two three\nfour")], inwards, blank=2, hanging=2),
        Block([Run("end\n\n")], Look(top=50.0)),
        Block([Run("more")]),
    ]
    lines = list(wrap_blocks(blocks, lambda look: int((12 - look.indent) / look.size)))
    assert [(line.blank, line.look.indent, line.text, line.look.ends) for line in lines] == [
        (0, 0, "abcd", False),
        (0, 0, "efgh", False),
        (0, 0, "ij", True),
        (2, 2, "- one two", False),
        (0, 4, "three", True),
        (0, 4, "four", True),
        (0, 0, "end", True),
        (1, 0, "more", True),
    ]
    assert [line.look.size for line in lines[:4]] == [2, 2, 2, 1]
    assert [line.look.top for line in lines] == [*[None] * 6, 50.0, None]


def test_underlines_follow_their_words_into_the_lines():
    block = Block([Run("one "), Run("two three", 1), Run(", f"), Run("ou", 2), Run("r "), Run("sevenths", 1)])
    for width, wanted in {
        8: [("two", 1), ("three", 1), ("ou", 2), ("sevenths", 1)],
        7: [("two", 1), ("three", 1), ("ou", 2), ("sevent-", 1), ("hs", 1)],
        40: [("two three", 1), ("ou", 2), ("sevenths", 1)],
    }.items():
        lines = list(wrap_blocks([block], lambda _, width=width: width, thirds))
        marked = [(line.text[u.begin : u.end], u.lines) for line in lines for u in line.look.underlines]
        assert marked == wanted
