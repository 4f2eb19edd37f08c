"""Texts as the characters a network knows."""

import string

import numpy as np
import pytest

from graves_lm.data.alphabet import NON_LETTER, Alphabet
from graves_lm.runtime.errors import UserError

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


LATIN = Alphabet(string.ascii_letters + string.digits + " .,'\"-/()")


@pytest.mark.parametrize("on_unknown", ["error", "replace", "skip"])
def test_white_space_line_ends_and_what_is_invisible(on_unknown):
    for space in "\t\u00a0\u1680\u2000\u2009\u200a\u202f\u205f\u3000":
        assert LATIN.spell(f"a{space}b", on_unknown) == "a b"
    for end in ("\n", "\r\n", "\r", "\f", "\v", "\x85", "\u2028", "\u2029"):
        assert LATIN.spell(f"a{end}b", on_unknown) == "a\nb"
    for nothing in (
        "\ufeff\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\u061c\u034f\ufe0f\U000e0100"
    ):
        assert LATIN.spell(f"a{nothing}b", on_unknown) == "ab"
    assert Alphabet("a\u200cb\ufeff").spell("a\u200cb\ufeff") == "a\u200cb"  # a letter of Persian, known


def test_accents_are_composed():
    known = Alphabet("caf\u00e9 \u1e69")
    assert known.spell("cafe\u0301 s\u0307\u0323") == "caf\u00e9 \u1e69"
    assert known.spell("e\u200d\u0301") == "\u00e9"
    assert Alphabet("cafe\u0301").spell("caf\u00e9") == "cafe\u0301"  # the other way round
    assert Alphabet("\u00c5\ud55c").spell("\u212b\u1112\u1161\u11ab") == "\u00c5\ud55c"


def test_a_letter_is_written_in_parts_where_these_are_known():
    parts = Alphabet("aeu\u0308ø ")
    assert (
        parts.encode("aüø ü").tolist() == parts.encode("au\u0308ø u\u0308").tolist() == [0, 2, 3, 4, 5, 2, 3]
    )
    assert parts.parted("ëa") == "e\u0308a"
    assert [c for c in "aäéøo\n" if parts.knows(c)] == list("aäø")
    whole = Alphabet("aeu\u0308ü ")
    assert whole.encode("ü").tolist() == [4]
    for unknown in "éo\n":
        with pytest.raises(UserError, match=f"U\\+{ord(unknown):04X}"):
            parts.encode(f"ü{unknown}")
    assert parts.union(Alphabet("üéo")).characters == list("aeu\u0308ø éo")


def test_plain_forms():
    for text, plain in {
        "\ufb01nd \ufb03": "find ffi",
        "\u00c9t\u00e9 o\u0308 x\u0302": "Ete o x",
        "\uff26\uff55\uff4c\uff4c\u3000x\u00b2\u2081": "Full x21",
        "\u201ea\u201c \u00abb\u00bb \u2018c\u2019 \u2039d\u203a": "\"a\" \"b\" 'c' 'd'",
        "a\u2014b\u2013c\u2026 \u2122 \u2167": "a-b-c... TM VIII",
        "\u00bd, 3\u00bd": "1/2, 3 1/2",
        "3\u20444, \u00bd\u00bc": "3/4, 1/2 1/4",
        "\u0141\u00f3d\u017a, \u00c6r\u00f8 stra\u00dfe \u00fe": "Lodz, Aero strasse th",
    }.items():
        assert LATIN.spell(text, "replace") == plain
    for without in ("\u20ac", "\U0001f600", "\u65e5", "\u00a8", "\x07"):
        with pytest.raises(UserError, match=f"U\\+{ord(without):04X}.*; change it, or give on_unknown=skip$"):
            LATIN.spell(f"a {without}", "replace")


def test_skipping_glues_no_words():
    for text, left in {
        "one\u2014two": "one two",
        "hi\U0001f600there": "hi there",
        "a\u65e5\u672cb": "a b",
        "na\u00efve": "nave",
        "don\u2019t": "dont",
        "(\u201ca\u201d)": "(a)",
        "a \u2022 b": "a  b",
        "x\u0302y": "xy",
        "\u2022a\u2022": "a",
    }.items():
        assert LATIN.spell(text, "skip") == left


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("one\ntwo\nthree \u20ac\n", "'\u20ac' (EURO SIGN) at line 3, column 7, U+20AC, "),
        ("a\u00adb\u200b\r\nq\u00ad\u20ac", "line 2, column 3"),
        ("\u20ac", "position 1"),
        ("ab\u200bx\u0302", "position 5, U+0302"),
        ("a\rb\fc\u20ac", "line 2, column 4"),
        ("ok e\u0301", "'\u00e9' (LATIN SMALL LETTER E WITH ACUTE) at position 4, U+00E9"),
    ],
)
def test_the_place_is_that_in_the_file(text, place):
    with pytest.raises(UserError) as error:
        LATIN.spell(text)
    assert place in str(error.value)
