"""Curves as one CSV file, in which each step of a run has one row however often the run was resumed."""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from graves_lm.runtime.files import write

_FIRST = ("step", "epoch")


class KeepingCSVLogger(Logger):
    """Writes `metrics.csv`: a row for each step that is recorded, with the metrics of training and of a
    validation at that step side by side; cells are empty where a metric was not logged.

    What is logged is in the file at once. A metric that is new to it has the file written anew, beside its
    place and then moved there, so that the rows before are never at risk.

    Args:
        save_dir: the run's folder.
        name, version: the file's folder below it.
    """

    def __init__(self, save_dir: str | Path, name: str = "", version: str = "csv"):
        super().__init__()
        self._name, self._version = name, version
        self.path = Path(save_dir) / name / version / "metrics.csv"
        self._names: list[str] | None = None  # the header; None: the file was not looked at yet
        self._last: dict[str, str] = {}  # the last row, and where in the file it begins
        self._offset = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> str:
        return self._version

    @rank_zero_only
    def begin(self, step: int) -> None:
        """Go on with the file that is there, from `step` on: rows of it and of later steps will come again,
        and are taken out."""
        self._write_all(row for row in read_rows(self.path) if int(row["step"]) < step)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Add the metrics to the row of the step."""
        if self._names is None:
            self._write_all(read_rows(self.path))
        assert self._names is not None
        step = int(self._last.get("step", -1)) + 1 if step is None else step
        row = {"step": str(step)} | {name: str(float(value)) for name, value in metrics.items()}
        if "epoch" in metrics:
            row["epoch"] = str(int(metrics["epoch"]))
        same = self._last.get("step") == row["step"]
        row = self._last | row if same else row
        if not row.keys() <= set(self._names):
            self._write_all([*read_rows(self.path), row])
        elif row != self._last:
            self._put(row, self._offset if same else self.path.stat().st_size)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """The run's settings are in its config.yaml."""

    @rank_zero_only
    def secure(self) -> None:
        """Force what was logged to disk, as checkpoints are."""
        if self.path.is_file():
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())

    def _put(self, row: dict[str, str], offset: int) -> None:
        """Write a row at the offset, the file's end or the place of the last row, which it replaces."""
        assert self._names is not None
        with open(self.path, "r+b", buffering=0) as file:
            file.seek(offset)
            file.write(as_csv([row], self._names).encode())
            file.truncate()
        self._last, self._offset = row, offset

    def _write_all(self, rows: Iterable[dict[str, str]]) -> None:
        """Write the file anew; rows of one step become one."""
        by_step: dict[str, dict[str, str]] = {}
        for row in rows:
            by_step[row["step"]] = by_step.get(row["step"], {}) | row
        names = {name for row in by_step.values() for name in row}
        self._names = [*_FIRST, *sorted(names.difference(_FIRST))]
        kept = list(by_step.values())
        head = as_csv([dict(zip(self._names, self._names, strict=True)), *kept[:-1]], self._names)
        self._last, self._offset = (kept[-1] if kept else {}), len(head.encode())
        write(self.path, head + as_csv(kept[-1:], self._names))


def as_csv(rows: Iterable[Mapping[str, str]], names: list[str]) -> str:
    text = io.StringIO(newline="")
    csv.DictWriter(text, names, restval="", lineterminator="\n").writerows(rows)
    return text.getvalue()


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a file of curves, without empty cells. A row that is not whole, or of no step, is none."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for row in csv.DictReader(io.StringIO(text)):
        if None not in row and None not in row.values() and (row.get("step") or "").isdecimal():
            found.append({name: cell for name, cell in row.items() if cell})
    return found
