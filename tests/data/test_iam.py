"""The reader of the IAM On-Line Handwriting Database, on small files of our own in its format."""

import io
import json
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graves_lm.data.hershey.european import LETTERS
from graves_lm.data.iam import archive as iam_archive
from graves_lm.data.iam.corpus import IamData
from graves_lm.data.iam.reading import SPLITS, iam_key, read_iam
from graves_lm.data.iam.repair import repair_strokes, repair_text, split_joined_lines
from graves_lm.data.iam.report import IamReport
from graves_lm.data.strokes import Normalisation, StrokeLine, to_pen_strokes
from graves_lm.runtime.errors import UserError

HEAD = '<?xml version="1.0" encoding="ISO-8859-1"?>\n<WhiteboardCaptureSession>\n<StrokeSet>\n'
TAIL = "</StrokeSet>\n</WhiteboardCaptureSession>\n"
TEXTS = {
    "a01-000u": ["Hello there .", "This is a #", "small café"],
    "a01-001w": ["One more line"],
    "b02-010z": ["left %%%%%%%%%%% right"],
    "c03-020": ["to validate", "( and again ) !"],
    "d04-030": ["for testing"],
}
SETS = {
    "trainset": ["a01-000u", "a01-001w"],
    "testset_v": ["c03-020"],
    "testset_t": ["b02-010z"],
    "testset_f": ["d04-030"],
}


def xml(strokes: list[list[tuple]]) -> str:
    """Readings (x, y, seconds) per stroke as the owner writes them."""
    body = ""
    for stroke in strokes:
        points = "".join(f'<Point x="{x}" y="{y}" time="{t}"/>\n' for x, y, t in stroke)
        body += f'<Stroke colour="black" start_time="0.0" end_time="1.0">\n{points}</Stroke>\n'
    return HEAD + body + TAIL


def usual(seed: int = 0) -> list[list[tuple]]:
    rng = np.random.default_rng(seed)
    points = np.cumsum(rng.integers(-20, 30, (30, 2)), axis=0) + 500
    return [
        [(x, y, f"{0.015 * i:.3f}") for i, (x, y) in enumerate(part.tolist())]
        for part in (points[:18], points[18:])
    ]


def write_tree(root: Path) -> Path:
    for form, lines in TEXTS.items():
        folder = root / "ascii" / form[:3] / form[:7]
        folder.mkdir(parents=True, exist_ok=True)
        text = "OCR:\n\nwrong words\n\nCSR:\n\n" + "\n\n".join(lines) + "\n"
        (folder / f"{form}.txt").write_bytes(text.encode("latin-1"))
        count = len(split_joined_lines(lines))
        for number in range(1, count + 1):
            folder = root / "lineStrokes" / form[:3] / form[:7]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{form}-{number:02d}.xml").write_text(xml(usual(number)))
    for name, forms in SETS.items():
        (root / f"{name}.txt").write_text("\n".join(f"{form}  " for form in forms) + "\n\n")
    (root / "form_writer.json").write_text(json.dumps({"a01-000u": "10026"}))
    (root / "suspect_lines.txt").write_text("a01-000u-02\n")
    return root


def line_file(root: Path, line: str = "a01-000u-01") -> Path:
    return next(root.rglob(f"{line}.xml"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "iam")


def read(source: Path, **options: Any) -> tuple[dict[str, list[StrokeLine]], IamReport]:
    return read_iam(source, progress=False, workers=1, **options)


def reasons(report: IamReport) -> dict[str, str]:
    return {Path(row.name).stem: row.reason for row in report.rows if not row.action.startswith("repaired")}


def test_reads_a_tree(tree):
    parts, report = read(tree)
    assert {name: [line.id for line in lines] for name, lines in parts.items()} == {
        "trainset": ["a01-000u-01", "a01-000u-02", "a01-000u-03", "a01-001w-01"],
        "testset_v": ["c03-020-01", "c03-020-02"],
        "testset_t": ["b02-010z-01", "b02-010z-02"],
        "testset_f": ["d04-030-01"],
    }
    first = parts["trainset"][0]
    assert (first.text, first.writer) == ("Hello there.", "10026")
    assert parts["trainset"][2].text == "small café"
    assert parts["trainset"][3].writer == ""
    assert [line.text for line in parts["testset_t"]] == ["left", "right"]
    assert parts["testset_v"][1].text == "(and again)!"
    expected = [np.array(s, dtype=float)[:, :2] for s in usual(1)]
    for written, kept in zip(expected, to_pen_strokes(first.strokes), strict=True):
        assert np.array_equal(written - expected[0][0], kept)
    counts = report.sets["trainset"]
    assert (counts.lines_read, counts.strokes_read, counts.points_read) == (4, 8, 120)
    assert (counts.lines_kept, counts.strokes_kept, counts.points_kept) == (4, 8, 120)
    assert report.count("dropped") == report.count("unreadable") == 0


def test_splits_cover_the_sets():
    assert set(SPLITS["paper"]["train"]) | set(SPLITS["paper"]["val"]) == set(iam_archive.SETS)
    assert sorted(sum(SPLITS["owner"].values(), ())) == sorted(iam_archive.SETS)


def same_lines(a: dict[str, list[StrokeLine]], b: dict[str, list[StrokeLine]]) -> bool:
    return all(
        x.id == y.id and x.text == y.text and np.array_equal(x.strokes, y.strokes)
        for name in a
        for x, y in zip(a[name], b[name], strict=True)
    )


@pytest.mark.parametrize("kind", ["tar.gz", "tgz", "tar.xz", "zip"])
def test_reads_archives_as_the_tree_they_were_made_of(tree, kind):
    expected, _ = read(tree)
    for stem in ("lineStrokes", "ascii"):
        archive = tree / f"{stem}-all.{kind}"
        if kind == "zip":
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
                for path in sorted((tree / stem).rglob("*.*")):
                    packed.write(path, path.relative_to(tree))
        else:
            with tarfile.open(archive, "w:xz" if kind.endswith("xz") else "w:gz") as packed:
                packed.add(tree / stem, stem)
        shutil.rmtree(tree / stem)
    parts, _ = read(tree)
    assert same_lines(expected, parts)


def test_pieces_one_folder_deeper_are_found(tree, tmp_path):
    expected, _ = read(tree)
    (tree / "task1").mkdir()
    for name in SETS:
        (tree / f"{name}.txt").rename(tree / "task1" / f"{name}.txt")
    assert same_lines(expected, read(tree)[0])


def test_the_key_follows_the_files_and_the_settings(tree, tmp_path):
    key = iam_key(tree)
    assert json.loads(json.dumps(key)) == key
    assert iam_key(tree) == key != iam_key(tree, drop_suspect=True)
    copy = shutil.copytree(tree, tmp_path / "elsewhere")
    assert iam_key(copy) == key
    # A text corrected letter for letter keeps its size.
    transcript = next(tree.rglob("a01-001w.txt"))
    transcript.write_text(transcript.read_text().replace("more", "mare"))
    changed = iam_key(tree)
    assert changed != key
    line_file(tree).write_text(xml(usual(77)[:1]))
    assert iam_key(tree) not in (key, changed)


def test_lines_with_generated_words_are_added_to_the_training_lines_alone(tree, tmp_path):
    def texts(**settings) -> dict[str, list[str]]:
        data = IamData(source=tree, cache_dir=tmp_path, batch_size=2, **settings)
        data.prepare()
        data.open()
        units.append(data.normalisation)
        return {part: [data.store.texts[i] for i in data.store.indices(part)] for part in ("train", "val")}

    units: list[Normalisation] = []
    plain, grafted, generated = texts(), texts(grafts=3), texts(generated=4)
    assert units[0] == units[1] == units[2]  # a density is a number in units
    assert grafted["val"] == generated["val"] == plain["val"]
    assert grafted["train"][: len(plain["train"])] == plain["train"]
    added = grafted["train"][len(plain["train"]) :]
    assert len(added) == 3
    assert all(any(t.startswith(f"{p} ") or t.endswith(f" {p}") for p in plain["train"]) for t in added)
    assert len(generated["train"]) == len(plain["train"]) + 4
    european = texts(generated=40, characters="european")
    assert set("".join(european["train"])) & set(LETTERS)
    assert european["val"] == plain["val"]
    words = texts(grafts=100, characters="european")
    assert {"€", "§", "ð"} <= set("".join(words["train"]))
    recombined = texts(recombined=5)
    assert recombined["train"][: len(plain["train"])] == plain["train"]
    accented = texts(accents=5)
    assert accented["train"][: len(plain["train"])] == plain["train"]
    with pytest.raises(UserError, match=r"data\.characters=european: .* data\.grafts=2500"):
        texts(characters="european")


def test_suspect_lines_are_dropped_on_request(tree):
    parts, report = read(tree, drop_suspect=True)
    assert "a01-000u-02" not in {line.id for line in parts["trainset"]}
    assert reasons(report) == {"a01-000u-02": "suspect: others found the text wrong"}


def test_small_files_of_others_are_optional(tree):
    (tree / "form_writer.json").unlink()
    (tree / "suspect_lines.txt").unlink()
    parts, _ = read(tree, drop_suspect=True)
    assert sum(map(len, parts.values())) == 9


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    "<WhiteboardCaptureSession>&b;</WhiteboardCaptureSession>"
)
BROKEN = {
    "truncated": (xml(usual())[:400], "not well-formed XML"),
    "empty": ("", "not well-formed XML"),
    "not xml": ("x y\n1 2\n", "not well-formed XML"),
    "entities": (BOMB, "document type"),
    "other root": ("<html></html>", "root is <html>"),
    "stray point": (HEAD + '<Point x="1" y="2" time="3"/>' + TAIL, "outside a <Stroke>"),
    "encoding": (xml(usual()).replace("ISO-8859-1", "no-such-code"), "unknown encoding"),
    "no strokes": (xml([]), "no strokes"),
    "empty strokes": (xml([[], []]), "no strokes"),
    "one point": (xml([[(5, 5, 0)]]), "a single point"),
    "no numbers": (xml([[("a", "b", "c"), ("NaN", 3, 0.1)]]), "no strokes"),
    "deep": (HEAD + "<Stroke>" * 100_000, "not well-formed XML"),
    "deep and whole": (HEAD + "<a>" * 50_000 + "</a>" * 50_000 + TAIL, "no strokes"),
    "long numbers": (xml([[("9" * 5000, 5, 0), ("1", "-" + "9" * 5000, 0.1)]]), "no strokes"),
    "off the board": (xml([[(10**9, 5, 0), ("inf", 5, 0.1), ("1e999", 5, 0.2)]]), "no strokes"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_one_broken_file_is_reported_and_the_rest_is_read(tree, kind):
    content, reason = BROKEN[kind]
    line_file(tree).write_text(content)
    parts, report = read(tree)
    assert sum(map(len, parts.values())) == 8
    assert list(reasons(report)) == ["a01-000u-01"]
    assert reason in reasons(report)["a01-000u-01"]
    assert "1 dropped" in report.table() or "1 files unreadable" in report.table()
    assert "a01-000u-01" not in report.table()  # by reason there, by name in the listing
    assert f"{reasons(report)['a01-000u-01']}\n" in report.listing()
    assert "a01-000u-01" in report.listing()


@pytest.mark.filterwarnings("error")
def test_clocks_of_strangers(tree):
    """Where a gap is filled in, the clock says with how many points: it cannot say a million."""
    gap = [(500, 500, "0"), (510, 500, "1e-12"), (520, 500, "2e-12"), (900, 500, "0.1"), (910, 500, "0.1")]
    odd = [(500, 500, "1e308"), (510, 500, "-1e308"), (520, 500, "nan"), (530, 500, "1e999"), (540, 500, "")]
    line_file(tree).write_text(xml([gap, odd]))
    parts, report = read(tree)
    assert len(parts["trainset"][0].strokes) < 50
    assert report.repairs["gaps in a stroke filled in"] == 1


def test_names_of_strangers(tree):
    """Numbers that Python does not read, bytes that are no text, ends of lines."""
    archive = tree / "lineStrokes-all.tar.gz"
    good = "lineStrokes/a01/a01-000/a01-000u-01.xml"
    odd = [f"a01-000u-{'1' * 5000}.xml", "a01-000u-\u0664.xml", "a01-000u-01\udcff.xml", "a\nb-01.xml"]
    pack(archive, [(name, xml(usual()).encode()) for name in [good, good, *odd]])
    shutil.rmtree(tree / "lineStrokes")
    parts, report = read(tree)
    assert [line.id for line in parts["trainset"]] == ["a01-000u-01"]
    assert sum("a01-000u" in row.name for row in report.rows) >= 4
    report.listing().encode()
    assert report.count("unreadable") >= 4


def test_a_second_transcript_of_a_form_is_counted(tree):
    (tree / "ascii" / "z").mkdir()
    (tree / "ascii" / "z" / "a01-001w.txt").write_text("CSR:\n\nother\n")
    parts, report = read(tree)
    assert parts["trainset"][3].text == "One more line"
    assert reasons(report) == {"a01-001w": "a second file for this form; the first one is used"}


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", '{"a": {}}', '{"a": null}', "1", "", "9" * 5000])
def test_writers_that_are_none(tree, content):
    (tree / "form_writer.json").write_text(content)
    with pytest.raises(UserError, match=r"form_writer\.json is no JSON object form → writer .*: fix or"):
        read(tree)


@pytest.mark.parametrize("kind", ["pipe", "folder", "nowhere"])
@pytest.mark.parametrize("name", ["lineStrokes-all.tar.gz", "trainset.txt"])
def test_pieces_that_are_no_files(tree, kind, name):
    for path in (tree / "lineStrokes", tree / "trainset.txt"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    make = {"pipe": os.mkfifo, "folder": Path.mkdir, "nowhere": lambda p: p.symlink_to("nowhere")}[kind]
    make(tree / name)
    with pytest.raises(UserError, match=r"lacks lineStrokes-all\.tar\.gz .*, trainset\.txt"):
        read(tree)


def test_missing_attributes_are_unreadable_points(tree):
    good = '<Point x="1" y="2" time="3"/><Point x="9" y="2" time="3.1"/>'
    line_file(tree).write_text(HEAD + f'<Stroke>{good}<Point y="2"/><Point x="10" y="3"/></Stroke>' + TAIL)
    parts, report = read(tree)
    assert parts["trainset"][0].strokes.tolist() == [[0, 0, 0], [8, 0, 0], [1, 1, 1]]
    assert report.repairs["unreadable points removed"] == 1


def test_huge_files_are_refused_by_their_size(tree, monkeypatch):
    monkeypatch.setattr(iam_archive, "SIZE_LIMIT", 10_000)
    line_file(tree).write_bytes(b" " * 20_000)
    _, report = read(tree)
    assert "20,000 bytes, more than" in reasons(report)["a01-000u-01"]
    for kind in ("tar.gz", "zip"):
        archive = tree / f"lineStrokes-all.{kind}"
        pack(archive, [("lineStrokes/a01-000u-01.xml", b" " * 20_000), ("lineStrokes/a01-001w-01.xml", b"")])
        found = list(iam_archive.read_files(archive, ".xml"))
        assert [type(f).__name__ for f in found] == ["Unreadable", "SourceFile"]


def pack(archive: Path, files: list[tuple[str, bytes]]) -> None:
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive, "w") as packed:
            for name, content in files:
                packed.writestr(name, content)
        return
    with tarfile.open(archive, "w:gz") as packed:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
@pytest.mark.parametrize(
    "name", ["../evil-01.xml", "/etc/evil-01.xml", "a/../../evil-01.xml", "C:\\evil-01.xml"]
)
def test_archives_with_escaping_paths_are_refused(tree, kind, name):
    shutil.rmtree(tree / "lineStrokes")
    pack(tree / f"lineStrokes-all.{kind}", [(name, xml(usual()).encode())])
    with pytest.raises(UserError, match="do not trust this archive"):
        read(tree)


def test_links_in_archives_and_out_of_trees_are_not_followed(tree):
    target = tree.parent / "secret.xml"
    target.write_text(xml(usual()))
    line_file(tree).unlink()
    (tree / "lineStrokes" / "a01" / "a01-000" / "a01-000u-01.xml").symlink_to(target)
    _, report = read(tree)
    assert reasons(report) == {"a01-000u-01": "is a link that leaves the folder"}
    with tarfile.open(tree / "lineStrokes-all.tar.gz", "w:gz") as packed:
        link = tarfile.TarInfo("lineStrokes/a01-000u-01.xml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(link)
    found = list(iam_archive.read_files(tree / "lineStrokes-all.tar.gz", ".xml"))
    assert found == [("lineStrokes/a01-000u-01.xml", "is a link or device, not a regular file")]


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_archive_cut_short_keeps_what_was_read_or_says_so(tree, kind):
    noise = np.random.default_rng(0)
    files = [
        (
            f"lineStrokes/a01-000u-{i:02d}.xml",
            xml(usual(i)).encode() + b"<!--" + noise.bytes(4000).hex().encode() + b"-->",
        )
        for i in (1, 2, 3)
    ]
    archive = tree / f"lineStrokes-all.{kind}"
    pack(archive, files)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size * 6 // 10])
    shutil.rmtree(tree / "lineStrokes")
    if kind == "zip":  # its directory was at the end, so nothing is left
        with pytest.raises(UserError, match=r"no usable line.*cut short"):
            read(tree)
    else:
        parts, report = read(tree)
        assert len(parts["trainset"]) in (1, 2)
        assert any("cut short" in row.reason for row in report.rows)


def test_no_archive_at_all_behind_the_name(tree):
    shutil.rmtree(tree / "lineStrokes")
    (tree / "lineStrokes-all.tar.gz").write_bytes(b"<html>please register</html>")
    with pytest.raises(UserError, match="no usable line of handwriting"):
        read(tree)


@pytest.mark.parametrize("missing", ["trainset.txt", "testset_f.txt", "ascii", "lineStrokes"])
def test_missing_pieces_are_named(tree, missing):
    path = tree / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError, match=f"lacks .*{missing.split('.')[0]}") as error:
        read(tree)
    assert "\n" not in str(error.value)


def test_misplaced_pieces_are_pointed_at(tree):
    with pytest.raises(UserError, match=r"looks like it: give the folder that holds all pieces"):
        read(tree / "lineStrokes")
    with pytest.raises(UserError, match="does not exist"):
        read(tree / "nowhere")
    with pytest.raises(UserError, match="is a file, not a folder"):
        read(tree / "trainset.txt")


def test_form_in_two_sets_is_a_mistake(tree):
    (tree / "testset_v.txt").write_text("c03-020\na01-000u\n")
    with pytest.raises(UserError, match=r"a01-000u, which is in trainset\.txt as well"):
        read(tree)


def test_texts_that_do_not_fit_drop_the_form(tree):
    path = next(tree.rglob("a01-000u.txt"))
    path.write_text("CSR:\n\nPlease enter here\n")  # one text for three lines
    parts, report = read(tree)
    assert [line.id for line in parts["trainset"]] == ["a01-001w-01"]
    assert set(reasons(report).values()) == {"its form has 1 texts for 3 lines"}
    path.write_text("no marker")
    _, report = read(tree)
    assert reasons(report)["a01-000u-02"] == "its form has no readable transcript"
    assert reasons(report)["a01-000u"] == "no line 'CSR:'"


def test_names_outside_the_rules_are_reported(tree):
    folder = line_file(tree).parent
    (folder / "notes.xml").write_text(xml(usual()))
    (folder / "a01-000u-01b.xml").write_text(xml(usual()))
    (folder.parent / "a01-000u-01.xml").write_text(xml(usual()))
    (folder / "z99-000-01.xml").write_text(xml(usual()))
    (next(tree.rglob("a01-000u.txt")).parent / "z99-000.txt").write_text("CSR:\n\nin no set\n")
    parts, report = read(tree)
    assert sum(map(len, parts.values())) == 9
    assert reasons(report) == {
        "notes": "its name is not FORM-NUMBER.xml",
        "a01-000u-01b": "its name is not FORM-NUMBER.xml",
        "a01-000u-01": "a second file for this line; the first one is used",
        "z99-000-01": "its form is in no split file",
    }


def test_many_files_are_parsed_by_processes_with_the_same_result(tree):
    form = "a01-001w"
    folder = line_file(tree, f"{form}-01").parent
    for number in range(1, 271):
        (folder / f"{form}-{number:02d}.xml").write_text(xml(usual(number)))
    text = "CSR:\n\n" + "\n".join(f"line {i}" for i in range(1, 271))
    next(tree.rglob(f"{form}.txt")).write_text(text)
    alone, _ = read(tree)
    together, _ = read_iam(tree, workers=2, progress=False)
    assert len(alone["trainset"]) == 273
    assert same_lines(alone, together)


# ------------------------------------------------------------------------------------------- repairs


def stroke(*readings: tuple[float, float, float]) -> np.ndarray:
    return np.array(readings, dtype=np.float64)


def test_steps_without_explanation_become_pen_lifts():
    pieces, done = repair_strokes([stroke((0, 0, 0), (10, 0, 0.015), (400, -200, 0.03), (410, -200, 0.045))])
    assert [p.tolist() for p in pieces] == [[[0, 0], [10, 0]], [[400, -200], [410, -200]]]
    assert done == {"over-long steps made pen lifts": 1}


def test_gaps_of_the_clock_are_filled_in():
    pieces, done = repair_strokes([stroke((0, 0, 0), (10, 0, 0.015), (250, 120, 0.075), (260, 120, 0.09))])
    assert pieces[0].tolist() == [[0, 0], [10, 0], [70, 30], [130, 60], [190, 90], [250, 120], [260, 120]]
    assert done == {"gaps in a stroke filled in": 1, "points filled in": 3}


def test_long_absences_are_pen_lifts_and_fast_writing_stays():
    pieces, _ = repair_strokes([stroke((0, 0, 0), (10, 0, 0.015), (300, 0, 0.6), (310, 0, 0.615))])
    assert len(pieces) == 2
    fast = stroke((0, 0, 0), (150, 0, 0.015), (300, 50, 0.03), (310, 60, 0.045))
    pieces, done = repair_strokes([fast])
    assert np.array_equal(pieces[0], fast[:, :2])
    assert not done


def test_clock_and_duplicates():
    pieces, done = repair_strokes(
        [
            stroke((0, 0, 5), (1, 0, 5.01), (1, 0, 5.01), (2, 0, 4.0), (2, 0, 4.01), (3, 0, 4.02)),
            np.zeros((0, 3)),
        ]
    )
    # The order of the file stays; a pen at rest (second (2, 0)) is no duplicate.
    assert pieces[0][:, 0].tolist() == [0, 1, 2, 2, 3]
    assert done == {
        "points recorded twice removed": 1,
        "clock steps backwards disregarded": 1,
        "empty strokes removed": 1,
    }


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Mr . Gaitskell , he", "Mr. Gaitskell, he"),
        ("( no ) !", "(no)!"),
        ("twice  as   wide", "twice as wide"),
        ("wait ... and . . . see", "wait ... and . . . see"),
        ('" Hello , " he', '" Hello, " he'),
        ("#", "#"),
    ],
)
def test_spaces_of_transcripts(typed, meant):
    assert repair_text(typed) == meant
