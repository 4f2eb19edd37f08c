"""Runs as a picture: the metric against each setting in which they differ, and the learning curves."""

import io
import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from graves_lm.runtime.errors import visible
from graves_lm.sweeps.runs import Run, differing
from graves_lm.sweeps.table import ranked, short

_COLUMNS = 4
_LOG_SPREAD = 20  # a setting whose values differ by more than this factor gets a logarithmic axis
_COLOURS = {"best": "#d1495b", "finished": "#00607a", "pruned": "#9aa5ab"}


def picture(groups: dict[str, list[Run]], kind: str) -> bytes:
    """The picture as png, svg or pdf: for each metric a row, or several, of panels."""
    panels = {metric: ["", *differing(runs)] for metric, runs in groups.items()}
    rows = {metric: math.ceil(len(keys) / _COLUMNS) for metric, keys in panels.items()}
    columns = min(_COLUMNS, max(map(len, panels.values())))
    figure = Figure(figsize=(3.4 * columns, 2.9 * sum(rows.values())), layout="constrained")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(len(groups), height_ratios=list(rows.values()), squeeze=False)[:, 0]
    for part, (metric, runs) in zip(parts, groups.items(), strict=True):
        axes = list(part.subplots(rows[metric], columns, squeeze=False).flat)
        best = next((run for run in ranked(runs, metric) if run.status == "finished"), None)
        bounds = _limits(runs, metric)
        for ax, key in zip(axes, panels[metric], strict=False):
            if key:
                _against(ax, key, runs, metric, best)
                ax.set_ylim(bounds)
            else:
                _curves(ax, runs, metric, best)
        for ax in axes[len(panels[metric]) :]:
            ax.set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else None)
    return file.getvalue()


def _colour(run: Run, best: Run | None) -> str:
    return _COLOURS["best" if run is best else run.status if run.status in _COLOURS else "pruned"]


def _limits(runs: list[Run], metric: str) -> tuple[float | None, float | None]:
    """Bounds that show the better nine tenths: a run that diverged would flatten all others."""
    figures = sorted(f for run in runs if not math.isnan(f := run.figure(metric)))
    if len(figures) < 2:
        return None, None
    top = figures[round(0.9 * (len(figures) - 1))]
    margin = 0.06 * (top - figures[0]) or 0.1
    return figures[0] - margin, top + margin


def _against(ax: Axes, key: str, runs: list[Run], metric: str, best: Run | None) -> None:
    """The metric against one setting; settings that are not numbers stand side by side."""
    shown = [run for run in runs if not math.isnan(run.figure(metric))]
    try:
        places: list[Any] = [float(run.value(key)) for run in shown]
        if places and min(places) > 0 and max(places) / min(places) > _LOG_SPREAD:
            ax.set_xscale("log")
    except ValueError:
        names = sorted({run.value(key) for run in shown})
        places = [names.index(run.value(key)) for run in shown]
        ax.set_xticks(range(len(names)), [short(name) for name in names], rotation=20)
        ax.margins(x=0.2)
    for run, place in zip(shown, places, strict=True):
        ax.scatter(
            place,
            run.figure(metric),
            s=70 if run is best else 28,
            marker="*" if run is best else "o",
            facecolors="none" if run.status == "pruned" else _colour(run, best),
            edgecolors=_colour(run, best),
            zorder=3 if run is best else 2,
        )
    ax.set_xlabel(key, fontsize=8, parse_math=False)
    ax.tick_params(labelsize=7)
    ax.grid(alpha=0.3)


def _curves(ax: Axes, runs: list[Run], metric: str, best: Run | None) -> None:
    """The metric over the steps of each run whose logger wrote it to CSV."""
    for run in runs:
        if curve := run.curves.get(metric):
            steps, values = zip(*curve, strict=True)
            line = {"linewidth": 2.0, "zorder": 3} if run is best else {"linewidth": 0.8, "zorder": 2}
            ax.plot(steps, values, color=_colour(run, best), marker=".", markersize=3, **line)  # type: ignore[arg-type]
    if not ax.lines:
        ax.text(0.5, 0.5, "no curves: train with logger=csv", ha="center", fontsize=7, transform=ax.transAxes)
    title = f"{metric}: {len(runs)} runs" + (f", best {visible(best.name)}" if best else "")
    ax.set_title(title, fontsize=8, parse_math=False)
    ax.set_xlabel("step", fontsize=8)
    ax.set_ylabel(metric, fontsize=8)
    ax.tick_params(labelsize=7)
    ax.grid(alpha=0.3)
