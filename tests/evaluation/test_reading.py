"""Character error rates and what they are made of, counted by hand."""

import pytest

from graves_lm.evaluation.reading import Counts, ReadLine, characters, classes, error_rates


def test_spaces_do_not_count():
    assert ReadLine("a b c", "ab c").errors == 0
    assert ReadLine("ab cd", "axcd").errors == 1
    assert ReadLine("abc", "").errors == 3


def test_the_rate_is_over_all_characters_not_over_lines():
    lines = [ReadLine("a", "b"), ReadLine("abcdefghi", "abcdefghi")]
    assert error_rates(lines)["cer"] == pytest.approx(0.1)


def test_the_interval_is_about_the_rate_and_narrows():
    few = [ReadLine("abcd", "abcd" if i % 4 else "abxd") for i in range(20)]
    many = few * 20
    for lines in (few, many):
        rates = error_rates(lines)
        assert rates["cer_low"] <= rates["cer"] <= rates["cer_high"]
        assert rates["cer"] == pytest.approx(1 / 16)
    widths = [r["cer_high"] - r["cer_low"] for r in map(error_rates, (few, many))]
    assert widths[1] < widths[0] / 3
    assert error_rates(few, seed=1)["cer_low"] != error_rates(few, seed=2)["cer_low"] or widths[0] > 0


def test_characters_are_counted_where_they_stand():
    counts = characters([ReadLine("Tea at 4:30", "Tea ot 4.30"), ReadLine("aa", "a")])
    assert counts["a"] == Counts(right=2, of=4), "of tea, not of at; one of two in aa"
    assert counts["T"] == Counts(1, 1)
    assert counts[":"] == Counts(0, 1)
    assert counts["3"] == Counts(1, 1)
    assert " " not in counts


def test_classes_are_sums():
    counts = characters([ReadLine("Ab, 12.", "Ab, 72")])
    assert classes(counts) == {
        "small": Counts(1, 1),
        "capitals": Counts(1, 1),
        "digits": Counts(1, 2),
        "signs": Counts(1, 2),
    }
