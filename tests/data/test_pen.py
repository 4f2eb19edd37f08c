"""The corpora of handwriting: prepared once, normalised by the training lines, figures that are true."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graves_lm.data.cache_folder import StoredArray
from graves_lm.data.hershey.corpus import HersheyData
from graves_lm.data.hershey.lines import HersheyLines
from graves_lm.data.iam import corpus as pen_iam
from graves_lm.data.iam.corpus import IamData
from graves_lm.data.iam.reading import read_iam
from graves_lm.data.ink import corpus as pen_ink
from graves_lm.data.ink.corpus import InkData
from graves_lm.data.ink.reading import read_ink
from graves_lm.data.pen import PenCorpus, repeats
from graves_lm.data.strokes import Normalisation, StrokeLine
from graves_lm.learning.data_module import CorpusDataModule
from graves_lm.runtime.errors import UserError
from tests.data.lines import make_line, write_ink
from tests.data.test_iam import BROKEN, line_file, write_tree

HERSHEY = {"lines": 14, "writers": 4, "eval_lines": 5, "line_characters": (2, 4), "seed": 3}
KINDS = ("hershey", "iam", "ink")


def some_ink(path: Path, count: int = 20) -> Path:
    return write_ink(path, [make_line(f"note-{i}", 10 + 3 * i, "ab") for i in range(count)])


def make(kind: str, folder: Path, **settings: Any) -> PenCorpus:
    """A small corpus of each kind; `folder` holds its source and its cache."""
    settings = {"cache_dir": folder / "cache"} | settings
    if kind == "hershey":
        return HersheyData(**HERSHEY | settings)
    if kind == "iam":
        source = folder / "iam"
        return IamData(source=source if source.exists() else write_tree(source), **settings)
    source = folder / "ink.json"
    return InkData(source=source if source.exists() else some_ink(source), **settings)


def ready(data: PenCorpus) -> PenCorpus:
    data.prepare()
    data.open()
    return data


def refuse(data: PenCorpus) -> str:
    """The one line with which preparing is refused, after which no cache is left, whole or partial."""
    with pytest.raises(UserError) as caught:
        data.prepare()
    if data.cache_dir.exists():
        assert [p for p in data.cache_dir.iterdir() if p.suffix != ".lock"] == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


def lines_of(data: PenCorpus, split: str) -> list[StrokeLine]:
    return [data.store[int(i)] for i in data.store.indices(split)]


def equal(a: StrokeLine, b: StrokeLine) -> bool:
    return (a.id, a.text, a.writer) == (b.id, b.text, b.writer) and np.array_equal(a.strokes, b.strokes)


def expected_lines(kind: str, folder: Path) -> Mapping[str, list[StrokeLine]]:
    """What the source's own reader gives, by split; all under "" where the module chooses."""
    if kind == "hershey":
        sizes = {"train": (14, 4), "val": (5, 1), "test": (5, 1)}
        return {part: HersheyLines(*size, 3, part, (2, 4))[:] for part, size in sizes.items()}
    if kind == "iam":
        sets, _ = read_iam(folder / "iam", workers=1, progress=False)
        return {
            "train": sets["trainset"] + sets["testset_t"] + sets["testset_f"],
            "val": sets["testset_v"],
        }
    return {"": read_ink(folder / "ink.json")[0]}


# --- what is prepared -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_lines_are_those_of_the_source(tmp_path, kind):
    data = ready(make(kind, tmp_path))
    found = {split: lines_of(data, split) for split in data.card["counts"]}
    if kind == "ink":
        found = {"": sorted(found["train"] + found["val"], key=lambda line: int(line.id[5:]))}
    expected = expected_lines(kind, tmp_path)
    assert found.keys() == expected.keys()
    for split, lines in expected.items():
        assert len(found[split]) == len(lines) > 0
        assert all(equal(a, b) for a, b in zip(found[split], lines, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_time_nothing_is_read(tmp_path, monkeypatch, kind):
    first = ready(make(kind, tmp_path))
    for module, name in ((pen_ink, "read_ink"), (pen_iam, "read_iam"), (HersheyLines, "__getitem__")):
        monkeypatch.setattr(module, name, lambda *args, **kwargs: pytest.fail("read again"))
    again = ready(make(kind, tmp_path, batch_size=3, eval_batch_size=2, shuffle_seed=9))
    assert again.cache == first.cache  # none of these changes what is kept
    assert isinstance(again.store.points, StoredArray)
    assert again.card == first.card
    assert again.summary().splitlines()[-1] == first.summary().splitlines()[-1]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("hershey", {"lines": 15}),
        ("hershey", {"writers": 5}),
        ("hershey", {"eval_lines": 6}),
        ("hershey", {"line_characters": (2, 5)}),
        ("hershey", {"seed": 4}),
        ("iam", {"split": "owner"}),
        ("iam", {"drop_suspect": True}),
        ("ink", {"y_axis": "up"}),
        ("ink", {"val_share": 0.2}),
        ("ink", {"seed": 1}),
    ],
)
def test_other_settings_have_another_cache(tmp_path, kind, change):
    assert make(kind, tmp_path, **change).cache != make(kind, tmp_path).cache


@pytest.mark.parametrize("kind", ["iam", "ink"])
def test_another_source_has_another_cache(tmp_path, kind):
    before = make(kind, tmp_path).cache
    if kind == "iam":
        line_file(tmp_path / "iam").unlink()
    else:
        some_ink(tmp_path / "ink.json", 21)
    assert make(kind, tmp_path).cache != before


def test_texts_beside_ink_files_belong_to_the_source(tmp_path):
    some_ink(tmp_path / "ink.json")
    before = make("ink", tmp_path).cache
    (tmp_path / "ink.txt").write_text("a text\n" * 20)
    data = ready(make("ink", tmp_path))
    assert data.cache != before
    assert set(data.store.texts) == {"a text"}


def test_a_failure_while_building_leaves_no_cache(tmp_path, monkeypatch):
    data = make("ink", tmp_path)
    monkeypatch.setattr(Normalisation, "fit", lambda lines: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(UserError, match=r"no cache can be written .disk full"):
        data.prepare()
    assert [p for p in data.cache_dir.iterdir() if p.suffix != ".lock"] == []


@pytest.mark.parametrize("workers", [1, 3])
def test_many_generated_lines_are_the_same_whoever_makes_them(tmp_path, monkeypatch, workers):
    """Chunks of 50 lines go to processes when there are enough of them; here one line makes a chunk."""
    monkeypatch.setattr("graves_lm.data.hershey.corpus._CHUNK", 2)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(workers), raising=False)
    pools = []

    class Pool:
        def __init__(self, count, context):
            pools.append(count)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        map = staticmethod(map)

    monkeypatch.setattr("graves_lm.data.workers.ProcessPoolExecutor", Pool)
    data = ready(make("hershey", tmp_path))
    assert pools == ([3] if workers == 3 else [])
    for split, lines in expected_lines("hershey", tmp_path).items():
        assert all(equal(a, b) for a, b in zip(lines_of(data, split), lines, strict=True))


UNGUARDED = """
import os, sys
import graves_lm.data.hershey.corpus as pen
pen._CHUNK = 2
os.sched_getaffinity = lambda pid: range(2)
pen.HersheyData(lines=14, writers=4, eval_lines=5, seed=3, cache_dir=sys.argv[1]).prepare()
"""


def test_a_script_that_its_workers_run_again_ends_and_says_why(tmp_path):
    """Each process begins by importing the script, which asks for the data; nobody may wait for the other."""
    script, cache = tmp_path / "script.py", tmp_path / "cache"
    script.write_text(UNGUARDED)
    run = subprocess.run(
        [sys.executable, str(script), str(cache)], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 1
    assert "UserError: a process that reads the data ended early" in run.stderr.splitlines()[-1]
    assert '`if __name__ == "__main__":`' in run.stderr.splitlines()[-1]
    assert [p for p in cache.iterdir() if p.suffix != ".lock"] == []


# --- splits ---------------------------------------------------------------------------------------


def test_the_papers_and_the_owners_split(tmp_path):
    paper, owner = (ready(make("iam", tmp_path, split=split)) for split in ("paper", "owner"))
    names = {
        data.split: {split: [line.id for line in lines_of(data, split)] for split in data.card["counts"]}
        for data in (paper, owner)
    }
    trainset = ["a01-000u-01", "a01-000u-02", "a01-000u-03", "a01-001w-01"]
    v, t, f = ["c03-020-01", "c03-020-02"], ["b02-010z-01", "b02-010z-02"], ["d04-030-01"]
    assert names["paper"] == {"train": trainset + t + f, "val": v}
    assert names["owner"] == {"train": trainset, "val": v, "val_t": t, "test": f}
    assert owner.training_sequences == 4
    dropped = ready(make("iam", tmp_path, drop_suspect=True))
    assert "a01-000u-02" not in dropped.store.ids
    assert len(dropped.store) == len(paper.store) - 1


def test_generated_splits_have_other_writers_and_texts(tmp_path):
    data = ready(make("hershey", tmp_path))
    writers = {split: {line.writer for line in lines_of(data, split)} for split in ("train", "val", "test")}
    assert [len(w) for w in writers.values()] == [4, 1, 1]
    assert len(set().union(*writers.values())) == 6


@pytest.mark.parametrize(
    ("count", "share", "held_out"), [(20, 0.1, 2), (20, 0.25, 5), (2, 0.1, 1), (2, 0.9, 1)]
)
def test_a_share_of_the_ink_validates(tmp_path, count, share, held_out):
    some_ink(tmp_path / "ink.json", count)
    data = ready(make("ink", tmp_path, val_share=share))
    names = {split: {line.id for line in lines_of(data, split)} for split in ("train", "val")}
    assert len(names["val"]) == held_out
    assert len(names["train"] | names["val"]) == count
    if count == 20:
        other = ready(make("ink", tmp_path, val_share=share, seed=5))
        assert {line.id for line in lines_of(other, "val")} != names["val"]


# --- what is learned from -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_training_offsets_have_mean_0_and_deviation_1(tmp_path, kind):
    """Over the unpadded points that are predicted; the other splits are in the same units."""
    data = ready(make(kind, tmp_path, batch_size=3))
    points = np.concatenate(
        [batch.point_TB3[1:][batch.scored_TB].numpy() for batch in data.training_batches()]
    ).astype(np.float64)
    assert len(points) == data.card["points"]["train"]
    np.testing.assert_allclose(points[:, :2].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(points[:, :2].std(0), 1, atol=1e-6)
    assert set(np.unique(points[:, 2])) <= {0, 1}
    index = data.store.indices("val")[:1]
    offsets = data.store.strokes(int(index[0]))[1:, :2].astype(np.float64)
    expected = (offsets - data.normalisation.mean) / data.normalisation.std
    found = data.evaluation_batches("val").batch(index).point_TB3[1:, 0, :2]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loaders_have_the_lines_of_their_split(tmp_path, kind):
    data = ready(make(kind, tmp_path, batch_size=3, eval_batch_size=2))
    for loader, split, size in (
        (data.training_batches(), "train", 3),
        (data.evaluation_batches("val"), "val", 2),
        (data.evaluation_batches("val"), "val", 2),
    ):
        plan = loader.plan(0)
        assert sorted(int(i) for batch in plan for i in batch) == data.store.indices(split).tolist()
        assert max(map(len, plan)) <= size
    assert data.training_sequences == data.card["counts"]["train"]


def test_the_debugging_trainer_gets_the_same_batch_again(tmp_path):
    data = ready(make("ink", tmp_path, batch_size=4))
    module = CorpusDataModule(data)
    module.trainer = SimpleNamespace(overfit_batches=1, global_rank=0, world_size=1)  # type: ignore[assignment]
    loader = module.train_dataloader()
    first, second = (next(iter(loader)) for _ in range(2))
    assert np.array_equal(first.point_TB3, second.point_TB3)
    module.trainer.overfit_batches = 0.0  # type: ignore[union-attr]
    loader = module.train_dataloader()
    first, second = (next(iter(loader)) for _ in range(2))
    assert not np.array_equal(first.point_TB3, second.point_TB3)


def test_processes_of_a_trainer_share_the_lines(tmp_path):
    data = ready(make("ink", tmp_path, batch_size=2))
    seen = []
    for rank in range(3):
        module = CorpusDataModule(data)
        module.trainer = SimpleNamespace(overfit_batches=0.0, global_rank=rank, world_size=3)  # type: ignore[assignment]
        seen += [int(i) for batch in module.train_dataloader().plan(0) for i in batch]
    assert sorted(seen) == data.store.indices("train").tolist()


def test_the_example_is_of_median_length_and_always_the_same(tmp_path):
    data = ready(make("ink", tmp_path))
    lengths = sorted(len(line.strokes) for line in lines_of(data, "train"))
    example = data.example("train")
    assert len(example.strokes) == lengths[len(lengths) // 2]
    assert equal(example, ready(make("ink", tmp_path, shuffle_seed=8)).example("train"))
    assert data.example().id in {line.id for line in lines_of(data, "val")}


def test_read_as_uses_the_units_of_a_checkpoint(tmp_path):
    data = ready(make("ink", tmp_path))
    own, learned = data.normalisation, Normalisation((1.0, 2.0), (3.0, 4.0))
    assert data.facts()["normalisation"] == own
    data.read_as({"normalisation": learned})
    assert data.normalisation == data.facts()["normalisation"] == learned
    batch = next(iter(data.evaluation_batches("val")))
    line = data.store[int(data.evaluation_batches("val").plan(0)[0][0])]
    assert np.array_equal(batch.point_TB3[1:, 0], learned.apply(line.strokes)[1:])
    assert batch.symbol_BU.shape[1] == 0  # a network that takes no texts is given none


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_figures_of_the_summary_are_true(tmp_path, kind):
    data = ready(make(kind, tmp_path, batch_size=3))
    lines = {split: lines_of(data, split) for split in data.card["counts"]}
    text = data.summary()
    for split, some in lines.items():
        offsets = sum(len(line.strokes) - 1 for line in some)
        assert f"{split:>6} {len(some):>8,} lines {offsets:>11,} offsets" in text
    every = [line for some in lines.values() for line in some]
    lengths = [len(line.strokes) for line in every]
    mean = f"{np.mean(lengths):.0f} on average, {min(lengths)} to {max(lengths)}"
    assert f"points of a line: {mean}" in text
    moves = np.concatenate([line.strokes[1:, :2] for line in lines["train"]]).astype(np.float64)
    (mean_x, mean_y), (std_x, std_y) = moves.mean(0), moves.std(0)
    assert f"mean ({mean_x:.2f}, {mean_y:.2f}), std ({std_x:.2f}, {std_y:.2f})" in text
    batches = list(data.training_batches())
    padding = 1 - sum(b.size for b in batches) / sum(b.scored_TB.numel() for b in batches)
    assert f"padding: {padding:.1%} of the computed steps, in batches of 3 lines" in text
    characters = sorted(set("".join(line.text for line in every)))
    assert f"{len(characters)} characters: {''.join(characters)}\n" in text
    assert text.endswith(f"cache: {data.cache}")


def test_the_report_of_the_database_is_kept_and_shown(tmp_path):
    write_tree(tmp_path / "iam")
    line_file(tmp_path / "iam").write_text(BROKEN["truncated"][0])
    data = ready(make("iam", tmp_path))
    kept = (data.cache / "report.txt").read_text()
    assert "a01-000u-01" in kept.split("every line or file that was touched")[1]
    text = data.summary()
    assert text.startswith("8 lines read, 8 kept")
    assert f"every line that was touched, by name: {data.cache / 'report.txt'}" in text
    assert "a01-000u-01" not in text
    assert kept.startswith(text.split("\nevery line")[0])


def test_ink_that_was_left_out_is_counted_and_named(tmp_path):
    (tmp_path / "notes").mkdir()
    some_ink(tmp_path / "notes" / "good.json", 5)
    for number in range(12):
        (tmp_path / "notes" / f"bad-{number:02d}.json").write_text("{")
    data = ready(InkData(source=tmp_path / "notes", cache_dir=tmp_path / "cache"))
    text = data.summary()
    assert text.startswith("5 lines read, 12 files or lines left out; each by name in ")
    assert text.count("not JSON") == 10  # the first ten; all are in the file
    kept = (data.cache / "report.txt").read_text().splitlines()
    assert [Path(row.split(": ")[0]).name for row in kept] == [f"bad-{n:02d}.json" for n in range(12)]
    assert str(data.cache / "report.txt") in text


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "settings", "expected"),
    [
        (HersheyData, HERSHEY | {"lines": 0}, "data.lines=0: a whole number, at least 1"),
        (HersheyData, HERSHEY | {"writers": 1.5}, "data.writers=1.5: a whole number"),
        (HersheyData, HERSHEY | {"eval_lines": "many"}, "data.eval_lines=many: a whole number"),
        (HersheyData, HERSHEY | {"seed": -1}, "data.seed=-1: a whole number, at least 0"),
        (HersheyData, HERSHEY | {"source": "x"}, "data=hershey is generated and takes no data.source"),
        (HersheyData, HERSHEY | {"batch_size": 0}, "data.batch_size=0: a whole number from 1"),
        (HersheyData, HERSHEY | {"eval_batch_size": "x"}, "data.eval_batch_size=x: a whole number"),
        (HersheyData, HERSHEY | {"shuffle_seed": -1}, "data.shuffle_seed=-1: a whole number, at least 0"),
        (IamData, {}, "data=iam needs data.source=DIR"),
        (
            IamData,
            {"source": "x", "split": "papers"},
            "data.split=papers: one of paper, owner is needed; did you mean 'paper'?",
        ),
        (InkData, {}, "data=ink needs data.source=PATH"),
        (InkData, {"source": "x", "y_axis": "left"}, "data.y_axis=left: one of up, down or null"),
        (InkData, {"source": "x", "val_share": 1}, "data.val_share=1: a number above 0 and below 1"),
        (InkData, {"source": "x", "val_share": 0.0}, "data.val_share=0.0: a number above 0 and below 1"),
        (InkData, {"source": "x", "val_share": "a"}, "data.val_share=a: a number above 0 and below 1"),
        (InkData, {"source": "x", "seed": "a"}, "data.seed=a: a whole number, at least 0"),
    ],
)
def test_impossible_settings_are_named(build, settings, expected):
    with pytest.raises(UserError) as caught:
        build(**settings)
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


def test_sources_that_are_not_there(tmp_path):
    cache = tmp_path / "cache"
    assert "x does not exist" in refuse(IamData(source=tmp_path / "x", cache_dir=cache))
    assert "x does not exist" in refuse(InkData(source=tmp_path / "x", cache_dir=cache))
    (tmp_path / "empty").mkdir()
    assert "lacks lineStrokes" in refuse(IamData(source=tmp_path / "empty", cache_dir=cache))
    assert "no file *.inkml" in refuse(InkData(source=tmp_path / "empty", cache_dir=cache))


def test_one_line_cannot_train_and_validate(tmp_path):
    some_ink(tmp_path / "ink.json", 1)
    assert "has one line of handwriting and two are the least" in refuse(make("ink", tmp_path))


def test_a_database_without_a_usable_line(tmp_path):
    tree = write_tree(tmp_path / "iam")
    for path in tree.rglob("*.xml"):
        path.write_text("")
    assert refuse(make("iam", tmp_path)).startswith("no usable line of handwriting in")


def test_a_database_without_a_usable_line_to_validate_on(tmp_path):
    tree = write_tree(tmp_path / "iam")
    for path in tree.rglob("c03-020-*.xml"):
        path.write_text("")
    message = refuse(make("iam", tmp_path))
    assert message == "data=iam: no usable line in the val split; give more lines"


def test_lines_that_never_move_up_or_down(tmp_path):
    flat = [StrokeLine(f"{i}", np.array([[0, 0, 0], [i + 1, 0, 1]], np.float32), "") for i in range(3)]
    write_ink(tmp_path / "ink.json", flat)
    assert "do not vary along the y axis" in refuse(make("ink", tmp_path))


def test_a_split_that_there_is_not(tmp_path):
    data = ready(make("ink", tmp_path))
    with pytest.raises(UserError, match="no part 'test', only train, val"):
        data.evaluation_batches("test")


def test_a_damaged_cache_says_what_to_do(tmp_path):
    data = make("ink", tmp_path)
    data.prepare()
    (data.cache / "points.npy").write_bytes(b"")
    with pytest.raises(UserError, match=r"points\.npy: 0 bytes long, .* delete the folder"):
        data.open()


# --- the licensed data ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database(tmp_path_factory, real_data) -> IamData:
    source = real_data / "iam-ondb"
    if not source.is_dir():
        pytest.skip(f"the IAM On-Line Handwriting Database is not in {source} (set GRAVES_LM_DATA)")
    data = IamData(source=source, cache_dir=tmp_path_factory.mktemp("iam"))
    ready(data)
    return data


@pytest.mark.realdata
@pytest.mark.slow
def test_counts_of_the_database(database):
    """As the data's owner counts them; what was read is in the report, with every line that was dropped."""
    report = (database.cache / "report.txt").read_text()
    table, listing = report.split("every line or file that was touched")
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines() if line[:1].isalpha()}
    read = {name: (cells[0], cells[4]) for name, cells in rows.items() if len(cells) == 6}
    assert read["trainset"] == ("5,364", "3,298,424")
    assert read["testset_v"] == ("1,438", "885,964")
    assert read["testset_t"] == ("1,518", "1,036,803")
    assert read["testset_f"] == ("3,859", "2,425,542")
    assert rows["all"][0::2] == ["12,195", "303,676", "7,656,867"]
    for name in ("trainset", "testset_v", "testset_t", "testset_f"):
        assert rows[name][0] == rows[name][1]  # no line of a set is dropped
    dropped = [row.split() for row in listing.splitlines() if " dropped " in row]
    assert len(dropped) == 16
    assert {row[0] for row in dropped if "1 texts for 8" in " ".join(row)} == {
        f"z01-000z-{i:02d}" for i in range(1, 9)
    }


@pytest.mark.realdata
@pytest.mark.slow
def test_splits_and_normalisation_of_the_database(database):
    assert database.card["counts"] == {"train": 10_741, "val": 1_438}
    assert database.store.points.dtype == np.int16
    np.testing.assert_allclose(database.normalisation.mean, (8.2, 0.1), atol=0.1)
    np.testing.assert_allclose(database.normalisation.std, (42, 37), atol=0.3)
    texts = dict(zip(database.store.ids, database.store.texts, strict=True))
    assert texts["a08-551z-09"] == "pinned."
    assert database.training_batches().padding_share() < 0.05
    owner = IamData(source=database.source, split="owner", cache_dir=database.cache_dir)
    counts = {"train": 5_364, "val": 1_438, "val_t": 1_518, "test": 3_859}
    assert ready(owner).card["counts"] == counts
    np.testing.assert_allclose(owner.normalisation.mean, (8.5, 0.08), atol=0.1)
    np.testing.assert_allclose(owner.normalisation.std, (42.7, 36.5), atol=0.3)


def test_lines_with_rare_characters_are_read_more_often():
    texts = ["ab"] * 90 + ["ab."] * 9 + ["Zab"]
    # Shares of the lines: Z 1 %, the full stop 9 %, all else more than the 36 % that are asked for.
    assert repeats(texts, 0.36).tolist() == [1] * 90 + [2] * 9 + [6]
    assert repeats(["a", "", "b"], 0.0).tolist() == [1, 1, 1]


def test_they_are_so_in_training_alone(tmp_path):
    source = write_ink(
        tmp_path / "ink.json", [make_line(f"n{i}", 12, "ab" if i else "aZ") for i in range(20)]
    )
    plain, more = (
        ready(InkData(source=source, cache_dir=tmp_path / "c", val_share=0.2, batch_size=4, rare_share=share))
        for share in (0.0, 0.5)
    )
    rare = {int(i) for i in plain.store.indices("train") if "Z" in plain.store.texts[i]}
    assert rare
    seen = np.concatenate(more.training_batches().plan(0))
    times = {int(i): int((seen == i).sum()) for i in more.store.indices("train")}
    assert all(times[i] == (3 if i in rare else 1) for i in times)
    assert sorted(np.concatenate(plain.training_batches().plan(0))) == sorted(plain.store.indices("train"))
    assert len(np.concatenate(more.evaluation_batches("val").plan(0))) == len(more.store.indices("val"))
    with pytest.raises(UserError, match=r"data\.rare_share=1\.5: a number of at least 0 and below 1"):
        InkData(source=source, rare_share=1.5)


def test_training_lines_with_some_characters_alone(tmp_path):
    texts = ["ab", "aZ", "b&", "Z&"] * 5
    source = write_ink(tmp_path / "ink.json", [make_line(f"n{i}", 12, t) for i, t in enumerate(texts)])
    given = {"source": source, "cache_dir": tmp_path / "c", "val_share": 0.2, "batch_size": 4}
    data = ready(InkData(**given, only_with="Z?"))
    seen = np.concatenate(data.training_batches().plan(0))
    assert sorted(seen) == [i for i in data.store.indices("train") if "Z" in data.store.texts[i]]
    assert len(np.concatenate(data.evaluation_batches("val").plan(0))) == len(data.store.indices("val"))
    assert ready(InkData(**given)).cache == data.cache  # nothing is prepared anew for it
    with pytest.raises(UserError, match=r"^data\.only_with=\?: no training line has one of these characters"):
        ready(InkData(**given, only_with="?")).training_batches()
