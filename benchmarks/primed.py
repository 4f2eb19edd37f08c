"""How well samples take on the style of a prime: texts in the hands of validation writers of IAM-OnDB.

    python benchmarks/primed.py --source IAM [--ckpt synthesis] [--biases 0.5 1] [--writers 10] [--texts 6]
                                [--retries 0] [--reader CKPT]

A line of each writer is the prime, and texts of other validation lines are written, one candidate each, and
with `--retries` others for lines that the reader does not confirm, which then chooses and judges. For each
writer: the share of lines that came to their end, and size and speed of the samples over the prime's, means
over lines; with a reader, the character error rate. Below, for each feature, its geometric mean over the
prime's and its correlation with the prime's over writers. Tables, and benchmarks/results/primed.json, which
is printed as last line.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from hands import error_rate, opened
from report import report

from graves_lm.data.features import Features, features
from graves_lm.data.strokes import StrokeLine
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.trained.handwriting import TextPassage, TrainedHandwriting
from graves_lm.trained.loading import load_trained

PRIME, TEXT = (25, 45), (15, 35)
"""Characters of a prime, and of a text that is written: at least, at most."""


def chosen(store: Any, writers: int, texts: int, seed: int) -> tuple[list[StrokeLine], list[str]]:
    """A line of each of so many writers, and texts of other lines."""
    order = np.random.default_rng(seed).permutation(store.indices("val")).tolist()
    primes: dict[str, int] = {}
    for i in order:
        if store.writers[i] and PRIME[0] <= len(store.texts[i]) <= PRIME[1]:
            primes.setdefault(store.writers[i], i)
    taken = [primes[writer] for writer in sorted(primes)][:writers]
    others = [store.texts[i] for i in order if i not in taken and TEXT[0] <= len(store.texts[i]) <= TEXT[1]]
    return [store[i] for i in taken], others[:texts]


def measured(
    trained: TrainedHandwriting,
    bias: float,
    primes: Sequence[StrokeLine],
    texts: Sequence[str],
    seed: int,
    retries: int,
    reader: Any,
) -> dict[str, Any]:
    """The figures at one bias, printed as they come."""
    styles, ended, strokes = [], [], []
    print(f"bias {bias:g}\n{'writer':>8} {'ended':>6} {'size':>6} {'speed':>6} {'cer':>6}")
    for number, prime in enumerate(primes):
        passage = TextPassage(texts, seed + number, prime, reader=reader if retries else None)
        drawn = trained.write(SynthesisSampler(bias=bias, retries=retries), passage)
        lines = [line.strokes for line, _ in drawn]
        styles.append(np.mean([features(line) for line in lines], axis=0))
        ended.append(float(np.mean([found.stopped for _, found in drawn])))
        ratio = Features(*styles[-1] / np.array(features(prime.strokes)))
        cer = "" if reader is None else f"{error_rate(lines, texts, reader):6.3f}"
        print(f"{prime.writer:>8} {ended[-1]:6.2f} {ratio.size:6.2f} {ratio.speed:6.2f} {cer}", flush=True)
        strokes += lines
    own = np.array([features(prime.strokes) for prime in primes])
    figures: dict[str, Any] = {"ended": round(float(np.mean(ended)), 3)}
    print(f"{'':14} {'ratio':>6} {'correlation':>12}")
    for j, name in enumerate(Features._fields):
        a, b = np.array(styles)[:, j], own[:, j]
        ratio, correlation = float(np.exp(np.log(np.abs(a / b)).mean())), float(np.corrcoef(a, b)[0, 1])
        print(f"{name:14} {ratio:6.2f} {correlation:12.2f}")
        figures |= {f"{name}_ratio": round(ratio, 3), f"{name}_correlation": round(correlation, 3)}
    off = np.abs(np.array(styles)[:, Features._fields.index("size")] / own[:, -1] - 1)
    figures["writers_within_tenth"] = int((off <= 0.1).sum())
    if reader is not None:
        figures["cer"] = round(error_rate(strokes, list(texts) * len(primes), reader), 4)
        print(f"character error rate {figures['cer']:.3f}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", required=True, help="IAM-OnDB")
    parser.add_argument("--cache-dir", default="data")
    parser.add_argument("--ckpt", default="synthesis")
    parser.add_argument("--reader", help="a checkpoint of model=reader")
    parser.add_argument("--biases", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--writers", type=int, default=10)
    parser.add_argument("--texts", type=int, default=6)
    parser.add_argument("--retries", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    trained = load_trained(args.ckpt, task="synthesis")
    reader = load_trained(args.reader, task="reader") if args.reader else None
    primes, texts = chosen(opened(args.source, args.cache_dir), args.writers, args.texts, args.seed)
    figures = {
        f"bias_{bias:g}": measured(trained, bias, primes, texts, args.seed, args.retries, reader)
        for bias in args.biases
    }
    given = {"ckpt": args.ckpt, "writers": len(primes), "texts": len(texts), "retries": args.retries}
    report("primed", {**given, **figures})


if __name__ == "__main__":
    main()
