"""The compare command: a folder of runs in; a table, a CSV file and a picture out."""

import sys
from importlib.util import find_spec
from pathlib import Path

from omegaconf import DictConfig

from graves_lm.runtime.errors import UserError, visible
from graves_lm.runtime.files import write
from graves_lm.sweeps.runs import figures_of, find_runs
from graves_lm.sweeps.table import csv_table, text_table

_KINDS = ("png", "svg", "pdf")


def run(cfg: DictConfig) -> None:
    """Compare as `cfg` (conf/compare.yaml) says.

    Raises UserError for a folder without runs, a metric that they do not have, and another kind of file.
    """
    if cfg.dir is None:
        raise UserError("give dir=FOLDER, a folder of runs, such as logs/sweeps/… or logs/studies/…")
    folder = Path(str(cfg.dir))
    output = Path(str(cfg.output)) if cfg.output is not None else folder / "compare.png"
    kind = output.suffix.removeprefix(".")
    if kind not in _KINDS:
        raise UserError(f"output={output}: the picture is written as .{', .'.join(_KINDS)}")
    groups = figures_of(find_runs(folder), cfg.metric)
    tables = "\n\n".join(text_table(runs, metric) for metric, runs in sorted(groups.items()))
    print(visible(tables, keep="\n"))
    table = output.with_suffix(".csv")
    write(table, csv_table(groups).encode(errors="backslashreplace"))  # names may have any bytes
    print(visible(f"\ntable: {table}", keep="\n"))
    if find_spec("matplotlib") is None:
        print("no picture: it needs matplotlib, pip install 'graves-lm[sweep]'", file=sys.stderr)
        return
    from graves_lm.sweeps.plot import picture

    write(output, picture(groups, kind))
    print(visible(f"picture: {output}"))
