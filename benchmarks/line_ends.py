"""Where drawn lines end, and how long their pens rest, beside real lines.

Each has a statement that does not use the rule it judges:

    ends    the rule of `sampling.end_of_line` on real lines as the network reads them, whose last point is
            known, followed by a stroke that begins further right: it ends them with their last point; before
            it, where what is lacking goes back (a bar, a dot) or goes on (a letter); or late
    rests   lines with a rest of over 20, 50, 100 points: points of one stroke within 20 data units each way
    cut     drawn lines that the cap ended, or a window that stood still

Drawn are, by one candidate each and without retries, twenty texts with dates, prices, telephone numbers and
names four times, and 120 held-out sentences. Prints a table, writes benchmarks/results/line_ends.json, and
prints the same as last line.

    python benchmarks/line_ends.py --source IAM [--ckpt synthesis] [--biases 0 0.5 0.75 1] [--quick]
"""

import argparse

import numpy as np
import torch
from numpy.typing import NDArray
from report import report

from graves_lm.data.iam.corpus import IamData
from graves_lm.data.line_batches import collate
from graves_lm.data.strokes import StrokeLine
from graves_lm.models.synthesis import Text
from graves_lm.nn.window import WindowParameters, window_weights
from graves_lm.sampling.end_of_line import EndOfLine, EndSettings, Known, Look
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.trained.handwriting import TextPassage, TrainedHandwriting
from graves_lm.trained.loading import load_trained

TEXTS = (
    *("On 14 March 1984, it rained.", "Call 01 44 27 60 before 9.", "Price: 3.50 pounds, or 12 for 40"),
    *("Dr. Zoe Quinn, Vienna, 1936", "Under the bridge of 1872", "The year 1984: a review"),
    *("Room 207, 2nd floor; ask for Max", "Mr. Xavier Young & Sons, Ltd.", "10 + 25 is what he said"),
    *("Tel. (0171) 938 2264", '"Yes", said Jane, "at 8.30!"', "Flight BA 286 leaves at 17:45"),
    *("He was born in 1879 in Ulm", "New York, NY 10027", "Invoice No. 5681/93", "Is it 6 or 7? Who knows!"),
    *(
        "Karl & Eva Zweig, Graz",
        "Chapter 4: The Zoo",
        "Total: 1,299.00 (incl. VAT)",
        "Zoe ate 8 figs in Quebec",
    ),
)
BOX, OVER = 20.0, (20, 50, 100)
BATCH = 16


def longest_rest(strokes: NDArray[np.float32]) -> int:
    """The most points of one stroke in a row within a square of `BOX` data units; strokes (T, 3)."""
    xy_T2, stroke_T = np.cumsum(strokes[:, :2], 0), np.cumsum(strokes[:, 2] > 0.5) - (strokes[:, 2] > 0.5)
    longest = begin = 0
    for t in range(len(strokes)):
        while stroke_T[begin] != stroke_T[t] or np.ptp(xy_T2[begin : t + 1], axis=0).max() > BOX:
            begin += 1
        longest = max(longest, t + 1 - begin)
    return longest


def rests(lines: list[StrokeLine]) -> dict[str, float]:
    """The share of lines with a rest of more than so many points."""
    longest = np.array([longest_rest(line.strokes[1:]) for line in lines])
    return {f"rests_over_{points}": round(float((longest > points).mean()), 4) for points in OVER}


@torch.inference_mode()
def ends(trained: TrainedHandwriting, lines: list[StrokeLine]) -> dict[str, float]:
    """How the rule ends real lines, shares of all."""
    found = []
    for start in range(0, len(lines), BATCH):
        some = lines[start : start + BATCH]
        batch = collate(some, trained.normalisation, trained.alphabet)
        text = Text(batch.symbol_BU, (batch.symbol_BU >= 0).sum(1))
        state = trained.network.initial_state(len(some))
        _, _, attention = trained.network(batch.point_TB3, text, state)
        for row, line in enumerate(some):
            T, U = len(line.strokes) - 1, len(line.text)
            window = WindowParameters(*(v[: T + 1, row] for v in attention))
            phi_TV = window_weights(window, U + 1)
            found.append(_end(batch.point_TB3[1 : T + 1, row].numpy(), phi_TV, line.strokes[1:, 0]))
    kinds = ("exact", "bar_or_dot_lacks", "letter_lacks", "late")
    return {kind: round(found.count(kind) / len(found), 4) for kind in kinds}


def _end(point_T3: NDArray[np.float32], phi_TV: torch.Tensor, dx_T: NDArray[np.float32]) -> str:
    T, U, last = len(point_T3), phi_TV.shape[1] - 1, None
    rule, length_1 = EndOfLine(EndSettings()), torch.tensor([U])
    known_1E = rule.begin([U])
    for t, phi_V in enumerate(phi_TV):
        text_V, after = phi_V[:U], phi_V[U]
        look = Look(phi_V[None], length_1, (after > text_V.max())[None], text_V.argmax()[None])
        point_3 = torch.from_numpy(point_T3[t]) if t < T else torch.tensor([3.0, 0.0, 0.0])
        known_1E = rule.add(known_1E, point_3[None], look)
        known = Known(*known_1E.unbind(1))
        if known.ended > 0:
            last = int(known.points) - 1
            break
    if last is None or last >= T:
        return "late"
    if last == T - 1:
        return "exact"
    x_T = np.cumsum(dx_T)
    goes_on = point_T3[last, 2] < 0.5 or x_T[last + 1 :].max() > x_T[: last + 1].max() + BOX
    return "letter_lacks" if goes_on else "bar_or_dot_lacks"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", required=True, help="the folder with IAM-OnDB's files")
    parser.add_argument("--cache", default="data")
    parser.add_argument("--ckpt", default="synthesis")
    parser.add_argument("--biases", type=float, nargs="+", default=[0.0, 0.5, 0.75, 1.0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the lines")
    args = parser.parse_args()
    trained = load_trained(args.ckpt, "synthesis")
    assert isinstance(trained, TrainedHandwriting)
    data = IamData(source=args.source, cache_dir=args.cache)
    data.prepare()
    data.open()
    share = 10 if args.quick else 1
    order = np.random.default_rng(0).permutation(data.store.indices("val"))[: 1400 // share]
    real = [data.store[i] for i in order]
    texts = [*TEXTS * 4, *(line.text for line in real[:120])][::share]
    rows = {"real": {**rests(real), **ends(trained, sorted(real, key=lambda line: len(line.strokes)))}}
    print(f"{len(real)} real lines: {rows['real']}")
    for bias in args.biases:
        drawn = trained.write(SynthesisSampler(bias=bias), TextPassage(texts, seed=0))
        cut = float(np.mean([not r.stopped for _, r in drawn]))
        rows[f"bias {bias:g}"] = {**rests([line for line, _ in drawn]), "cut": round(cut, 4)}
        print(f"{len(drawn)} lines at bias {bias:g}: {rows[f'bias {bias:g}']}")
    report("line_ends", {"ckpt": args.ckpt, "rows": rows})


if __name__ == "__main__":
    main()
