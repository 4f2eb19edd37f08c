"""How many lines make a hand known: `experiment=own_hand` on lines of writers that the weights never saw.

    python benchmarks/own_hand.py --source IAM --runs DIR [--writers 10] [--lines 5 10 20 40] [--held-out 12]
                                  [--texts 12] [--bias 0.5] [--init synthesis] [--reader reader]

Of each validation writer of IAM-OnDB so many lines are held out. From the others the weights are trained on,
by the command as a user gives it, with 5, 10, … lines; beside them stand the weights that these begin with
(`--init`) as they are (0 lines) and primed by one line (1). Each row of the table is a mean over the writers:

    nats       a held-out line's under the weights, per line
    better     writers whose lines these weights find likelier than those of `--init`, primed by a line, do
    cer        the character error rate of texts that are written, one candidate each, with the hand that the
               file carries (0: as it comes, 1: primed), which a reader reads
    distance   of the written lines' mean style to the held-out lines': slant, size, speed, stroke length and
               curvature, each over its standard deviation within writers; root of the sum of squares
    nearest    writers for whose lines the mean style is taken, among so many writers as there are
    each       the share of single written lines that are taken for the writer's
    seconds    of a training, from the shell

Trainings that are there already in `--runs` are not made again. Tables, and benchmarks/results/own_hand.json,
which is printed as last line.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hands import error_rate, opened
from numpy.typing import NDArray
from report import report

from graves_lm.data.features import Features, features
from graves_lm.data.strokes import StrokeLine
from graves_lm.models.synthesis import Text
from graves_lm.rendering.points import strokes_to_json
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.trained.handwriting import TextPassage, TrainedHandwriting
from graves_lm.trained.loading import load_trained

GAP = 1.5  # between a prime and the line after it, in the deviation of the prime's heights
TEXT = (15, 32)  # characters of a text that is written
LEAST = 48  # lines of a writer

Styles = Mapping[str, NDArray[np.float64]]


@torch.no_grad()
def nats(trained: TrainedHandwriting, line: StrokeLine, prime: StrokeLine | None = None) -> float:
    """Of a line's points after its first one, per data unit; the way from the prime to it is not scored."""
    units, text, first = trained.normalisation, line.text, 1
    strokes = line.strokes.astype(np.float64)
    if prime is not None:
        before = prime.strokes.astype(np.float64)
        way, own = np.cumsum(before[:, :2], axis=0), np.cumsum(strokes[:, :2], axis=0)
        behind = way[:, 0].max() + GAP * way[:, 1].std() - own[:, 0].min() - way[-1, 0]
        strokes[0, :2] = behind, way[:, 1].mean() - own[:, 1].mean() - way[-1, 1]
        strokes, first, text = np.concatenate([before, strokes]), len(before) + 1, f"{prime.text} {text}"
    x_T13 = torch.from_numpy(units.apply(strokes))[:, None]
    x_T13[0, 0, :2] = 0
    symbols = Text.of([trained.alphabet.encode(text).tolist()])
    found, _, _ = trained.network(x_T13[:-1], symbols, trained.network.initial_state(1))
    own_T = found.log_prob(x_T13[1:])[first - 1 :, 0]
    return float(-own_T.sum()) + len(own_T) * float(np.log(np.prod(units.std)))


def trained_on(lines: Sequence[StrokeLine], folder: Path, count: int, init: str) -> tuple[Path, float]:
    """The weights `init` trained on with the first `count` lines, and the seconds that it took."""
    run, ink = folder / str(count), folder / f"{count}.json"
    weights, clock = run / "own_hand.safetensors", folder / f"{count}.seconds"
    if not (weights.is_file() and clock.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        own = lines[:count]
        ink.write_text(strokes_to_json([line.strokes for line in own], [line.text for line in own]))
        command = [sys.executable, "-m", "graves_lm.train", "experiment=own_hand", f"data.source={ink}"]
        begun = time.perf_counter()
        options = [f"run_dir={run}", f"init={init}", "logger=none", "resume=last", f"data.cache_dir={folder}"]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, env={**os.environ})
        clock.write_text(f"{time.perf_counter() - begun:.1f}")
    return weights, float(clock.read_text())


def style(lines: Sequence[Any]) -> NDArray[np.float64]:
    """(L, 5)"""
    return np.array([features(line) for line in lines], np.float64)


def measured(
    trained: TrainedHandwriting,
    writer: str,
    held_out: Sequence[StrokeLine],
    prime: StrokeLine | None,
    scored_after: StrokeLine | None,
    styles: Styles,
    within: NDArray[np.float64],
    args: argparse.Namespace,
) -> dict[str, float]:
    """The figures of some weights for a writer. `prime`: whose style samples take on; `scored_after`: what is
    read before the held-out lines."""
    drawn = trained.write(SynthesisSampler(bias=args.bias), TextPassage(args.written, args.seed, prime))
    lines = [line.strokes for line, _ in drawn]
    own = style(lines)
    far = {name: np.linalg.norm((own.mean(0) - mean) / within) for name, mean in styles.items()}
    taken = [min(styles, key=lambda n: np.linalg.norm((one - styles[n]) / within)) for one in own]
    return {
        "nats": float(np.mean([nats(trained, line, scored_after) for line in held_out])),
        "cer": error_rate(lines, args.written, args.judge) if args.judge else float("nan"),
        "distance": float(far[writer]),
        "nearest": float(min(far, key=lambda name: far[name]) == writer),
        "each": float(np.mean([name == writer for name in taken])),
    } | {
        name: float(v)
        for name, v in zip(Features._fields, (own.mean(0) - styles[writer]) / within, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", required=True, help="IAM-OnDB")
    parser.add_argument("--runs", required=True, type=Path, help="a folder for the trainings")
    parser.add_argument("--cache-dir", default="data")
    parser.add_argument("--writers", type=int, default=10)
    parser.add_argument("--among", type=int, default=20, help="writers that a sample may be taken for")
    parser.add_argument("--lines", type=int, nargs="*", default=[5, 10, 20, 40])
    parser.add_argument("--held-out", type=int, default=12)
    parser.add_argument("--texts", type=int, default=12)
    parser.add_argument("--bias", type=float, default=0.5)
    parser.add_argument("--init", default="synthesis", help="weights to begin with")
    parser.add_argument("--reader", help="a checkpoint of model=reader")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.judge = load_trained(args.reader, task="reader") if args.reader else None
    first = load_trained(args.init, task="synthesis")
    by: dict[str, list[StrokeLine]] = {}
    store = opened(args.source, args.cache_dir)
    for number in store.indices("val").tolist():
        if store.texts[number] and store.writers[number]:
            by.setdefault(store.writers[number], []).append(store[number])
    many = sorted((w for w in by if len(by[w]) >= LEAST), key=lambda w: (-len(by[w]), w))[: args.among]
    order = {w: np.random.default_rng(args.seed).permutation(len(by[w])) for w in many}
    held_out = {w: [by[w][i] for i in order[w][-args.held_out :]] for w in many}
    styles = {w: style([line.strokes for line in held_out[w]]).mean(0) for w in many}
    within = np.sqrt(np.mean([style([line.strokes for line in by[w]]).var(0) for w in many], axis=0))
    others = [
        line.text for w in many[args.among // 2 :] for line in by[w] if TEXT[0] <= len(line.text) <= TEXT[1]
    ]
    args.written = np.random.default_rng(args.seed).permutation(others)[: args.texts].tolist()

    rows: dict[str, dict[str, dict[str, float]]] = {}
    for writer in many[: args.writers]:
        given = [by[writer][i] for i in order[writer][: -args.held_out]]
        prime = min(given[: args.lines[0] if args.lines else 5], key=lambda line: abs(len(line.text) - 30))
        own = (writer, held_out[writer])
        more = (styles, within, args)
        for count in [0, 1, *(n for n in args.lines if n <= len(given))]:
            if count <= 1:
                shown = prime if count else None
                figures = measured(first, *own, shown, shown, *more)
            else:
                weights, seconds = trained_on(given, args.runs / writer, count, args.init)
                trained = load_trained(weights, task="synthesis")
                assert isinstance(trained, TrainedHandwriting)
                figures = measured(trained, *own, trained.hand, None, *more) | {"seconds": seconds}
                figures["better"] = float(figures["nats"] < rows["1"][writer]["nats"])
            rows.setdefault(str(count), {})[writer] = figures
            print(writer, count, json.dumps({k: round(v, 3) for k, v in figures.items()}), flush=True)

    names = ["nats", "better", "cer", "distance", "nearest", "each", *Features._fields, "seconds"]
    print(f"{'lines':>6}" + "".join(f"{name:>14}" for name in names))
    table = {}
    for count, by_writer in rows.items():
        columns = {n: [row[n] for row in by_writer.values() if n in row] for n in names}
        means = {
            n: float(np.mean(np.abs(v) if n in Features._fields else v)) for n, v in columns.items() if v
        }
        print(f"{count:>6}" + "".join(f"{means[n]:14.3f}" if n in means else f"{'':14}" for n in names))
        table[count] = {n: round(v, 4) for n, v in means.items()}
    given = {"init": args.init, "writers": len(rows["0"]), "among": len(many), "bias": args.bias}
    report("own_hand", {**given, "lines": table})


if __name__ == "__main__":
    main()
