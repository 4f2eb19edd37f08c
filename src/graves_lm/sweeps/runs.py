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

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from graves_lm.errors import UserError, near_misses
from graves_lm.run_folder import FAILED, PRUNED

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
        try:
            value = OmegaConf.select(self.config, key)
        except OmegaConfBaseException:
            return ""
        return "" if value is None or OmegaConf.is_config(value) else str(value)

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
    if not isinstance(config, DictConfig) or "monitor" not in config or "trainer" not in config:
        return None
    hydra = _yaml(place / ".hydra" / "hydra.yaml")
    given: Any = OmegaConf.select(hydra, "hydra.overrides.task") if isinstance(hydra, DictConfig) else None
    pairs = (override.lstrip("+").partition("=") for override in given or [])
    overrides = {key: value for key, _, value in pairs if key not in _NOT_COMPARED}
    choices: Any = OmegaConf.select(hydra, "hydra.runtime.choices") if isinstance(hydra, DictConfig) else {}
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
        monitor=config.monitor,
        overrides=overrides,
        record=record if status in ("finished", "pruned") else {},
        remark=reasons[FAILED] or reasons[PRUNED],
        curves=_curves(place / "csv"),
        config=config,
        choices=dict(choices or {}),
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


def _yaml(path: Path) -> Any:
    try:
        return OmegaConf.load(path)
    except (OSError, ValueError, OmegaConfBaseException):
        return None
    except Exception as error:  # the YAML parser's own, of several classes
        raise UserError(
            f"{path}: not readable ({type(error).__name__}); remove it or leave it out"
        ) from error


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
