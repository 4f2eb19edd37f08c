"""Weight noise beside none, where the training lines are read until the network begins to know them by heart.

    python benchmarks/noise.py [--jobs 16] [--seeds 1 2] [--runs logs/noise] [--write docs/recipe.md]

A small synthesis network learns 400 generated lines without noise, once for each seed. From its best weights
another training goes on with each kind of noise. A job is one core; 16 of them take about ten minutes in all.
Prints the table of the best validation and of the last one, and draws the curves; with
`--write` the table goes between its marks in that file, and the curves to pictures/recipe-noise-stages.svg
beside it.
"""

import argparse
import csv
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from graves_lm.rendering.chart import chart

FIGURE = "val/nll_per_line"
SETTINGS = (
    "experiment=demo",
    "logger=csv",
    "data.lines=400",
    "data.eval_lines=128",
    "model.network.layers=1",
    "model.network.hidden_size=96",
    "callbacks.samples=null",
    "callbacks.early_stopping=null",
    "callbacks.progress=null",
    "+trainer.enable_progress_bar=false",
    "trainer.check_val_every_n_epoch=5",
)
FIRST = ("trainer.max_epochs=40", "optimizer.lr=1.6e-2", "optimizer.final_share=0.1")
SECOND = ("trainer.max_epochs=60", "optimizer.lr=4e-3", "optimizer.final_share=0.02")
ADAPTIVE = ("noise=adaptive", "model.noise.speed=3")  # times the rate: 0.012 a step
KINDS = {
    "none": ("noise=none",),
    "fixed, 0.02": ("noise=fixed", "model.noise.std=0.02"),
    "dropped, 0.05": ("noise=drop", "model.noise.share=0.05"),
    "dropped, 0.1": ("noise=drop", "model.noise.share=0.1"),
    "adaptive from 0.075, sampled, log σ as slow as weights": (
        "noise=adaptive",
        "model.noise.std=0.075",
        "model.noise.speed=1",
        "model.noise.gradient=sampled",
    ),
    "adaptive from 0.01, sampled": (*ADAPTIVE, "model.noise.gradient=sampled"),
    "adaptive from 0.01, squared": ADAPTIVE,
    "adaptive from 0.01, squared, and dropped, 0.05": (*ADAPTIVE, "model.noise.share=0.05"),
}
MARKS = "<!-- BEGIN table noise -->", "<!-- END table noise -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=Path, default=Path("logs/noise"))
    parser.add_argument("--write", type=Path)
    parser.add_argument("--only", nargs="+", default=list(KINDS), choices=list(KINDS), metavar="KIND")
    parser.add_argument("overrides", nargs="*", help="more settings of all runs")
    given = parser.parse_args()
    subprocess.run([sys.executable, "-m", "graves_lm.prepare", *data_of(given.overrides)], check=True)
    firsts = {seed: given.runs / f"first-{seed}" for seed in given.seeds}
    seconds = {
        (kind, seed): given.runs / f"{slug(kind)}-{seed}" for kind in given.only for seed in given.seeds
    }
    with ThreadPoolExecutor(given.jobs) as pool:
        list(
            pool.map(
                lambda seed: train(firsts[seed], f"seed={seed}", *FIRST, *given.overrides),
                given.seeds,
            )
        )
        list(
            pool.map(
                lambda job: train(
                    seconds[job],
                    f"init={firsts[job[1]] / 'checkpoints' / 'best.ckpt'}",
                    f"seed={job[1]}",
                    *SECOND,
                    *KINDS[job[0]],
                    *given.overrides,
                ),
                seconds,
            )
        )
    curves = {job: curve(run) for job, run in seconds.items()}
    text = table(given.only, given.seeds, curves)
    shown = {kind: curves[kind, given.seeds[0]] for kind in given.only}
    picture = chart(shown, "validation, nats a line")
    (given.runs / "noise.svg").write_text(picture, encoding="utf-8")
    print(text)
    if given.write:
        before, _, rest = given.write.read_text(encoding="utf-8").partition(MARKS[0])
        _, _, after = rest.partition(MARKS[1])
        given.write.write_text(f"{before}{MARKS[0]}\n{text}{MARKS[1]}{after}", encoding="utf-8")
        (given.write.parent / "pictures" / "recipe-noise-stages.svg").write_text(picture, encoding="utf-8")


def data_of(overrides: list[str]) -> list[str]:
    """The settings of the data alone, as `prepare` takes them: those of experiment=demo and of these runs."""
    own = [one for one in (*SETTINGS, *overrides) if one.startswith("data.")]
    demo = ["data.writers=1", "data.line_characters=[4,14]", "data.rate=40", "data.same_writers=true"]
    return ["data=hershey", *demo, "data.seed=176", *own]


def train(run: Path, *overrides: str) -> None:
    """One run, on one core; one that is there already is not made again."""
    if (run / "metrics.json").is_file():
        return
    command = [sys.executable, "-m", "graves_lm.train", *SETTINGS, f"run_dir={run}", "resume=last"]
    if any(one.startswith("init=") for one in overrides):
        command.remove("resume=last")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *overrides], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{run}: {done.stderr.strip().splitlines()[-1]}")


def curve(run: Path) -> list[tuple[float, float]]:
    """Step and metric of each validation, without the final one: that is of the best weights again."""
    with (run / "csv" / "metrics.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get(FIGURE)]
    return [(float(row["step"]), float(row[FIGURE])) for row in rows[:-1]]


def table(
    kinds: list[str], seeds: list[int], curves: dict[tuple[str, int], list[tuple[float, float]]]
) -> str:
    rows = ["| noise | best validation, nats a line | last |", "|---|---|---|"]
    for kind in kinds:
        found = [[figure for _, figure in curves[kind, seed]] for seed in seeds]
        best = ", ".join(f"{min(figures):.1f}" for figures in found)
        last = ", ".join(f"{figures[-1]:.1f}" for figures in found)
        rows.append(f"| {kind} | {best.replace('-', '−')} | {last.replace('-', '−')} |")
    return "\n".join(rows) + "\n"


def slug(name: str) -> str:
    return "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in name).split())


if __name__ == "__main__":
    main()
