"""What training runs left in their folders: those of a multirun, a study, or single ones side by side."""

import csv
import io
import json
import math
import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from graves_lm.errors import UserError, near_misses
from graves_lm.run_folder import FAILED, PRUNED

LARGEST = 1 << 20  # bytes of the settings of a run, which take a hundredth
_NOT_COMPARED = ("run_dir", "ckpt", "sweep", "launcher", "experiment")
"""Overrides that say where and how a run was made; what they amount to is in its configuration."""


@dataclass
class Run:
    """A run's folder, read.

    Attributes:
        name: its folder, below the one that is compared.
        status: finished, pruned, failed or unfinished (still running, or killed).
        monitor: the figure by which it was judged.
        overrides: what its command line changed, by key.
        record: metrics.json.
        remark: why it failed or was given up.
        curves: (step, value) of every figure that the csv logger followed.
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
        return "" if value is None or isinstance(value, dict | list) else str(value)

    def figure(self, name: str) -> float:
        """A figure of the run; nan where it has none."""
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
    if config is None or "trainer" not in config or not isinstance(config.get("monitor"), str):
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
        monitor=config["monitor"],
        overrides=overrides,
        record=record if status in ("finished", "pruned") else {},
        remark=reasons[FAILED] or reasons[PRUNED],
        curves=_curves(place / "csv"),
        config=config,
        choices=choices if isinstance(choices, dict) else {},
    )


def figures_of(runs: list[Run], metric: str | None) -> dict[str, list[Run]]:
    """The runs by the figure that they are compared by: `metric`, or each one's own.

    Raises UserError for a figure that no run has, or that is not a number.
    """
    if metric is None:
        groups = defaultdict(list)
        for run in runs:
            groups[run.monitor].append(run)
        return dict(groups)
    values = [run.record[metric] for run in runs if metric in run.record]
    known = {name for run in runs for name, value in run.record.items() if _is_number(value)}
    if not values:
        raise UserError(f"metric={metric}: no run has this figure; {near_misses(metric, known)}")
    if not all(map(_is_number, values)):
        raise UserError(f"metric={metric}: not a number ({values[0]}); {near_misses(metric, known)}")
    return {metric: runs}


def differing(runs: list[Run]) -> list[str]:
    """The keys that a command line gave and in which the runs differ."""
    keys = dict.fromkeys(key for run in runs for key in run.overrides)
    return [key for key in keys if len({run.value(key) for run in runs}) > 1]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Plain(yaml.SafeLoader):
    """Containers, texts and numbers; no node stands for another, of which a few would make a file endless."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias, which no run writes")
        return super().compose_node(parent, index)


def _yaml(path: Path) -> dict[str, Any] | None:
    """What a run says of its settings, as it stands: folders come from other people too, and an interpolation
    would read this machine's environment."""
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path}: larger than any that a run writes; remove it or leave it out")
        found = yaml.load(path.read_text(encoding="utf-8"), _Plain)
    except (OSError, UnicodeDecodeError):
        return None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
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
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _first_line(path: Path) -> str:
    try:
        return next(iter(path.read_text(encoding="utf-8").splitlines()), "no reason recorded")
    except OSError:
        return ""


def _curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves in the CSV files of a run, those of before it was resumed first (metrics-1.csv, …).

    Cells are empty where a figure was not logged. Steps that come twice count once: those of a resumed run,
    and the last validation, of the best weights, which is at no step of its own.
    """
    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    earlier = sorted(folder.glob("metrics-*.csv"), key=lambda path: (len(path.name), path.name))
    for path in [*earlier, folder / "metrics.csv"]:
        try:
            rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
            cells = [
                (name, int(row["step"]), float(cell))
                for row in rows
                for name, cell in row.items()
                if cell and name not in ("step", "epoch")
            ]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # none, or not one of these
        for name, step, value in cells:
            if not curves[name] or curves[name][-1][0] < step:
                curves[name].append((step, value))
    return dict(curves)
