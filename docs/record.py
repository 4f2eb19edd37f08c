"""The tables of reproduction.md, from one small file a row in docs/record/.

    python docs/record.py                                   # write the tables anew
    python docs/record.py ROW.yaml RUN_DIR [EVALUATED …]    # a row's figures and curve from its run first

`docs/record/TABLE/ROW.yaml`; the rows of a table stand in the order of the files' names:

    row: what is different in this row
    paper: the paper's figures, as they are shown
    show: how ours are shown, "{val/nll_per_line:.1f} / {val/sse:.2f}"; "not run yet" where one is missing
    figures: by name, those of metrics.json; those of a dynamic evaluation begin with dynamic/
    command: of train
    config: of conf/experiment/
    seed, hardware, time: of training, by the clock
    curve: a picture beside reproduction.md

RUN_DIR is what train wrote (config.yaml, metrics.json, csv/metrics.csv with logger=csv), or evaluate where
nothing was trained, as for a mean of weights; EVALUATED is what evaluate wrote. `--hardware` and `--time` say
what no file knows. The curve needs matplotlib.
"""

import argparse
import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

DOCS = Path(__file__).resolve().parent
COLUMNS = ("", "paper", "ours", "command (`train`)", "config", "seed", "hardware", "time", "curve")
TABLE = re.compile(r"(<!-- BEGIN table (\w+) -->\n).*?(<!-- END table \2 -->)", re.DOTALL)


def read_row(path: Path) -> dict[str, Any]:
    row: Any = OmegaConf.to_container(OmegaConf.load(path))
    return row


def cells(row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    try:
        # Hyphens of the format's own would be those of numbers too.
        ours = row["show"].format(**(row.get("figures") or {})).replace("-", "−")
    except KeyError:
        ours = "not run yet"
    curve = f"[curve]({row['curve']})" if row.get("curve") else ""
    rest = [str(row.get(key) or "") for key in ("seed", "hardware", "time")]
    return [row["row"], str(row["paper"]), ours, f"`{row['command']}`", f"`{row['config']}`", *rest, curve]


def table(name: str, record: Path) -> str:
    """The table of docs/record/NAME, in Markdown."""
    rows = [cells(read_row(path)) for path in sorted((record / name).glob("*.yaml"))]
    spaced = (["|", *(f" {cell} |" if cell else " |" for cell in line)] for line in [list(COLUMNS), *rows])
    head, *body = ("".join(line) + "\n" for line in spaced)
    return "".join([head, "|---" * len(COLUMNS) + "|\n", *body])


def with_tables(text: str, record: Path) -> str:
    """`text` with each marked table as the files give it."""
    return TABLE.sub(lambda m: m[1] + table(m[2], record) + m[3], text)


def figures_of(folder: Path) -> dict[str, float]:
    """The figures in a folder's metrics.json."""
    found = json.loads((folder / "metrics.json").read_text())
    prefix = "dynamic/" if found.get("dynamic") else ""
    return {prefix + key: value for key, value in found.items() if "/" in key}


def fill(path: Path, run: Path, evaluated: list[Path], docs: Path, **known: str | None) -> None:
    """A row's figures, seed, time and curve from what its commands wrote."""
    row = read_row(path)
    row["figures"] = {k: v for folder in (run, *evaluated) for k, v in figures_of(folder).items()}
    row["seed"] = json.loads((run / "metrics.json").read_text()).get("seed", row["seed"])
    row |= {key: value for key, value in known.items() if value is not None}
    if (run / "csv" / "metrics.csv").is_file():
        picture = Path("pictures") / f"curve-{path.parent.name}-{path.stem}.png"
        monitor = OmegaConf.load(run / "config.yaml").monitor
        draw_curve(run / "csv" / "metrics.csv", monitor, row["row"], docs / picture)
        row["curve"] = str(picture)
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(row)), encoding="utf-8")


def points_of(log: Path, key: str) -> tuple[list[int], list[float]]:
    """The steps at which a figure was logged, and its values. What a resumed run logs again replaces it."""
    with log.open(newline="") as file:
        found = {int(line["step"]): float(line[key]) for line in csv.DictReader(file) if line.get(key)}
    return sorted(found), [found[step] for step in sorted(found)]


def draw_curve(log: Path, monitor: str, title: str, picture: Path) -> None:
    """Training and validation along the steps, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(title=title, xlabel="optimiser steps")
    # Training logs its figure a symbol or a point: the one of validation that is in the same unit.
    name = monitor.removeprefix("val/").replace("per_line", "per_point")
    axes.set_ylabel(name.replace("_", " ").replace("nll", "nats"))
    steps, values = points_of(log, f"train/{name}")
    axes.plot(steps, values, linewidth=0.6, alpha=0.6, label="training, a batch")
    steps, values = points_of(log, f"val/{name}")
    axes.plot(steps, values, marker=".", label="validation")
    if values:  # the first steps are far off
        low, high = min(values), max(values)
        axes.set_ylim(low - 0.5 * (high - low or 1), high + 0.5 * (high - low or 1))
    axes.legend()
    axes.grid(alpha=0.3)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)


def main() -> None:
    """The commands of the module's docstring."""
    parser = argparse.ArgumentParser(description="the tables of docs/reproduction.md")
    parser.add_argument("row", nargs="?", type=Path, help="ROW.yaml, to be filled from its run")
    parser.add_argument("run", nargs="?", type=Path, help="what train wrote")
    parser.add_argument("evaluated", nargs="*", type=Path, help="what evaluate wrote")
    parser.add_argument("--hardware")
    parser.add_argument("--time", help="of training")
    given = parser.parse_args()
    if given.row:
        if given.run is None:
            sys.exit("record: give the run's folder after the row")
        for file in (given.row, *(folder / "metrics.json" for folder in (given.run, *given.evaluated))):
            if not file.is_file():
                sys.exit(f"record: {file}: no such file; has the command finished?")
        fill(given.row, given.run, given.evaluated, DOCS, hardware=given.hardware, time=given.time)
    page = DOCS / "reproduction.md"
    page.write_text(with_tables(page.read_text(encoding="utf-8"), DOCS / "record"), encoding="utf-8")


if __name__ == "__main__":
    main()
