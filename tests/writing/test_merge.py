"""A letter for each row of a table: nothing is lost, and nothing is written twice."""

import csv
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graves_lm.data.ink.reading import read_ink
from graves_lm.runtime.errors import UserError
from graves_lm.writing.merge import COLUMNS, runs, write_letters
from graves_lm.writing.output import numbered_path
from graves_lm.writing.page import PageSettings
from graves_lm.writing.record import record_of, recording
from graves_lm.writing.table import read_table
from graves_lm.writing.wrap import TextLine, wrap
from tests.writing.pens import Calls

PAGE = PageSettings(100, 60, 12, 8, 10, 6, line_height=8)
LETTERS = [
    list(wrap(f"Dear {name},\nthank you for\n{gift}.", 30))
    for name, gift in zip("abcde", "vwxyz", strict=True)
]


def write(tmp_path: Path, calls: Calls, letters: list[list[TextLine]] = LETTERS, said: str = "") -> list[int]:
    """The numbers of the letters that were written."""
    output = tmp_path / "letter.json"
    return [done.number for done in write_letters(letters, calls.pen, PAGE, output, said)]


def rows(tmp_path: Path) -> list[dict[str, str]]:
    with open(tmp_path / "letter.written.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(tmp_path: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.glob("*.json")}


def test_each_row_has_its_letter_and_its_line_in_the_record(tmp_path):
    assert write(tmp_path, Calls()) == [1, 2, 3, 4, 5]
    for number, letter in enumerate(LETTERS, 1):
        lines, _ = read_ink(tmp_path / f"letter-{number}.json")
        assert [line.text for line in lines] == [line.text for line in letter]
    found = rows(tmp_path)
    assert [(row["part"], row["files"], row["lines"]) for row in found] == [
        (str(n), f"letter-{n}.json", "3") for n in range(1, 6)
    ]
    assert [row["first line"] for row in found] == [f"Dear {name}," for name in "abcde"]
    assert ["thanks" in row["doubts"] for row in found] == [False, True, False, False, False]


@pytest.mark.parametrize("after", range(5))
def test_what_was_ended_goes_on_where_it_was(tmp_path, after):
    whole, ended, on = tmp_path / "whole", tmp_path / "ended", Calls()
    whole.mkdir()
    ended.mkdir()
    write(whole, Calls())
    stream = write_letters(LETTERS, Calls().pen, PAGE, ended / "letter.json", "")
    for _ in range(after):
        next(stream)
    stream.close()
    if after:  # ended while the last row was written
        record = ended / "letter.written.csv"
        record.write_bytes(record.read_bytes()[:-7])
    done = max(0, after - 1)
    before = {p.name: p.stat().st_mtime_ns for p in ended.glob("*.json")}
    assert write(ended, on) == list(range(done + 1, 6))
    assert on.drawn == [(3 * n + k, LETTERS[n][k].text) for n in range(done, 5) for k in range(3)]
    assert contents(ended) == contents(whole)
    assert rows(ended) == rows(whole)
    after_mtimes = {p.name: p.stat().st_mtime_ns for p in ended.glob("*.json")}
    assert all(after_mtimes[f"letter-{n}.json"] == before[f"letter-{n}.json"] for n in range(1, done + 1))
    again = Calls()
    assert write(ended, again) == []
    assert again.drawn == []


def test_what_has_changed_is_written_again(tmp_path):
    write(tmp_path, Calls())
    changed = [*LETTERS[:2], list(wrap("Dear c,\nno", 30)), *LETTERS[3:]]
    (tmp_path / "letter-5.json").unlink()
    assert write(tmp_path, Calls(), changed) == [3, 5]
    assert len(rows(tmp_path)) == 5
    assert write(tmp_path, Calls(), changed, "seed=2") == [1, 2, 3, 4, 5]
    assert write(tmp_path, Calls(), changed[:3], "seed=2") == []
    assert len(rows(tmp_path)) == 3


def test_a_record_is_nobody_elses(tmp_path):
    output = tmp_path / "letter.json"
    write(tmp_path, Calls())
    other = recording(record_of(output), COLUMNS, {1: rows(tmp_path)[0]["made of"]})
    with other as record, pytest.raises(UserError, match="another process writes there"):
        write(tmp_path, Calls(), said="seed=2")
    assert record.done == {1}
    assert len(rows(tmp_path)) == 1
    record_of(output).write_text("name,city\nAnna,Harwick\n")
    with pytest.raises(UserError, match=r"letter\.written\.csv: another table"):
        write(tmp_path, Calls())
    assert record_of(output).read_text() == "name,city\nAnna,Harwick\n"


def test_names_and_runs():
    assert numbered_path(Path("a/b.anim.svg"), 7, 120) == Path("a/b-007.anim.svg")
    assert runs([1, 2, 4, 7, 8]) == [[1, 2], [4], [7, 8]]
    assert runs([]) == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables(tmp_path, delimiter):
    path = tmp_path / "people.csv"
    text = f'name | gift\nAnna | "a{delimiter}b"\n | \nBen | "two\nlines"\nCleo | a\u2028b\x0c\n'
    for end in ("\n", "\r\n", "\r"):
        path.write_bytes(b"\xef\xbb\xbf" + text.replace(" | ", delimiter).replace("\n", end).encode())
        assert read_table(path) == [
            {"name": "Anna", "gift": f"a{delimiter}b"},
            {"name": "Ben", "gift": "two\nlines"},
            {"name": "Cleo", "gift": "a\u2028b\x0c"},
        ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "its first row names the columns"),
        ("name,,x\n1,2,3\n", "its first row names the columns"),
        ("name,name\n1,2\n", "two columns are named name"),
        ("name,gift\n", "there is no row"),
        (
            "name,gift\nAnna,a,b\n",
            "line 2 has 3 cells, the first 2; a cell with ',' in it stands between quotes",
        ),
        ("name,gift\nAnna\n", "line 2 has 1 cells"),
        ('name,gift\nAnna,"a\n', "line 2: unexpected end of data"),
    ],
)
def test_mistakes_in_a_table(tmp_path, text, said):
    path = tmp_path / "people.csv"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_table(path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_kill_9_and_the_same_command_again(tmp_path):
    """The package's weights, from the shell: killed when two letters are there, then given again."""
    (tmp_path / "people.csv").write_text("name\n" + "".join(f"Anna {c}\n" for c in "abcdefgh"))
    (tmp_path / "letter.txt").write_text("Dear {name},\nthank you.\nYours, Ben\n")
    settings = [
        "table=people.csv",
        "text_file=letter.txt",
        "hand=2",
        "sampler.candidates=1",
        "sampler.batch_size=3",
    ]
    command = [sys.executable, "-m", "graves_lm.sample", *settings]

    def start(folder: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, f"output={folder}/letter.json"], cwd=tmp_path, stderr=subprocess.DEVNULL
        )

    assert start("whole").wait() == 0
    killed = start("killed")
    record = tmp_path / "killed" / "letter.written.csv"
    while not (record.exists() and record.read_text().count("\n") >= 3):
        assert killed.poll() is None
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    there = {row["files"] for row in rows(tmp_path / "killed")}
    times = {name: (tmp_path / "killed" / name).stat().st_mtime_ns for name in there}
    assert 2 <= len(there) < 8
    assert start("killed").wait() == 0
    assert {name: (tmp_path / "killed" / name).stat().st_mtime_ns for name in there} == times
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
