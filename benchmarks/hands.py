"""The package's hands: how they are made, and how much what is written in them varies.

    python benchmarks/hands.py make [--seed 0] [--candidates 240] [--hands 24] [--reader CKPT]
    python benchmarks/hands.py measure --source IAM [--draws 20] [--bias 0.75] [--reader CKPT]
    python benchmarks/hands.py mix [--source IAM] [--pairs 12] [--bias 0.75] [--reader reader]

`make` lets the network draw a text many times, with hardly a bias. Of the lines without faults that are no
outliers it takes the middle one, and then again and again the one whose style is furthest from those taken
(slant, size, speed, stroke length and curvature, each over its standard deviation). A hand is kept if what is
written in it has no faults. A reader takes lines of which it reads all, without strokes that are none of the
text's, and keeps hands of which it can read what is written in them. Writes pretrained/hands.json beside the
weights, and docs/pictures/hands.png.

`measure` draws one text with so many seeds, with the default settings, and takes a line each of as many
writers of IAM-OnDB's validation: the standard deviation of each feature over the lines, and of the drawn ones
over the writers'; with a reader, the character error rate. A table, and benchmarks/results/hands.json, which
is printed as last line.

`mix` takes pairs of hands, the package's or with `--source` lines of validation writers, whose styles are far
apart, and draws two texts in each, and in mixtures of 3 to 1, half and half and 1 to 3: where between the two
each feature comes to lie (0 the one, 1 the other; of pairs that differ in it by a standard deviation), how
many of those means are between both, and with a reader the character error rate of hands and of mixtures.
benchmarks/results/hands_mixed.json.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from report import report

from graves_lm.data.features import Features, features
from graves_lm.data.iam.corpus import IamData
from graves_lm.data.strokes import StrokeLine
from graves_lm.rendering.png import strokes_to_png
from graves_lm.rendering.points import strokes_to_json
from graves_lm.runtime.files import write
from graves_lm.sampling.events import whole_lines
from graves_lm.sampling.passage import Passage
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.trained.blend import Blend
from graves_lm.trained.handwriting import TextPassage, TrainedHandwriting
from graves_lm.trained.loading import load_trained
from graves_lm.trained.prime import prime_of
from graves_lm.writing.hands import BANK, hands_of
from graves_lm.writing.writer import Writer

SHOWN = "the man by the house and sea"
"""Letters that are common, and among them tall ones, deep ones and round ones."""
TRIED = "many of them wanted to go"
"""What is written in a hand to see whether it does as a prime."""
DRAWN = "the quiet garden was full of light"
"""What is written in all hands to see how they differ."""
LOW_BIAS, BIAS = 0.25, 0.75
LEGIBLE = 0.05  # the largest character error rate of a line in a hand that is kept
OUTLIER = 2.5  # standard deviations from the middle
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "hands.png"


def error_rate(lines: Sequence[Any], texts: Sequence[str], reader: Any) -> float:
    """Of what the reader reads: errors over characters, spaces aside."""
    from graves_lm.evaluation.reading import ReadLine, error_rates

    return error_rates(list(map(ReadLine, texts, reader.read(lines))))["cer"]


# --- make -----------------------------------------------------------------------------------------


def furthest_first(points_NF: NDArray[np.float64]) -> list[int]:
    """All numbers of the points: the middle one, then each time the one furthest from all before it."""
    order = [int(np.abs(points_NF - np.median(points_NF, axis=0)).sum(1).argmin())]
    distance_N = np.linalg.norm(points_NF - points_NF[order[0]], axis=1)
    while len(order) < len(points_NF):
        order.append(int(distance_N.argmax()))
        distance_N = np.minimum(distance_N, np.linalg.norm(points_NF - points_NF[order[-1]], axis=1))
    return order


def candidates(trained: TrainedHandwriting, count: int, seed: int, reader: Any) -> list[StrokeLine]:
    """Lines in hands of the network's own, without faults and outliers, in the order of `furthest_first`."""
    sampler = SynthesisSampler(bias=LOW_BIAS, misread=0.0)
    drawn = trained.write(sampler, TextPassage([SHOWN] * count, seed, reader=reader))
    lines = [line for line, found in drawn if not any(found.faults)]
    style_NF = np.array([features(line.strokes) for line in lines])
    style_NF = (style_NF - np.median(style_NF, axis=0)) / style_NF.std(axis=0)
    usual = np.flatnonzero((np.abs(style_NF) < OUTLIER).all(axis=1))
    print(f"{count} lines drawn, {len(lines)} without faults, {len(usual)} of them no outliers")
    return [lines[usual[i]] for i in furthest_first(style_NF[usual])]


def does(trained: TrainedHandwriting, line: StrokeLine, seed: int, reader: Any) -> bool:
    """Whether what is written in a hand has no faults and can be read. Size does not matter here."""
    prime = prime_of(line, trained.normalisation, trained.alphabet)
    passage = Passage([trained.alphabet.encode(TRIED).tolist()], seed, prime)
    (drawn,) = whole_lines(SynthesisSampler(bias=BIAS).events(trained.network, passage))
    if any(drawn.report.faults):
        return False
    strokes = trained.normalisation.invert(np.array(drawn.points, np.float32))
    return reader is None or error_rate([strokes], [TRIED], reader) <= LEGIBLE


def make(args: argparse.Namespace, trained: TrainedHandwriting, reader: Any) -> None:
    kept: list[StrokeLine] = []
    for line in candidates(trained, args.candidates, args.seed, reader):
        if does(trained, line, args.seed, reader):
            kept.append(line)
            print(f"hand {len(kept)}: {describe(features(line.strokes))}", flush=True)
        if len(kept) == args.hands:
            break
    document = json.loads(strokes_to_json([line.strokes for line in kept], [SHOWN] * len(kept)))
    for hand in document["lines"]:  # whole units, as IAM-OnDB has them
        hand["points"] = [[round(x), round(y), pen] for x, y, pen in hand["points"]]
    document["normalisation"] = trained.normalisation.to_plain()
    document["about"] = (
        f"drawn by {args.ckpt}, benchmarks/hands.py make --seed {args.seed} --candidates {args.candidates} "
        f"--hands {args.hands}{' --reader' if reader else ''}; under the licence of those weights"
    )
    write(BANK, json.dumps(document, separators=(",", ":")) + "\n")
    write(PICTURE, strokes_to_png([line.strokes for line in kept]))
    print(f"{BANK}: {len(kept)} hands, {BANK.stat().st_size:,} bytes")


def describe(found: Features) -> str:
    return "  ".join(f"{name} {value:.3g}" for name, value in found._asdict().items())


# --- measure --------------------------------------------------------------------------------------


def opened(source: str, cache_dir: str) -> Any:
    """The lines of IAM-OnDB, prepared and open."""
    data = IamData(source=source, cache_dir=cache_dir)
    data.prepare()
    data.open()
    return data.store


def writers(store: Any, count: int, seed: int) -> list[StrokeLine]:
    """A validation line each of so many writers."""
    order = np.random.default_rng(seed).permutation(store.indices("val")).tolist()
    named = [i for i in order if store.writers[i] and len(store.texts[i]) >= 15]
    lines = {store.writers[i]: store[i] for i in named}
    return [lines[writer] for writer in sorted(lines)][:count]


def measure(args: argparse.Namespace, trained: TrainedHandwriting, reader: Any) -> None:
    writer = Writer(trained)
    pages = [writer.write(DRAWN, seed=seed, bias=args.bias) for seed in range(args.draws)]
    lines = [page.strokes[0] for page in pages]
    real = writers(opened(args.source, args.cache_dir), args.draws, args.seed)
    spread = np.array([features(line) for line in lines]).std(axis=0, ddof=1)
    spread_real = np.array([features(line.strokes) for line in real]).std(axis=0, ddof=1)
    print(f"{'standard deviation':20} {'drawn':>9} {'writers':>9} {'ratio':>6}")
    for name, a, b in zip(Features._fields, spread, spread_real, strict=True):
        print(f"{name:20} {a:9.3g} {b:9.3g} {a / b:6.2f}")
    figures: dict[str, Any] = {
        "ckpt": args.ckpt,
        "bias": args.bias,
        "draws": len(lines),
        "writers": len(real),
        "spread": dict(zip(Features._fields, np.round(spread / spread_real, 3).tolist(), strict=True)),
        "with_faults": sum(bool(page.warnings) for page in pages),
    }
    if reader is not None:
        figures["cer"] = round(error_rate(lines, [DRAWN] * len(lines), reader), 4)
        print(f"character error rate {figures['cer']:.3f}")
    if args.picture:
        write(args.picture, strokes_to_png(lines))
    report("hands", figures)


# --- mix ------------------------------------------------------------------------------------------

SHARES = (0.25, 0.5, 0.75)


def far_apart(lines: Sequence[StrokeLine], pairs: int) -> list[tuple[StrokeLine, StrokeLine]]:
    """Pairs of lines, those with the most different styles first, each line in two of them at most."""
    style_NF = np.array([features(line.strokes) for line in lines])
    style_NF /= style_NF.std(axis=0)
    distance_NN = np.linalg.norm(style_NF[:, None] - style_NF[None], axis=2)
    taken, found = np.zeros(len(lines), int), []
    for i, j in zip(*np.unravel_index(np.argsort(-distance_NN, axis=None), distance_NN.shape), strict=True):
        if i < j and max(taken[i], taken[j]) < 2 and len(found) < pairs:
            taken[[i, j]] += 1
            found.append((lines[i], lines[j]))
    return found


def mix(args: argparse.Namespace, trained: TrainedHandwriting, reader: Any) -> None:
    if args.source:
        real = writers(opened(args.source, args.cache_dir), 4 * args.pairs, args.seed)
        hands = [line for line in real if set(line.text) <= set(trained.alphabet.characters)]
    else:
        hands = list(hands_of(trained.normalisation, trained.alphabet))
    sampler = SynthesisSampler(bias=args.bias)
    texts = [text for text in (DRAWN, TRIED) for _ in range(args.draws // 2)]

    def drawn(style: StrokeLine | Blend) -> tuple[NDArray[np.float64], list[Any]]:
        written = trained.write(sampler, TextPassage(texts, args.seed, style))
        lines = [line.strokes for line, _ in written]
        return np.array([features(line) for line in lines]).mean(axis=0), lines

    place_PSF, ends, mixed = [], [], []
    spread_F = np.array([features(line.strokes) for line in hands]).std(axis=0)
    for a, b in far_apart(hands, args.pairs):
        (at_0_F, lines_0), (at_1_F, lines_1) = drawn(a), drawn(b)
        ends += [*lines_0, *lines_1]
        places = []
        for share in SHARES:
            between_F, lines = drawn(Blend([a, b], [1 - share, share]))
            mixed += lines
            apart_F = np.where(np.abs(at_1_F - at_0_F) < spread_F, np.nan, at_1_F - at_0_F)
            places.append((between_F - at_0_F) / apart_F)
        place_PSF.append(places)
        print(f"{a.id} and {b.id}: {np.round(np.transpose(places), 2).tolist()}", flush=True)
    places = np.array(place_PSF)
    known = ~np.isnan(places)
    inside = ((places > 0) & (places < 1) & known).sum(axis=(0, 1)) / known.sum(axis=(0, 1))
    median_SF = np.nanmedian(places, axis=0)
    print(f"{'':14} {'pairs':>6} " + " ".join(f"{share:>6}" for share in SHARES) + "  between")
    for f, name in enumerate(Features._fields):
        row = " ".join(f"{median_SF[s, f]:6.2f}" for s in range(len(SHARES)))
        print(f"{name:14} {known[:, 0, f].sum():6} {row} {inside[f]:8.2f}")
    figures: dict[str, Any] = {"ckpt": args.ckpt, "bias": args.bias, "pairs": len(places)}
    figures["hands"] = "validation writers" if args.source else "the package's"
    for f, name in enumerate(Features._fields):
        figures[name] = {"at": np.round(median_SF[:, f], 3).tolist(), "between": round(float(inside[f]), 3)}
    if reader is not None:
        for name, lines in (("cer_hands", ends), ("cer_mixed", mixed)):
            figures[name] = round(error_rate(lines, texts * (len(lines) // len(texts)), reader), 4)
        print(f"character error rate: hands {figures['cer_hands']:.4f}, mixed {figures['cer_mixed']:.4f}")
    report("hands_mixed", figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", choices=("make", "measure", "mix"))
    parser.add_argument("--ckpt", default="synthesis")
    parser.add_argument("--reader", help="a checkpoint of model=reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--candidates", type=int, default=240)
    parser.add_argument("--hands", type=int, default=24)
    parser.add_argument("--source", help="IAM-OnDB")
    parser.add_argument("--cache-dir", default="data")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--bias", type=float, default=BIAS)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    trained = load_trained(args.ckpt, task="synthesis")
    reader = load_trained(args.reader, task="reader") if args.reader else None
    {"make": make, "measure": measure, "mix": mix}[args.work](args, trained, reader)


if __name__ == "__main__":
    main()
