"""Runs as a table, to read and as CSV."""

import csv
import io
import math
from collections import Counter

from graves_lm.sweeps.runs import Run, differing


def ranked(runs: list[Run], metric: str) -> list[Run]:
    """Runs by their metric, the lowest first; those without one last."""
    return sorted(runs, key=lambda run: (math.isnan(run.figure(metric)), run.figure(metric)))


def text_table(runs: list[Run], metric: str) -> str:
    """The runs by their metric, with the settings in which they differ, and a line on what they share."""
    keys = differing(runs)
    rows = [["run", metric, "steps", "status", *keys]]
    for run in ranked(runs, metric):
        figure = run.figure(metric)
        row = [run.name, "" if math.isnan(figure) else f"{figure:.4f}", str(run.record.get("steps", ""))]
        rows.append([*row, run.status, *(short(run.value(key)) for key in keys)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_aligned(row, widths) for row in rows]
    remarks = [f"{run.name}: {run.remark}" for run in runs if run.status == "failed"]
    return "\n".join([_heading(runs, metric), *lines, *remarks])


def csv_table(groups: dict[str, list[Run]]) -> str:
    """All that is known of the runs: metric, settings in which they differ, every number of metrics.json."""
    runs = [run for group in groups.values() for run in group]
    keys = differing(runs)
    more = sorted({k for run in runs for k, v in run.record.items() if isinstance(v, int | float)})
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["run", "status", "metric", "figure", *keys, *more, "remark"])
    for metric, group in groups.items():
        for run in ranked(group, metric):
            figure = run.figure(metric)
            writer.writerow(
                [run.name, run.status, metric, "" if math.isnan(figure) else figure]
                + [run.value(key) for key in keys]
                + [run.record.get(name, "") for name in more]
                + [run.remark]
            )
    return file.getvalue()


def short(value: str) -> str:
    """A value with four digits, where it is a number with more."""
    try:
        number = float(value)
    except ValueError:
        return value
    return value if len(value) < 7 else f"{number:.4g}"


def _heading(runs: list[Run], metric: str) -> str:
    counts = Counter(run.status for run in runs)
    states = ", ".join(
        f"{counts[s]} {s}" for s in ("finished", "pruned", "failed", "unfinished") if counts[s]
    )
    shared = [
        f"{key}={value}"
        for key, value in runs[0].overrides.items()
        if all(run.overrides.get(key) == value for run in runs)
    ]
    return f"{metric} of {len(runs)} runs ({states})" + (f"; all with {' '.join(shared)}" if shared else "")


def _aligned(row: list[str], widths: list[int]) -> str:
    cells = [
        cell.rjust(w) if i in (1, 2) else cell.ljust(w)
        for i, (cell, w) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
