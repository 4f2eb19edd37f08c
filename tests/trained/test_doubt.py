"""A line whose style is to be followed is read first: is it the writing of its text?"""

import pytest

import graves_lm
from graves_lm.data.hershey.lines import HersheyLines
from graves_lm.trained.doubt import doubt_of_style, upside_down
from graves_lm.trained.loading import packaged_reader
from graves_lm.writing.pen import Pen
from tests.data.lines import write_ink

OTHER = "of quite another text"


@pytest.fixture(scope="module")
def lines():
    return list(HersheyLines(6, 6, seed=1, characters=(12, 20)))


def test_a_line_that_goes_with_its_text_is_not_doubted(lines):
    assert [doubt_of_style(line, packaged_reader()) for line in lines] == [[]] * len(lines)


def test_another_text_and_a_line_on_its_head_are_told_apart(lines):
    line = lines[0]
    (wrong,) = doubt_of_style(line._replace(text=OTHER), packaged_reader())
    assert wrong.startswith(f'the line {line.id}, whose style is followed, reads as "')
    assert f'its text is "{OTHER}": with another text, or another line, more can be read' in wrong
    (turned,) = doubt_of_style(line._replace(strokes=upside_down([line.strokes])[0]), packaged_reader())
    assert turned.endswith(f'its text is "{line.text}": it stands on its head, turn its y axis round')


def test_nothing_is_said_of_letters_that_no_reader_knows_or_of_a_dot(lines):
    strange = lines[0]._replace(text="漢字漢字漢字漢字")
    dot = lines[0]._replace(strokes=lines[0].strokes[:1])
    assert doubt_of_style(strange, packaged_reader()) == doubt_of_style(dot, packaged_reader()) == []


def test_what_is_written_in_such_a_hand_comes_with_the_warning(lines, tmp_path):
    writer = graves_lm.load()
    right = write_ink(tmp_path / "right.json", lines[:1])
    wrong = write_ink(tmp_path / "wrong.json", [lines[0]._replace(text=OTHER)])

    def doubts(**asked) -> list[str]:
        pen: Pen = writer.pen(candidates=1, retries=0, **asked)
        return list(pen.doubts)

    assert doubts() == doubts(hand=3) == doubts(hand=right) == []
    assert len(doubts(hand=wrong)) == 1
    assert len(doubts(prime=lines[0]._replace(text=OTHER))) == 1
    written = writer.write("a", hand=wrong, candidates=1, retries=0)
    assert "whose style is followed" in written.warnings[0]
