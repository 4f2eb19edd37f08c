"""Generated words beside people's lines: they stand on the line, in its size, slant and pace."""

import numpy as np
import pytest

from graves_lm.data.features import features
from graves_lm.data.grafts import OF_LETTER, draw_word, grafted, grafts, ruled, words_with_letters
from graves_lm.data.hershey.hand import Hand
from graves_lm.data.hershey.lines import HersheyLines
from graves_lm.data.hershey.words import ALPHABET
from graves_lm.data.strokes import StrokeLine, from_pen_strokes, to_pen_strokes


@pytest.fixture(scope="module")
def lines():
    return [line for line in HersheyLines(12, 12, characters=(20, 30)) if len(line.text) <= 32]


def parts(line, made, word):
    """The strokes of the line and of the word in a grafted line, each about the line's own place."""
    strokes, count = to_pen_strokes(made.strokes), len(to_pen_strokes(line.strokes))
    if made.text == f"{line.text} {word}":
        return strokes[:count], strokes[count:]
    assert made.text == f"{word} {line.text}"
    return strokes[-count:], strokes[:-count]


def test_the_line_itself_is_untouched(lines):
    for n, line in enumerate(lines):
        made = grafted(line, "1984", Hand.draw(n), np.random.default_rng(n))
        own, _ = parts(line, made, "1984")
        np.testing.assert_allclose(from_pen_strokes(own)[:, :2], line.strokes[:, :2], atol=1e-3)
        assert made.writer == line.writer


def test_a_word_stands_on_the_line_at_its_size(lines):
    """Also on lines that are made larger and turned by known amounts."""
    heights, feet = [], []
    for n, line in enumerate(lines):
        for larger in (0.5, 2.0):
            xy = np.cumsum(line.strokes[:, :2].astype(float), axis=0) * larger
            xy[:, 1] += 0.03 * xy[:, 0]
            offset = np.diff(xy, axis=0, prepend=0)
            moved = line._replace(strokes=np.column_stack([offset, line.strokes[:, 2]]).astype(np.float32))
            own, word = parts(moved, grafted(moved, "HHH", Hand.draw(n), np.random.default_rng(n)), "HHH")
            rule, points = ruled(own), np.concatenate(word)
            level = points[:, 1] - rule.slope * points[:, 0] - rule.height
            heights.append(np.ptp(level) / rule.spread)
            feet.append(level.max() / rule.spread)  # how far the word reaches below the line's middle
            xs, own_xs = points[:, 0], np.concatenate(own)[:, 0]
            assert 0.5 < max(xs.min() - own_xs.max(), own_xs.min() - xs.max()) / rule.spread < 8  # the gap
    assert 3.5 < np.median(heights) < 5.5
    assert min(heights) > 2
    assert max(heights) < 7
    assert 0.7 < np.median(feet) < 1.5
    assert max(feet) < 2.5


def test_a_word_is_as_fast_and_as_slanted_as_the_line(lines):
    pairs = []
    for n, line in enumerate(lines):
        for seed in range(4):
            made = grafted(line, "HNM17", Hand.draw(n, seed), np.random.default_rng(seed))
            _, word = parts(line, made, "HNM17")
            pairs.append((features(line.strokes), features(from_pen_strokes(word))))
    speed = [b.speed / a.speed for a, b in pairs]
    assert 0.85 < np.median(speed) < 1.15
    assert np.std(speed) < 0.25
    assert np.corrcoef([a.slant for a, _ in pairs], [b.slant for _, b in pairs])[0, 1] > 0.8


def test_the_seed_decides_all_and_each_line_by_itself(lines):
    made, again, fewer = grafts(lines, 6), grafts(lines, 6), grafts(lines, 3)
    for a, b in zip([*made, *made[:3]], [*again, *fewer], strict=True):
        assert a.text == b.text
        np.testing.assert_array_equal(a.strokes, b.strokes)
    assert [line.text for line in grafts(lines, 6, seed=1)] != [line.text for line in made]
    assert grafts(lines, 0) == grafts([], 5) == []


def test_lines_that_cannot_be_measured_get_their_word_all_the_same():
    dot = StrokeLine("dot", np.array([[0, 0, 1]], np.float32), ".")
    dash = StrokeLine("dash", np.array([[0, 0, 0], [90, 0, 1]], np.float32), "-")
    for line in (dot, dash):
        made = grafted(line, "7", Hand.draw(0), np.random.default_rng(0))
        assert np.isfinite(made.strokes).all()
        assert made.strokes[:, 2].sum() >= 2


def test_words_have_every_digit_capital_and_sign_that_prose_lacks():
    words = "".join(draw_word(np.random.default_rng(n)) for n in range(2000))
    assert set(words) <= set(ALPHABET)
    rare = set('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.,;:?!&/+-#()[]"')
    counts = {c: words.count(c) for c in rare}
    assert min(counts.values()) >= 20, counts


def in_units(lines, factor):
    return [line._replace(strokes=line.strokes * np.array([factor, factor, 1], np.float32)) for line in lines]


@pytest.mark.parametrize("factor", [1e-4, 300.0])
def test_in_other_units_the_same_is_written_as_large_beside_the_line(lines, factor):
    plain = grafts(in_units(lines, 1.0), 5, seed=2)
    other = grafts(in_units(lines, factor), 5, seed=2)
    for a, b in zip(plain, other, strict=True):
        assert a.text == b.text
        spread = [np.ptp(np.cumsum(x.strokes[:, :2], axis=0), axis=0) for x in (a, b)]
        np.testing.assert_allclose(spread[1] / factor, spread[0], rtol=0.1)


def test_letters_with_accents_are_measured_as_their_plain_forms(lines):
    accented = [line._replace(text=line.text.replace("e", "é")) for line in lines]
    assert any("é" in made.text for made in grafts(accented, 8))


def test_lines_without_extent_get_no_word(lines):
    dots = [line._replace(strokes=np.array([[0, 0, 0], [0, 0, 1]], np.float32)) for line in lines]
    assert grafts(dots, 3) == []


def test_lines_without_a_text_get_no_word(lines):
    assert grafts([line._replace(text="") for line in lines], 3) == []
    made = grafts([lines[0]._replace(text=""), lines[1]], 3)
    assert all(line.id.startswith(lines[1].id) for line in made)
    assert len(made) == 3


def test_letters_that_are_seldom_have_words_besides(lines):
    """Of the characters of the texts, which have no other accents then."""
    own = [lines[0]._replace(text="Grüße, schön"), *lines[1:]]
    texts = [line.text for line in own]
    assert words_with_letters(texts[1:], "üßö", set().union(*texts[1:])) == []
    words = words_with_letters(texts, "üßö", set().union(*texts))
    assert len(words) == 3
    characters = set("".join(texts))
    assert all(set(word) <= characters for of_letter in words for word in of_letter)
    made = grafts(own[1:] + own[:1], 5, seed=1, words=words)
    with_letters = [set("üßö") & set(line.id.split("+", 1)[1]) for line in made]
    assert not any(with_letters[:5])
    assert len(with_letters[5:]) == 3 * OF_LETTER
    assert all(with_letters[5:])
    for letter in "üßö":
        assert sum(letter in letters for letters in with_letters) >= OF_LETTER
    assert grafts(own, 0, words=words) == []
    assert len(grafts(own, 5)) == 5
    assert len(grafts(own, 5, words=words, of_each=2)) == 5 + 3 * 2


def test_words_bring_what_the_lines_have_least_of(lines):
    def brought(made, characters):
        words = "".join(line.id.split("+", 1)[1] for line in made)
        return sum(words.count(c) for c in characters)

    digits, capitals = "0123456789", "ABDEGHIJKLMNOPRSTU"
    with_digits = grafts([line._replace(text=2 * digits) for line in lines] * 10, 60, seed=3)
    with_capitals = grafts([line._replace(text=capitals) for line in lines] * 10, 60, seed=3)
    assert brought(with_capitals, digits) > 1.4 * brought(with_digits, digits)
    assert brought(with_digits, capitals) > 1.4 * brought(with_capitals, capitals)
