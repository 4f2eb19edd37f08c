"""Texts as the characters a network knows."""

import numpy as np
import pytest

from graves_lm.data.alphabet import NON_LETTER, Alphabet
from graves_lm.errors import UserError

SMALL = Alphabet("abc '-\"")


def test_encoding_is_by_position():
    assert SMALL.encode("cab").tolist() == [2, 0, 1]
    assert SMALL.encode("").dtype == np.int64


def test_the_papers_alphabet_has_57_symbols_and_one_for_all_non_letters():
    paper = Alphabet.paper()
    assert len(paper) == 57
    seven, mark, label = paper.encode("7?" + NON_LETTER).tolist()
    assert seven == mark == label
    assert len(set(paper.encode("aZ .,'").tolist()) - {label}) == 6


def test_an_unknown_character_is_named_with_its_place_and_the_alphabet():
    with pytest.raises(UserError, match=r"note: 'ü' \(LATIN SMALL LETTER U WITH DIAERESIS\) at position 3"):
        SMALL.encode("abü", where="note")
    with pytest.raises(UserError, match="abc '-"):
        SMALL.encode("x")


def test_spelling():
    assert SMALL.spell("ab\ncab") == "ab\ncab"
    assert SMALL.spell("xaxbx", "skip") == "ab"
    assert SMALL.spell("\u00e1\u2019\u201cb\u201d \u2014 \u00e7", "replace") == 'a\'"b" - c'
    with pytest.raises(UserError, match="position 1"):
        SMALL.spell("xab")
    with pytest.raises(UserError, match="'x'"):  # without a plain form it is refused, not dropped
        SMALL.spell("abx", "replace")
    with pytest.raises(UserError, match="on_unknown=skipp: did you mean 'skip'"):
        SMALL.spell("a", "skipp")


@pytest.mark.parametrize("alphabet", [SMALL, Alphabet.paper()])
def test_plain_form_travels(alphabet):
    again = Alphabet.from_plain(alphabet.to_plain())
    assert again == alphabet
    assert again.encode("abc").tolist() == alphabet.encode("abc").tolist()
    assert again != Alphabet("xyz")


@pytest.mark.parametrize(
    "plain",
    [
        None,
        {},
        {"characters": ["a"]},
        {"characters": "abc", "non_letters": []},
        {"characters": ["ab"], "non_letters": []},
        {"characters": ["a", "a"], "non_letters": []},
        {"characters": [1], "non_letters": []},
        {"characters": ["\ud800"], "non_letters": []},
        {"characters": ["a"], "non_letters": ["1"]},
        {"characters": ["a", "#"], "non_letters": ["1", "1"]},
        {"characters": ["a", "#"], "non_letters": [["1"]]},
        {"characters": ["a"] * 70_000, "non_letters": []},
    ],
)
def test_facts_of_strangers_are_refused(plain):
    with pytest.raises(UserError, match=r"^alphabet: "):
        Alphabet.from_plain(plain)
