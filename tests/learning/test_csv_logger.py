"""The curves of a run: one file, a row for each step, whatever became of the processes that wrote it."""

import csv

import pytest

from graves_lm.learning.csv_logger import KeepingCSVLogger
from tests.runs import train, write_text


def rows(path):
    return [{k: v for k, v in row.items() if v} for row in csv.DictReader(path.open())]


def test_a_resumed_run_has_each_step_once(tmp_path):
    source = write_text(tmp_path)
    for steps, more in ((2, []), (3, ["resume=last"]), (5, ["resume=last"])):
        train(tmp_path / "run", source, "logger=csv", f"trainer.max_steps={steps}", *more)
    found = rows(tmp_path / "run" / "csv" / "metrics.csv")
    assert [int(row["step"]) for row in found] == [0, 1, 2, 3, 4, 5]
    assert ["train/bpc" in row for row in found] == [True] * 5 + [False]
    assert "val/bpc" in found[5]  # the last validation, of the best weights
    assert [path.name for path in (tmp_path / "run" / "csv").iterdir()] == ["metrics.csv"]


def test_figures_of_one_step_are_one_row(tmp_path):
    logger = KeepingCSVLogger(tmp_path)
    logger.log_metrics({"train/a": 0.5, "epoch": 0}, 0)
    logger.log_metrics({"train/a": 0.25, "epoch": 0}, 1)
    logger.log_metrics({"train/a": 0.25, "epoch": 0}, 1)
    logger.log_metrics({"val/b": float("nan"), "epoch": 0}, 1)
    logger.log_metrics({"val/b": 2.0, "epoch": 0}, 1)
    logger.log_metrics({"train/a": 1, "epoch": 1}, 2)
    assert rows(logger.path) == [
        {"step": "0", "epoch": "0", "train/a": "0.5"},
        {"step": "1", "epoch": "0", "train/a": "0.25", "val/b": "2.0"},
        {"step": "2", "epoch": "1", "train/a": "1.0"},
    ]


@pytest.mark.parametrize("tail", ["", "2,0,0.12", "garbage", "\x00\x00\x00", "1,0,0.5\n"])
def test_what_a_killed_process_left_is_gone_on_with(tmp_path, tail):
    """Rows of steps that come again are taken out, and so is a row that is not whole."""
    path = tmp_path / "csv" / "metrics.csv"
    path.parent.mkdir()
    path.write_text("step,epoch,a,b\n0,0,0.5,\n0,0,,7.0\n1,0,0.25,\n2,0,0.125,\n" + tail)
    logger = KeepingCSVLogger(tmp_path)
    logger.begin(2)
    logger.log_metrics({"a": 4.0, "epoch": 0}, 2)
    found = rows(path)
    assert [row["step"] for row in found] == ["0", "1", "2"]
    assert found[0] == {"step": "0", "epoch": "0", "a": "0.5", "b": "7.0"}
    assert found[2] == {"step": "2", "epoch": "0", "a": "4.0"}


def test_a_file_of_something_else_is_no_obstacle(tmp_path):
    path = tmp_path / "csv" / "metrics.csv"
    path.parent.mkdir()
    path.write_bytes(bytes(range(256)))
    logger = KeepingCSVLogger(tmp_path)
    logger.begin(0)
    logger.log_metrics({"a": 4.0}, 0)
    assert rows(path) == [{"step": "0", "a": "4.0"}]
