"""The record's tables are those of its files, and a row is filled from what train and evaluate wrote."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"
spec = importlib.util.spec_from_file_location("record", DOCS / "record.py")
assert spec is not None
assert spec.loader is not None
record = importlib.util.module_from_spec(spec)
spec.loader.exec_module(record)

ROW = """\
row: tiny
paper: 1.32 / 1.29
show: '**{test/bpc:.2f}** / {dynamic/test/bpc:.2f}'
figures: null
command: experiment=tiny
config: tiny
seed: null
hardware: null
time: null
curve: null
"""
LOG = """\
epoch,step,train/bpc,val/bpc
0,9,5.0,
0,9,,4.5
0,19,4.0,
0,19,,3.5
0,19,,3.0
"""


def test_the_committed_tables_are_those_of_the_committed_rows():
    page = (DOCS / "reproduction.md").read_text(encoding="utf-8")
    folders = {path.name for path in (DOCS / "record").iterdir()}
    assert {match[2] for match in record.TABLE.finditer(page)} == folders
    assert record.with_tables(page, DOCS / "record") == page, "run python docs/record.py"
    for path in (DOCS / "record").glob("*/*.yaml"):
        row = record.read_row(path)
        assert (DOCS.parent / "conf" / "experiment" / f"{row['config']}.yaml").is_file(), path
        if row["curve"]:
            assert (DOCS / row["curve"]).is_file(), path


@pytest.fixture
def docs(tmp_path):
    """A record of one row, and what its commands wrote."""
    (tmp_path / "docs" / "record" / "small").mkdir(parents=True)
    (tmp_path / "docs" / "record" / "small" / "1-tiny.yaml").write_text(ROW)
    run, static, dynamic = (tmp_path / name for name in ("run", "static", "dynamic"))
    (run / "csv").mkdir(parents=True)
    (run / "csv" / "metrics.csv").write_text(LOG)
    (run / "config.yaml").write_text("monitor: val/bpc\n")
    (run / "metrics.json").write_text(json.dumps({"val/bpc": 3.0, "seed": 7, "checkpoint": "x"}))
    for folder, figure, rule in ((static, 1.234, None), (dynamic, 1.111, {"rule": {}})):
        folder.mkdir()
        (folder / "metrics.json").write_text(json.dumps({"test/bpc": figure, "ckpt": "x", "dynamic": rule}))
    return tmp_path / "docs"


def test_a_row_is_filled_and_shown(docs):
    row, root = docs / "record" / "small" / "1-tiny.yaml", docs.parent
    page = "before\n<!-- BEGIN table small -->\nold\n<!-- END table small -->\nafter\n"
    empty = record.with_tables(page, docs / "record")
    assert "| tiny | 1.32 / 1.29 | not run yet | `experiment=tiny` | `tiny` | | | | |\n" in empty
    (root / "run" / "csv" / "metrics.csv").unlink()  # a run without curves
    record.fill(row, root / "run", [root / "static", root / "dynamic"], docs, hardware="a pen", time=None)
    shown = record.with_tables(empty, docs / "record").splitlines()
    assert shown[4] == "| tiny | 1.32 / 1.29 | **1.23** / 1.11 | `experiment=tiny` | `tiny` | 7 | a pen | | |"
    assert (shown[0], shown[-1], len(shown)) == ("before", "after", 7)
    assert record.read_row(row)["figures"] == {"val/bpc": 3.0, "test/bpc": 1.234, "dynamic/test/bpc": 1.111}


def test_a_row_that_was_not_trained_keeps_its_seed(docs):
    row = docs / "record" / "small" / "1-tiny.yaml"
    row.write_text(ROW.replace("seed: null", "seed: 3"))
    record.fill(row, docs.parent / "static", [], docs)
    assert record.read_row(row)["figures"] == {"test/bpc": 1.234}
    assert (record.read_row(row)["seed"], record.read_row(row)["curve"]) == (3, None)


def test_negative_figures_have_a_minus_sign():
    row = {"row": "a", "paper": 1, "command": "c", "config": "d", "show": "{x:.1f}", "figures": {"x": -2.0}}
    assert record.cells(row)[2] == "−2.0"


def test_the_curve_is_of_the_last_values_logged(docs):
    assert record.points_of(docs.parent / "run" / "csv" / "metrics.csv", "val/bpc") == ([9, 19], [4.5, 3.0])
    pytest.importorskip("matplotlib")
    row = docs / "record" / "small" / "1-tiny.yaml"
    record.fill(row, docs.parent / "run", [], docs)
    picture = docs / record.read_row(row)["curve"]
    assert Image.open(picture).size == (660, 385)


def test_a_run_that_is_not_there_is_refused(tmp_path):
    command = [sys.executable, str(DOCS / "record.py"), str(DOCS / "record.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"record: {tmp_path / 'metrics.json'}: no such file; has the command finished?\n"
