"""What training runs left in their folders: those of a multirun, a study, or single ones side by side."""

import csv
import io
import json
import math
import os
import stat
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from graves_lm.runtime.errors import UserError, near_misses
from graves_lm.runtime.run_folder import FAILED, PRUNED

SETTINGS = 1 << 20  # characters of the settings of a run, which take a hundredth
LARGEST = 64 << 20  # bytes of its curves, after years
LARGEST_FIGURE = 1e300
_NOT_COMPARED = ("run_dir", "resume", "sweep", "launcher", "experiment")
"""Overrides that say where and how a run was made; what they amount to is in its configuration."""


@dataclass
class Run:
    """A run's folder, read.

    Attributes:
        name: its folder, below the one that is compared.
        status: finished, pruned, failed or unfinished (still running, or killed).
        monitor: the metric by which it was judged.
        overrides: what its command line changed, by key.
        record: metrics.json.
        remark: why it failed or was given up.
        curves: (step, value) of every metric that the csv logger followed.
    """

    name: str
    status: str
    monitor: str
    overrides: dict[str, str]
    record: dict[str, Any] = field(default_factory=dict)
    remark: str = ""
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    config: Any = None
    choices: dict[str, Any] = field(default_factory=dict)

    def value(self, key: str) -> str:
        """A setting of the run, whether its command line gave it or not; "" where it has none."""
        if key in self.overrides:
            return self.overrides[key]
        if key in self.choices:
            return str(self.choices[key])
        value = _select(self.config, key)
        return "" if value in (None, "null") or isinstance(value, dict | list) else str(value)

    def figure(self, name: str) -> float:
        """A metric of the run; nan where it has none."""
        value: Any = self.record.get(name)
        return float(value) if _is_number(value) else math.nan


def find_runs(folder: Path) -> list[Run]:
    """All training runs in a folder, or below it, by name. Raises UserError where there is none."""
    if not folder.is_dir():
        raise UserError(f"dir={folder}: no such folder")
    runs = []
    for place, folders, _ in os.walk(folder):
        run = read_run(Path(place), folder)
        if run:
            runs.append(run)
            folders.clear()
        folders[:] = [name for name in folders if not name.startswith(".")]
    if not runs:
        raise UserError(f"dir={folder}: no training run in it or below it")
    return sorted(runs, key=lambda run: [(len(part), part) for part in Path(run.name).parts])


def read_run(place: Path, folder: Path) -> Run | None:
    """The run in a folder; None where there is none, or one of another command."""
    config = _yaml(place / "config.yaml") or _yaml(place / ".hydra" / "config.yaml")
    monitor = config.get("monitor") if config and "trainer" in config else None
    if not isinstance(monitor, str) or len(monitor) > 200:
        return None
    hydra = _yaml(place / ".hydra" / "hydra.yaml")
    given = _select(hydra, "hydra.overrides.task")
    pairs = (str(one).lstrip("+").partition("=") for one in (given if isinstance(given, list) else []))
    overrides = {key: value for key, _, value in pairs if key not in _NOT_COMPARED}
    choices = _select(hydra, "hydra.runtime.choices")
    record = _json(place / "metrics.json")
    reasons = {PRUNED: _first_line(place / PRUNED), FAILED: _first_line(place / FAILED)}
    if reasons[FAILED]:
        status = "failed"
    elif not record:
        status = "unfinished"
    else:
        status = "pruned" if reasons[PRUNED] else "finished"
    return Run(
        name=str(place.relative_to(folder)) if place != folder else place.name,
        status=status,
        monitor=monitor.encode(errors="replace").decode(),
        overrides=overrides,
        record=record if status in ("finished", "pruned") else {},
        remark=reasons[FAILED] or reasons[PRUNED],
        curves=_curves(place / "csv"),
        config=config,
        choices=choices if isinstance(choices, dict) else {},
    )


def figures_of(runs: list[Run], metric: str | None) -> dict[str, list[Run]]:
    """The runs by the metric that they are compared by: `metric`, or each one's own.

    Raises UserError for a metric that no run has, or that is not a number.
    """
    if metric is None:
        groups = defaultdict(list)
        for run in runs:
            groups[run.monitor].append(run)
        return dict(groups)
    values = [run.record[metric] for run in runs if metric in run.record]
    known = {name for run in runs for name, value in run.record.items() if _is_number(value)}
    if not values:
        raise UserError(f"metric={metric}: no run has this metric; {near_misses(metric, known)}")
    if not all(map(_is_number, values)):
        raise UserError(f"metric={metric}: not a number ({values[0]}); {near_misses(metric, known)}")
    return {metric: runs}


def differing(runs: list[Run]) -> list[str]:
    """The keys that a command line gave and in which the runs differ."""
    keys = dict.fromkeys(key for run in runs for key in run.overrides)
    return [key for key in keys if len({run.value(key) for run in runs}) > 1]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_FIGURE


class _Plain(yaml.BaseLoader):
    """Containers and texts; no node stands for another, of which a few would make a file endless."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias, which no run writes")
        return super().compose_node(parent, index)


def _text(path: Path) -> str | None:
    """What a run has written; None where it has not.

    Folders come from other people too: a pipe, a device or a file without end is none of a run's.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return None


def _yaml(path: Path) -> dict[str, Any] | None:
    """What a run says of its settings, as it stands: an interpolation would read this machine's secrets."""
    text = _text(path)
    try:
        found = yaml.load(text, _Plain) if text is not None and len(text) <= SETTINGS else None
    except Exception as error:  # the parser's own, of several classes
        reason = type(error).__name__
        raise UserError(f"{path}: not readable ({reason}); remove it or leave it out") from error
    return found if isinstance(found, dict) else None


def _select(node: Any, key: str) -> Any:
    """A value by its dotted key; None where there is none."""
    for name in key.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    return node


def _json(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(_text(path) or "")
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _first_line(path: Path) -> str:
    text = _text(path)
    return "" if text is None else next(iter(text.splitlines()), "no reason recorded")[:500]


def _curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves in the CSV files of a run, those of before it was resumed first (metrics-1.csv, …).

    Cells are empty where a metric was not logged. Steps that come twice count once: those of a resumed run,
    and the last validation, of the best weights, which is at no step of its own.
    """
    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    earlier = sorted(folder.glob("metrics-*.csv"), key=lambda path: (len(path.name), path.name))
    for path in [*earlier, folder / "metrics.csv"]:
        try:
            rows = list(csv.DictReader(io.StringIO(_text(path) or "")))
            cells = [
                (name, int(row["step"]), float(cell))
                for row in rows
                for name, cell in row.items()
                if cell and name not in ("step", "epoch")
            ]
        except (csv.Error, ValueError, KeyError, TypeError, OverflowError):
            continue  # none, or not one of these
        for name, step, value in cells:
            if not (0 <= step < 2**53 and abs(value) < LARGEST_FIGURE):
                continue
            if not curves[name] or curves[name][-1][0] < step:
                curves[name].append((step, value))
    return dict(curves)
