"""Importers for one's own pen."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graves_lm.data.ink.corpus import InkData
from graves_lm.data.ink.reading import read_ink
from graves_lm.data.strokes import StrokeLine, to_pen_strokes
from graves_lm.runtime.errors import UserError

STROKES = [[[10, 20], [13, 24]], [[13, 30], [14, 31], [18, 33]]]
OFFSETS = [[0, 0, 0], [3, 4, 1], [0, 6, 0], [1, 1, 0], [4, 2, 1]]
POINTS = [[x, y, int(i == len(s) - 1)] for s in STROKES for i, (x, y) in enumerate(s)]


def only(path: Path, **options: Any) -> StrokeLine:
    lines, problems = read_ink(path, **options)
    assert not problems
    assert len(lines) == 1
    return lines[0]


def save(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def turned(offsets: list[list[int]]) -> list[list[int]]:
    return [[x, -y, e] for x, y, e in offsets]


@pytest.mark.parametrize(
    "content",
    [
        {"format": "graves_lm.strokes", "lines": [{"text": "hi", "strokes": STROKES}]},
        {"lines": [{"text": "hi", "strokes": STROKES}]},
        {"text": "hi", "strokes": STROKES},
        {"text": "hi", "points": POINTS},
        {"text": "hi", "strokes": [*STROKES, []]},
        {"text": "hi", "strokes": [[[*p, 0.1] for p in s] for s in STROKES]},  # more columns than needed
    ],
)
def test_json_with_text(tmp_path, content):
    line = only(save(tmp_path / "note.json", content))
    assert (line.id, line.text, line.writer) == ("note", "hi", "")
    assert line.strokes.tolist() == OFFSETS


@pytest.mark.parametrize("content", [STROKES, POINTS])
def test_bare_json(tmp_path, content):
    line = only(save(tmp_path / "note.json", content))
    assert line.text == ""
    assert line.strokes.tolist() == OFFSETS


def test_json_lines_have_names(tmp_path):
    one = {"text": "a", "strokes": STROKES, "writer": "me"}
    lines, _ = read_ink(save(tmp_path / "n.json", {"lines": [one, {**one, "id": "second"}]}))
    assert [(line.id, line.writer) for line in lines] == [("n-01", "me"), ("second", "me")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ({"format": "other", "lines": []}, "its format is 'other'"),
        ({"lines": 3}, "'lines' is not a list"),
        ({"text": "x"}, "needs 'strokes'"),
        ({"strokes": [[[1, 2], [3]]]}, "lists of numbers of one length"),
        ({"strokes": [[["a", 2]]]}, "lists of numbers"),
        ({"strokes": [[1, 2]]}, "a point needs 2 numbers"),
        ({"points": [[1, 2], [3, 4]]}, "a point needs 3 numbers"),
        ('{"strokes": [[[1, 2], [NaN, 4]]]}', "not a number below"),
        ('{"strokes": [[[1, 2], [1e200, 4]]]}', "not a number below"),
        ({"strokes": [[[1, 2], [10**400, 4]]]}, "lists of numbers"),
        ({"strokes": [[[1, 2]]]}, "1 points are no writing"),
        ({"lines": []}, "no line of handwriting"),
    ],
)
def test_bad_json(tmp_path, content, reason):
    with pytest.raises(UserError, match=reason) as error:
        read_ink(save(tmp_path / "bad.json", content))
    assert "\n" not in str(error.value)


INKML = """<?xml version="1.0"?>
<ink xmlns="http://www.w3.org/2003/InkML">
  <annotation type="writer">w7</annotation>
  <annotation type="truth">hi &amp; ho</annotation>
  <traceFormat><channel name="X"/><channel name="Y"{orientation}/><channel name="T"/></traceFormat>
  <trace id="t0">10 20 0, 13 24 9</trace>
  <trace id="t1">13 30 20,14 31 25, 18 33 30</trace>
</ink>
"""


@pytest.mark.parametrize(
    ("orientation", "y_axis", "expected"),
    [
        ("", None, OFFSETS),
        ("", "up", turned(OFFSETS)),
        (' orientation="-ve"', None, turned(OFFSETS)),
        (' orientation="+ve"', "down", OFFSETS),
    ],
)
def test_inkml(tmp_path, orientation, y_axis, expected):
    path = save(tmp_path / "a.inkml", INKML.format(orientation=orientation))
    line = only(path, y_axis=y_axis)
    assert (line.text, line.writer) == ("hi & ho", "w7")
    assert line.strokes.tolist() == expected


def test_inkml_groups_with_texts_are_lines(tmp_path):
    trace = "<trace>0 0, 3 4, 5 5</trace>"
    word = f'<traceGroup><annotation type="truth">word</annotation>{trace}</traceGroup>'
    group = f'<traceGroup><annotation type="transcription">line</annotation>{word}{trace}</traceGroup>'
    lines, _ = read_ink(save(tmp_path / "a.inkml", f"<ink>{group}{group}</ink>"))
    assert [(line.id, line.text, len(line.strokes)) for line in lines] == [
        ("a-01", "line", 6),
        ("a-02", "line", 6),
    ]


def test_inkml_differences(tmp_path):
    """Prefixes: ! explicit, ' first difference, \" second difference; they hold until changed."""
    line = only(
        save(tmp_path / "a.inkml", "<ink><trace>1125 18432,'23'43,\"7\"-8,3-5,7 -3,!2000!18000</trace></ink>")
    )
    (positions,) = to_pen_strokes(line.strokes)
    expected = [[1125, 18432], [1148, 18475], [1178, 18510], [1211, 18540], [1251, 18567], [2000, 18000]]
    assert (positions + expected[0]).tolist() == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<ink><trace>1 2, 3 4", "not well-formed XML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><ink>&a;</ink>', "document type"),
        ("<svg/>", "root is <svg>"),
        ("<ink/>", "no <trace>"),
        ("<ink><trace>1, 2</trace></ink>", "1 values, too few"),
        ('<ink><channel name="X"/><trace>1 2, 3 4</trace></ink>', "no channels X and Y"),
        ("<ink><trace>1 2, ? 4</trace></ink>", "has no position"),
    ],
)
def test_bad_inkml(tmp_path, content, reason):
    with pytest.raises(UserError, match=reason):
        read_ink(save(tmp_path / "bad.inkml", content))


UNIPEN = """.VERSION 1.0
.WRITER_ID w9
.COORD X Y T
.HIERARCHY SENTENCE WORD
.SEGMENT SENTENCE 0-3 ? "say \\"hi\\""
.PEN_DOWN
10 20 0
13 24 1
.PEN_UP
13 28 2
.PEN_DOWN
13 30 3
14 31 4
18 33 5
.PEN_UP
"""


def test_unipen(tmp_path):
    path = save(tmp_path / "a.unipen", UNIPEN)
    line = only(path)
    assert (line.text, line.writer) == ('say "hi"', "w9")
    assert line.strokes.tolist() == turned(OFFSETS)
    assert only(path, y_axis="down").strokes.tolist() == OFFSETS
    windows = save(tmp_path / "b.unipen", UNIPEN.replace("\n", "\r\n"))
    assert np.array_equal(only(windows).strokes, line.strokes)


def test_unipen_words(tmp_path):
    words = UNIPEN.replace(
        '.SEGMENT SENTENCE 0-3 ? "say \\"hi\\""', '.SEGMENT WORD 0 ? "to"\n.SEGMENT WORD 2 ? "be"'
    )
    assert only(save(tmp_path / "a.upen", words)).text == "to be"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (".COORD X Y\n", "no .PEN_DOWN"),
        (".PEN_DOWN\n1 2\n", "no .COORD"),
        (".COORD X Y\n.PEN_DOWN\n1 2 3\n", "3 numbers, no multiple of the 2"),
        (".COORD X Y\n.PEN_DOWN\n1 b\n", "contains text"),
        (".INCLUDE other.dat\n", "merge the two"),
        (
            '.COORD X Y\n.SEGMENT LINE 0 ? "a"\n.SEGMENT LINE 1 ? "b"\n.PEN_DOWN\n1 2\n3 4\n',
            "one file per line",
        ),
    ],
)
def test_bad_unipen(tmp_path, content, reason):
    with pytest.raises(UserError, match=reason):
        read_ink(save(tmp_path / "bad.unipen", content))


def test_folder_with_transcripts_and_bad_files(tmp_path):
    save(tmp_path / "b.json", {"lines": [{"strokes": STROKES}, {"strokes": STROKES}]})
    save(tmp_path / "b.txt", "first line\n\nsecond line é\n")
    (tmp_path / "sub").mkdir()
    save(tmp_path / "sub" / "a.inkml", INKML.format(orientation=""))
    save(tmp_path / "c.json", "{")
    save(tmp_path / "d.json", {"lines": [{"strokes": STROKES}, {"strokes": [[[1, 1]]]}]})
    save(tmp_path / "readme.md", "not ink")
    lines, problems = read_ink(tmp_path)
    assert [(line.id, line.text) for line in lines] == [
        ("b-01", "first line"),
        ("b-02", "second line é"),
        ("d-01", ""),
        ("a", "hi & ho"),
    ]
    assert [Path(p.name).name for p in problems] == ["c.json", "d.json: line 2"]


def test_transcript_must_fit(tmp_path):
    path = save(tmp_path / "a.json", {"strokes": STROKES})
    save(tmp_path / "a.txt", "one\ntwo\n")
    with pytest.raises(UserError, match="has 2 lines for 1 of handwriting"):
        read_ink(path)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        read_ink(path)


def test_other_mistakes(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="does not exist"):
        read_ink(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"no file \*\.inkml"):
        read_ink(tmp_path)
    with pytest.raises(UserError, match="unknown kind of file"):
        read_ink(save(tmp_path / "a.docx", "x"))
    with pytest.raises(UserError, match="is no direction"):
        read_ink(tmp_path, y_axis="left")  # type: ignore[arg-type]
    monkeypatch.setattr("graves_lm.data.ink.reading.SIZE_LIMIT", 5)
    with pytest.raises(UserError, match="more than the 5"):
        read_ink(save(tmp_path / "a.json", {"strokes": STROKES}))


@pytest.mark.parametrize("text", ["\u05e9\u05dc\u05d5\u05dd", "ink \u0633\u0644\u0627\u0645"])
def test_a_text_from_right_to_left_is_refused(tmp_path, text):
    save(tmp_path / "note.json", {"text": text, "strokes": STROKES})
    with pytest.raises(UserError, match="its text runs from right to left"):
        read_ink(tmp_path)


def learned_from(tmp_path, *lines):
    """The ids of the lines that are learned from or validate, and the report on the others."""
    save(tmp_path / "me.json", {"lines": list(lines)})
    data = InkData(source=tmp_path / "me.json", cache_dir=tmp_path / "cache")
    data.prepare()
    data.open()
    return sorted(data.store.ids), (data.cache / "report.txt").read_text()


def written(name: str, text: str = "hi", shift: int = 0) -> dict[str, Any]:
    return {"id": name, "text": text, "strokes": [[[x + shift * y, y] for x, y in s] for s in STROKES]}


def test_copies_of_a_line_are_learned_from_once(tmp_path):
    kept, report = learned_from(
        tmp_path, written("a"), written("b"), written("c", "ho"), written("d", shift=1)
    )
    assert kept == ["a", "c", "d"]
    assert report == "b: left out: is the same, point by point, as a\n"
    with pytest.raises(UserError, match=r"one line of handwriting .* left out was b: is the same"):
        learned_from(tmp_path, *map(written, "abcde"))


def test_a_dot_is_no_writing_of_a_text(tmp_path):
    dot = {"id": "dot", "text": "a whole line", "strokes": [[[1, 1]] * 40]}
    few = written("few", "six letters")
    kept, report = learned_from(tmp_path, dot, few, written("a"), written("b", "ho"))
    assert kept == ["a", "b"]
    why = "points are no writing of its 10 letters"
    assert report == f"dot: left out: its 40 {why}\nfew: left out: its 5 {why}\n"


def test_a_pen_that_was_left_on_the_tablet_is_no_writing(tmp_path):
    rests = {"id": "rests", "text": "hi", "strokes": [[[x % 7, x % 5] for x in range(999)]]}
    kept, report = learned_from(tmp_path, written("a"), rests, written("b", "ho"), written("c", "he"))
    assert kept == ["a", "b", "c"]
    assert report == (
        "rests: left out: its 999 points are 200 times as many a letter as the other lines have\n"
    )


def test_lines_of_another_device_are_brought_to_the_size_of_the_others(tmp_path):
    def times(factor: float, line: dict[str, Any]) -> dict[str, Any]:
        return line | {"strokes": [[[factor * x, factor * y] for x, y in s] for s in line["strokes"]]}

    large, small = times(40.0, written("large", "hid")), times(0.02, written("small", "hit"))
    own = [written("a", "his"), written("b", "hip", shift=1), times(3.9, written("c", "hid"))]
    dash = times(0.001, written("dash", "-"))  # of one character nobody knows how large it was meant
    kept, report = learned_from(tmp_path, *own, large, small, dash)
    assert kept == ["a", "b", "c", "dash", "large", "small"]
    assert report.splitlines() == [
        "large: 40 times as large as the others: brought to their size",
        "small: 50 times as small as the others: brought to their size",
    ]
    data = InkData(source=tmp_path / "me.json", cache_dir=tmp_path / "cache")
    data.prepare()
    data.open()
    lines = {data.store.ids[n]: data.store.strokes(n) for n in range(len(kept))}
    for name in ("large", "small"):
        np.testing.assert_allclose(lines[name], lines["a"], rtol=1e-5)


def test_lines_without_texts_are_brought_to_one_size_too(tmp_path):
    def wave(name: str, factor: float, points: int = 60) -> dict[str, Any]:
        strokes = [[[factor * x, factor * (x * x % 17)] for x in range(points)]]
        return {"id": name, "strokes": strokes}

    short = wave("short", 1e-3, 9)
    _, report = learned_from(tmp_path, wave("a", 1.0), wave("b", 1.1), wave("c", 0.9), wave("d", 10.0), short)
    assert report == "d: 9.52 times as large as the others: brought to their size\n"


def test_of_a_text_what_is_invisible_is_no_character(tmp_path):
    text = "\u200bna\u0308h\u00adte\ufe0f\u00a0so\u2028 far\u200f"
    save(tmp_path / "me.json", {"lines": [written("a", text)]})
    (line,), _ = read_ink(tmp_path / "me.json")
    assert line.text == "nähte so far"


def test_a_file_without_lines_is_said_to_have_none(tmp_path):
    save(tmp_path / "me.json", {"lines": []})
    with pytest.raises(UserError, match=r"no line of handwriting could be read; .*me\.json has none"):
        read_ink(tmp_path / "me.json")
