"""Generated handwriting: reproducible, varied, with the sizes and speeds of real writing."""

import json
import subprocess
import sys
import unicodedata
from collections import Counter

import numpy as np
import pytest

from graves_lm.data.hershey.corpus import HersheyData
from graves_lm.data.hershey.european import LETTERS
from graves_lm.data.hershey.glyphs import PRINT_FONTS, glyphs
from graves_lm.data.hershey.hand import Hand
from graves_lm.data.hershey.lines import HersheyLines, hand, write_line
from graves_lm.data.hershey.motion import RATE, Motor, write
from graves_lm.data.hershey.words import (
    ALPHABET,
    EUROPEAN,
    LONGEST,
    PARTS,
    SENTENCES,
    SHORTEST,
    draw_line,
    paragraphs,
)
from graves_lm.data.strokes import to_pen_strokes
from graves_lm.runtime.errors import UserError

KNOWN_COUNTS = (8, 58)
KNOWN_POINTS = [[191, -344], [358, -167], [831, -328]]


@pytest.fixture(scope="module")
def lines():
    return HersheyLines(120, writers=40)[:]


def test_a_line_does_not_depend_on_the_others():
    lines = HersheyLines(50, writers=7, seed=3)
    alone = HersheyLines(1000, writers=7, seed=3)[33]
    hand.cache_clear()  # nothing drawn before
    again = lines[33]
    assert (alone.id, alone.text, alone.writer) == (again.id, again.text, again.writer)
    assert np.array_equal(alone.strokes, again.strokes)
    # Whatever letters the person has written in between.
    lines[5], lines[12]
    assert np.array_equal(alone.strokes, lines[33].strokes)


def test_the_same_line_in_another_process():
    code = (
        "from graves_lm.data.hershey.lines import HersheyLines; "
        "l = HersheyLines(9, seed=5)[8]; print(l.text, l.strokes.astype(int).tolist())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    line = HersheyLines(9, seed=5)[8]
    assert printed == f"{line.text} {line.strokes.astype(int).tolist()}\n"


def test_known_line():
    """Fixed text and numbers: changes when the model of the hand changes, and not with the machine."""
    strokes = write_line("Ab, i", Hand.draw(1, 2), np.random.default_rng(3))
    points = np.concatenate(strokes).astype(int)
    assert (len(strokes), len(points)) == KNOWN_COUNTS
    assert [points[0].tolist(), points[len(points) // 2].tolist(), points[-1].tolist()] == KNOWN_POINTS


def test_other_numbers_other_lines():
    base = HersheyLines(20, writers=4)[6]
    for other in (
        HersheyLines(20, writers=4)[7],
        HersheyLines(20, writers=4, seed=1)[6],
        HersheyLines(20, writers=4, part="val")[6],
    ):
        assert base.id != other.id
        assert base.strokes.shape != other.strokes.shape or not np.array_equal(base.strokes, other.strokes)
    assert HersheyLines(20, writers=4)[6].writer == HersheyLines(20, writers=4)[10].writer


def test_behaves_as_a_sequence():
    lines = HersheyLines(5)
    assert len(lines) == 5
    assert lines[-1].id == lines[4].id
    assert [line.id for line in lines] == [lines[i].id for i in range(5)]
    with pytest.raises(IndexError):
        lines[5]


def test_lines_keep_the_convention(lines):
    for line in lines:
        assert line.strokes.dtype == np.float32
        assert line.strokes[0, :2].tolist() == [0, 0]
        assert line.strokes[-1, 2] == 1
        assert set(np.unique(line.strokes[:, 2])) <= {0, 1}
        assert np.array_equal(line.strokes, np.rint(line.strokes))
        assert SHORTEST * 0.5 <= len(line.text) <= LONGEST


def test_sizes_are_those_of_real_writing(lines):
    points = sum(len(line.strokes) for line in lines)
    characters = sum(len(line.text) for line in lines)
    assert 20 <= points / characters <= 27  # IAM-OnDB: 21
    offsets = np.concatenate([line.strokes[1:] for line in lines])
    np.testing.assert_allclose(offsets[:, :2].mean(axis=0), (8.2, 0.1), atol=2.5)  # IAM-OnDB: (8.2, 0.1)
    np.testing.assert_allclose(offsets[:, :2].std(axis=0), (42, 37), rtol=0.35)  # IAM-OnDB: (42, 37)
    heights = [np.ptp(np.concatenate(to_pen_strokes(line.strokes))[:, 1]) for line in lines]
    assert 250 < np.median(heights) < 550


def test_people_differ_more_than_their_lines():
    def slant(strokes: list[np.ndarray]) -> float:
        """The mean direction of downward movement, x per y."""
        down = np.concatenate([np.diff(s, axis=0) for s in strokes])
        down = down[(down[:, 1] > 15) & (np.abs(down[:, 0]) < down[:, 1])]
        return float((down[:, 0] / down[:, 1]).mean())

    text = "hidden bluebells"
    people = [Hand.draw(0, person) for person in range(12)]
    slants = np.array(
        [[slant(write_line(text, p, np.random.default_rng(i))) for i in range(4)] for p in people]
    )
    assert slants.mean(axis=1).std() > 2.5 * slants.std(axis=1).mean()


def test_same_text_is_never_written_twice_alike():
    person = Hand.draw(0, 0)
    one, two = (write_line("again", person, np.random.default_rng(i)) for i in (1, 2))
    assert [s.tolist() for s in one] != [s.tolist() for s in two]


def test_speed_dips_at_corners_and_starts_low():
    motor = Motor(tempo=0.12, overlap=0.3, roundness=0.6, tremor=0.0)
    path = np.array([(0.0, 0.0), (0.0, 20.0), (15.0, 0.0)])
    pen = write(path, motor, np.random.default_rng(0))
    speed = np.hypot(*np.diff(pen, axis=0).T) * RATE
    corner = int(np.argmin(np.hypot(*(pen - path[1]).T)))
    assert speed[corner - 1 : corner + 1].min() < 0.4 * speed.max()
    assert speed[0] < 0.5 * speed.max()
    assert speed[-1] < 0.5 * speed.max()
    # It ends where the path ends, within a reading, and stays near it.
    assert np.hypot(*(pen[-1] - path[-1])) < 1.5
    assert np.abs(np.diff(speed)).max() < 0.6 * speed.max()  # bell-shaped, no jumps


def test_fewer_readings_a_second_of_the_same_movement():
    path = np.array([(0.0, 0.0), (0.0, 20.0), (15.0, 0.0)])
    motor = Motor(tempo=0.12, overlap=0.3, roundness=0.6, tremor=0.0)
    often, seldom = (write(path, motor, np.random.default_rng(0), rate) for rate in (400.0, 40.0))
    assert abs(len(often) / len(seldom) - 10) < 1
    # Each of the few readings lies where the pen really passes.
    apart = np.hypot(*(seldom[:, None] - often[None]).transpose(2, 0, 1)).min(axis=1)
    assert apart.max() < 0.3
    lines = [HersheyLines(2, writers=2, rate=rate)[1] for rate in (75.0, 37.5)]
    assert lines[0].text == lines[1].text
    assert abs(len(lines[0].strokes) / len(lines[1].strokes) - 2) < 0.2


def test_dots_and_bars_wait_or_do_not():
    def order(delayed: float) -> list[float]:
        person = Hand.draw(0, 1)
        person.cursive, person.delayed, person.joins = False, delayed, 0.0
        return [float(s[:, 0].mean()) for s in write_line("iooo", person, np.random.default_rng(0))]

    late, early = order(1.0), order(0.0)
    assert np.argmin(late[1:]) == len(late) - 2  # the dot comes last, far back on the left
    assert np.argmin(early[1:]) == 0


@pytest.mark.parametrize("font", [*PRINT_FONTS, "cursive"])
def test_every_character_has_a_glyph(font):
    for joined in (True, False):
        found = glyphs(font, joined)
        for character in ALPHABET.strip():
            assert found[character].body
            assert found[character].width > 0
    for character in "ij":
        assert len(glyphs(font, True)[character].marks) == 1
        assert np.ptp(glyphs(font, True)[character].marks[0], axis=0).max() < 3


def test_every_character_can_be_written_by_anyone():
    for person in range(6):
        strokes = write_line(" ".join(ALPHABET.strip()), Hand.draw(9, person), np.random.default_rng(person))
        assert all(len(s) >= 2 and np.isfinite(s).all() for s in strokes)


def test_texts_are_sentences_of_the_wanted_length_with_every_character():
    seen: set[str] = set()
    for part in PARTS:
        drawn = [draw_line(np.random.default_rng(i), part) for i in range(1500)]
        assert all(set(text) <= set(ALPHABET) and len(text) <= LONGEST for text in drawn)
        assert np.mean([len(text) >= SHORTEST for text in drawn]) > 0.95
        assert set("".join(drawn)) == set(ALPHABET)
        seen |= set(drawn)
    assert len(seen) > 2000
    assert set("".join(SENTENCES)) == set(ALPHABET)


def test_parts_share_no_paragraph_of_prose():
    prose = [set(paragraphs(part)[0]) for part in PARTS]
    assert all(len(p) > 3 for p in prose)
    assert not prose[0] & prose[1]
    assert not prose[0] & prose[2]
    assert not prose[1] & prose[2]


def test_mistakes_are_named():
    with pytest.raises(UserError, match="no letter for 'д'"):
        write_line("д", Hand.draw(0), np.random.default_rng(0))
    with pytest.raises(UserError, match="lines ≥ 1"):
        HersheyLines(0)
    with pytest.raises(UserError, match="not 'dev'"):
        HersheyLines(3, part="dev")
    with pytest.raises(UserError, match="rate=0"):
        HersheyLines(3, rate=0)


def test_a_composed_letter_is_the_persons_plain_one_with_marks():
    for writer in range(6):
        person = hand(0, 0, writer)
        for letter, base in {"ä": "a", "É": "E", "ř": "r", "ç": "c", "ø": "o", "Ł": "L", "ų": "u"}.items():
            composed, plain_one = person.letter(letter), person.letter(base)
            for ours, theirs in zip(composed.body, plain_one.body, strict=True):
                assert np.array_equal(ours, theirs), letter
            assert len(composed.marks) > len(plain_one.marks)


def test_marks_stand_where_unicode_says():
    """Of each letter with one mark: above it, or below the base line, by the mark's class in Unicode."""
    beside = "ďťľĽģ"
    for font in (*PRINT_FONTS, "cursive"):
        letters = glyphs(font, False)
        for letter in LETTERS:
            base, *accents = unicodedata.normalize("NFD", letter)
            if len(accents) != 1 or letter in beside:
                continue
            plain_one = letters[base]
            kept = 0 if base in "ij" and letter not in "įĮ" else len(plain_one.marks)
            marks = letters[letter].marks[kept:]
            assert marks, (font, letter)
            ink = np.concatenate(plain_one.body)
            mark = np.concatenate(marks)
            if unicodedata.combining(accents[0]) == 230:  # above
                assert mark[:, 1].max() < ink[:, 1].min(), (font, letter)
            else:
                assert mark[:, 1].min() >= 0, (font, letter)
                assert mark[:, 1].max() > 3, (font, letter)
            middle = (mark[:, 0].min() + mark[:, 0].max()) / 2
            assert ink[:, 0].min() - 2 < middle < ink[:, 0].max() + 2, (font, letter)


def test_every_european_character_is_drawn_often_and_can_be_written():
    random = np.random.default_rng(4)
    having = Counter(c for _ in range(6000) for c in set(draw_line(random, "train", 8, 28, european=True)))
    assert set(having) == set(EUROPEAN)
    everything = " ".join(EUROPEAN.replace(" ", ""))
    strokes = write_line(everything, hand(0, 0, 1), np.random.default_rng(1))
    assert len(strokes) > len(EUROPEAN)


def test_european_lines_leave_the_english_ones_as_they_were(tmp_path):
    english = HersheyLines(30, writers=3)
    european = HersheyLines(30, writers=3, european=True)
    assert {c for line in english for c in line.text} <= set(ALPHABET)
    assert any(set(line.text) - set(ALPHABET) for line in european)
    few = {"lines": 8, "writers": 2, "eval_lines": 4, "line_characters": (2, 8), "cache_dir": tmp_path}
    keys = {json.dumps(HersheyData(**few, characters=c).cache_key()) for c in ("full", "european")}
    assert len(keys) == 2
