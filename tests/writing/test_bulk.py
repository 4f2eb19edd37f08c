"""A data set of lines: each with its text, in its hand, read, and none of them twice."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graves_lm.data.ink.reading import read_ink
from graves_lm.runtime.errors import UserError
from graves_lm.writing.bulk import Part, check_ending, hand_names, parts_of, write_lines
from graves_lm.writing.wrap import wrap
from tests.writing.pens import Calls

LINES = list(wrap("one line of words and two and three and four and five and six", 14))


class Reader:
    """Reads how many points a line has, as long as it has an extent."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def read(self, lines: list[np.ndarray]) -> list[str]:
        self.calls.append(len(lines))
        assert all(np.ptp(line[:, :2].cumsum(0), axis=0).any() for line in lines)
        return [str(len(line)) for line in lines]


def write(
    folder: Path, parts: list[Part], ending: str = ".inkml", pictures: bool = False
) -> Counter[str | None]:
    """The hands in which parts were written."""
    asked: Counter[str | None] = Counter()

    def pen_of(hand: str | None):
        asked[hand] += 1
        return Calls().pen

    list(write_lines(parts, pen_of, Reader(), folder / f"set{ending}", "", pictures))  # type: ignore[arg-type]
    return asked


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "set.written.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("count", "hands"), [(1, 0), (3, 5), (1000, 0), (1000, 3), (1000, 24), (257, 1), (5, 5)]
)
def test_lines_go_round_and_hands_take_turns(count, hands):
    names = [str(n) for n in range(1, hands + 1)]
    parts = parts_of(LINES, count, names)
    texts = [line.text for part in parts for line in part.lines]
    assert texts == [LINES[n % len(LINES)].text for n in range(count)]
    assert [part.first for part in parts] == [sum(len(p.lines) for p in parts[:n]) for n in range(len(parts))]
    assert max(len(part.lines) for part in parts) <= 256
    assert {part.hand for part in parts} == set(names[:count] or [None])


def test_hands_beyond_the_packages_are_between_two_of_them():
    assert hand_names(2, 3) == ["1", "2"]
    assert hand_names(6, 3) == ["1", "2", "3", "1+2", "1+3", "2+3"]
    with pytest.raises(UserError, match=r"hands=7: the package's 3 and those between two of them make 6"):
        hand_names(7, 3)


@pytest.mark.parametrize("ending", [".inkml", ".json"])
def test_each_line_has_its_text_its_hand_and_its_reading(tmp_path, ending):
    parts = parts_of(LINES, 12, ["1", "2", "1+2"])
    assert write(tmp_path, parts, ending, pictures=True) == {"1": 1, "2": 1, "1+2": 1}
    found = rows(tmp_path)
    assert len(found) == 12
    ink = [line for n in (1, 2, 3) for line in read_ink(tmp_path / f"set-{n}{ending}")[0]]
    assert (
        [line.text for line in ink]
        == [row["text"] for row in found]
        == [LINES[n % len(LINES)].text for n in range(12)]
    )
    assert [row["read"] for row in found] == [str(len(line.strokes)) for line in ink]
    assert [row["hand"] for row in found] == ["1"] * 4 + ["2"] * 4 + ["1+2"] * 4
    assert [row["line"] for row in found] == ["1", "2", "3", "4"] * 3
    for row in found:
        with Image.open(tmp_path / row["picture"]) as picture:
            assert picture.height > 90
            assert picture.width > picture.height


def test_a_set_that_was_ended_goes_on(tmp_path):
    parts = parts_of(LINES, 12, ["1", "2", "3"])
    whole, ended = tmp_path / "whole", tmp_path / "ended"
    whole.mkdir()
    ended.mkdir()
    write(whole, parts)
    stream = write_lines(parts, lambda _: Calls().pen, None, ended / "set.inkml", "")
    next(stream)
    stream.close()
    record = ended / "set.written.csv"
    (ended / "set-2.inkml").write_text("half")
    before = record.read_bytes()
    with record.open("a") as file:  # a part whose rows are not all there
        file.write(before.decode().splitlines()[1].replace("1,set-1", "2,set-2") + "\n")
    assert write(ended, parts) == {"2": 1, "3": 1}
    assert [row["text"] for row in rows(ended)] == [row["text"] for row in rows(whole)]
    for n in (1, 2, 3):
        assert (ended / f"set-{n}.inkml").read_bytes() == (whole / f"set-{n}.inkml").read_bytes()
    assert write(ended, parts) == {}


def test_formats_without_texts_are_refused(tmp_path):
    check_ending(tmp_path / "a.inkml")
    with pytest.raises(UserError, match=r"lines= writes \.json or \.inkml"):
        check_ending(tmp_path / "a.svg")
