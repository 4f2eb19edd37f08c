"""UNIPEN: a line for each segment of the level that is most like a line."""

from pathlib import Path

import numpy as np
import pytest

from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import StrokeLine, to_pen_strokes
from graves_lm.runtime.errors import UserError


def zig(x: int, count: int = 4) -> list[tuple[int, int]]:
    return [(x + 6 * i, 60 * (i % 2)) for i in range(count)]


def pen(points: list[tuple[int, int]], up: bool = True) -> str:
    return ".PEN_DOWN\n" + "".join(f"{x} {y}\n" for x, y in points) + (".PEN_UP\n" if up else "")


def read(
    tmp_path: Path, content: str | bytes, name: str = "ink.unipen"
) -> tuple[list[StrokeLine], list[str]]:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    lines, problems = read_ink(path)
    return lines, [problem.reason for problem in problems]


def starts(lines: list[StrokeLine]) -> list[tuple[str, list[int]]]:
    """The text of each line and how many points its strokes have."""
    return [(line.text, [len(s) for s in to_pen_strokes(line.strokes)]) for line in lines]


def refused(tmp_path: Path, content: str | bytes, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as error:
        read(tmp_path, content)
    assert "\n" not in str(error.value)


THREE = pen(zig(0, 3)) + pen(zig(30, 4)) + pen(zig(60, 5))  # components 0, 2 and 4


@pytest.mark.parametrize(
    "level", ["LINE", "WORD", "CHAR", "CHARACTER", "DIGIT", "SYMBOL", "PAGE", "SENTENCE"]
)
@pytest.mark.parametrize("hierarchy", [".HIERARCHY SET {0}\n", ".HIERARCHY PAGE {0} STROKE\n", ""])
def test_a_line_for_each_segment(tmp_path, level, hierarchy):
    segments = f'.SEGMENT {level} 0-1 OK "one"\n.SEGMENT {level} 2 ? "two"\n.SEGMENT {level} 4-4 BAD "3"\n'
    for content in (segments + ".COORD X Y\n" + THREE, ".COORD X Y\n" + THREE + segments):
        lines, problems = read(tmp_path, hierarchy.format(level) + content)
        assert starts(lines) == [("one", [3]), ("two", [4]), ("3", [5])]
        assert not problems


@pytest.mark.parametrize(
    "segments",
    [
        '.SEGMENT DIGIT ? "8"\n{0}.SEGMENT DIGIT ? "3"\n{1}.SEGMENT DIGIT ? "0"\n{2}',
        '.SEGMENT DIGIT ? ? "8"\n{0}.SEGMENT DIGIT ? ? "3"\n{1}.SEGMENT DIGIT "0"\n{2}',
        '.SEGMENT DIGIT ? OK "8"\n{0}.SEGMENT DIGIT OK "3"\n{1}.SEGMENT DIGIT 4 OK "0"\n{2}',
        ".SEGMENT DIGIT ? OK 8\n{0}.SEGMENT DIGIT OK 3\n{1}.SEGMENT DIGIT 4 OK 0\n{2}",
    ],
)
def test_segments_that_do_not_say_which_are_theirs_have_what_follows(tmp_path, segments):
    content = segments.format(*(pen(zig(9 * i, 3 + i)) for i in range(3)))
    lines, _ = read(tmp_path, ".HIERARCHY DIGIT\n.COORD X Y\n" + content)
    assert starts(lines) == [("8", [3]), ("3", [4]), ("0", [5])]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("0-2", [3, 4]),
        ("0", [3]),
        ("0,4", [3, 5]),
        ("0-2,4", [3, 4, 5]),
        ("0 - 2 , 4", [3, 4, 5]),
        ("4,0-0", [5, 3]),
        ("2:1-2:2", [2]),
        ("0:1-2:1", [2, 2]),
        ("2:2-4", [2, 5]),
        ("0-2:0", [3, 1]),
        ("?", [3, 4, 5]),
        ("", [3, 4, 5]),
    ],
)
def test_delineations(tmp_path, span, expected):
    lines, _ = read(tmp_path, f'.COORD X Y\n.SEGMENT LINE {span} OK "x"\n{THREE}')
    assert starts(lines) == [("x", expected)]


@pytest.mark.parametrize(
    "span", ["5-6", "6", "0-999999999", "2-0", "2:3-2:1", "0-2-4", "99999999999", "0x", "1-a"]
)
def test_delineations_that_are_none(tmp_path, span):
    refused(tmp_path, f'.COORD X Y\n.SEGMENT LINE {span} OK "x"\n{THREE}', "SEGMENT")


def test_levels(tmp_path):
    """A line rather than its words; the highest level of the others; labels rather than none."""
    segments = '.SEGMENT LINE 0-4 OK "to be"\n.SEGMENT WORD 0 OK "to"\n.SEGMENT WORD 2-4 OK "be"\n'
    content = ".HIERARCHY PAGE LINE WORD\n.COORD X Y\n" + segments + THREE
    assert starts(read(tmp_path, content)[0]) == [("to be", [3, 4, 5])]
    deep = (
        ".HIERARCHY PAGE WORD CHAR\n.COORD X Y\n"
        + segments.replace(" WORD ", " CHAR ").replace("LINE", "WORD")
        + THREE
    )
    assert starts(read(tmp_path, deep)[0]) == [("to be", [3, 4, 5])]
    page = content.replace(".SEGMENT LINE", ".SEGMENT PAGE").replace("PAGE LINE WORD", "PAGE WORD")
    assert [text for text, _ in starts(read(tmp_path, page)[0])] == ["to", "be"]
    unlabelled = content.replace('0-4 OK "to be"', "0-4 ?")
    assert starts(read(tmp_path, unlabelled)[0]) == [("to be", [3, 4, 5])]  # of its words
    assert starts(read(tmp_path, ".COORD X Y\n.SEGMENT LINE 0 OK\n.SEGMENT LINE 2-4 OK\n" + THREE)[0]) == [
        ("", [3]),
        ("", [4, 5]),
    ]


def test_words_that_pile_up_are_no_line(tmp_path):
    words = "".join(
        f'.SEGMENT WORD {2 * i} OK "{w}"\n{pen(zig(5 * i, 9))}' for i, w in enumerate(("to", "be"))
    )
    lines, _ = read(tmp_path, ".HIERARCHY LINE WORD\n.COORD X Y\n" + words)
    assert [line.text for line in lines] == ["to", "be"]


def test_strokes_of_no_segment_are_named(tmp_path):
    lines, problems = read(tmp_path, '.COORD X Y\n.SEGMENT WORD 2 OK "x"\n' + THREE)
    assert starts(lines) == [("x", [4])]
    assert problems == ["2 strokes are in no .SEGMENT WORD: component 0, 4"]
    _, problems = read(tmp_path, '.COORD X Y\n.SEGMENT WORD 0-4 OK "x"\n.SEGMENT WORD 1 OK "y"\n' + THREE)
    assert problems == [".SEGMENT WORD 'y' has no strokes"]


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (r"say \"hi\" \\ x", 'say "hi" \\ x'),
        (r"a\tb\nc", "a b c"),
        ("a\tb\nc", "a b c"),
        ("  a  ", "a"),
        ("0-2 OK", "0-2 OK"),
        ("?", "?"),
    ],
)
def test_labels(tmp_path, label, text):
    lines, _ = read(tmp_path, f'.COORD X Y\n.SEGMENT LINE 0-4 OK "{label}"\n{THREE}')
    assert [line.text for line in lines] == [text]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_encodings(tmp_path, encoding):
    content = f'.COORD X Y\n.SEGMENT LINE 0-4 OK "café Ærø"\n{THREE}'
    for name in ("a.unp", "a.UNP", "a.dat", "a.upen"):
        lines, _ = read(tmp_path, content.encode(encoding), name)
        assert [line.text for line in lines] == ["café Ærø"]


def test_units_of_axes_that_differ(tmp_path):
    content = ".COORD X Y\n{}" + pen([(0, 0), (100, 0), (100, 100)])
    for units, expected in (
        (".X_POINTS_PER_INCH 200\n.Y_POINTS_PER_INCH 100\n", 200),
        (".X_POINTS_PER_MM 10\n.Y_POINTS_PER_INCH 254\n", 100),
        (".X_POINTS_PER_INCH 200\n", 100),
    ):
        (line,), _ = read(tmp_path, content.format(units))
        assert np.ptp(to_pen_strokes(line.strokes)[0], axis=0).tolist() == [100, expected]
    refused(tmp_path, content.format(".X_POINTS_PER_INCH 0\n"), "no number above 0")
    refused(tmp_path, content.format(".X_POINTS_PER_MM nan\n"), "no number above 0")


def test_columns_and_writers_may_change(tmp_path):
    content = (
        '.WRITER_ID a\n.COORD X Y\n.SEGMENT WORD 0 OK "x"\n.PEN_DOWN\n1 2\n3 4\n'
        '.WRITER_ID b\n.COORD T Y X\n.SEGMENT WORD 1 OK "y"\n.PEN_DOWN\n9 2 1\n9 4 3\n'
    )
    lines, _ = read(tmp_path, content)
    assert [line.writer for line in lines] == ["a", "b"]
    assert np.array_equal(lines[0].strokes, lines[1].strokes)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (".INCLUDE /etc/passwd\n" + THREE, "merge the two"),
        (".COORD X Y\n.SEGMENT\n" + THREE, "without a level"),
        ('.COORD X Y\n.SEGMENT LINE 0 OK "x\n' + THREE, "has no end"),
        ('.COORD X Y\n' + THREE + '.SEGMENT WORD ? "a"\n.SEGMENT WORD ? "b"\n', "no strokes follow"),
        (".COORD T\n" + THREE, "no .COORD with X and Y"),
        (".COORD X Y\n.PEN_DOWN\nnan 1\n2 3\n", "not a number below"),
        (".COORD X Y\n.PEN_DOWN\n1_0 1\n2 3\n", "contains text"),
        (".COORD X Y\n.PEN_UP\n1 1\n2 3\n", "no .PEN_DOWN"),
        (b"\xff\xfe\x00", "UTF-16 that it begins with"),
        ('.COORD X Y\n.SEGMENT LINE 0-4 OK "a\x07"\n' + THREE, "nobody can write"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(tmp_path, content, reason):
    refused(tmp_path, content, reason)


def test_a_file_has_no_more_than_it_may(tmp_path, monkeypatch):
    content = '.COORD X Y\n.SEGMENT WORD 0-4 OK "a"\n.SEGMENT WORD 0 OK "b"\n.SEGMENT WORD 0 OK "b"\n' + THREE
    for place in ("POINTS", "LINES", "_COMPONENTS", "_STATEMENTS", "_LONGEST_ROW", "_LONGEST_SEGMENT"):
        with monkeypatch.context() as patch:
            patch.setattr(f"graves_lm.data.ink.unipen.{place}", 1)
            refused(tmp_path, content, "more than 1 ")
