"""Whole training steps of stroke prediction and synthesis (3×400, K = 10) against the bare matrix products.

A step is what a trainer does for one batch: forward, loss, backward with clips, clip of the norm, rmsprop.
The lines are like IAM-OnDB's in number and length alone: points lognormal with a mean of 620, 1940 at most,
21.4 points to a character. The loader of training makes batches of them, and only points that are not padding
count: `useful` is their share of all computed in an epoch, `loader share` the part of a step's time that the
loader takes. The floor is the step's matrix products with nothing around them, in the same dtypes. The loop
is the same network by its single steps, on `--loop-steps` points of each line. All run in turn in this
process; times are the least of some repeats, figures the medians over batches of short and of long lines.
Prints a table and, as last line, one JSON object.

    python benchmarks/train_pen.py [--task stroke] [--batch 32 64] [--precision 32-true bf16-mixed] [--quick]
"""

import argparse
import functools
import itertools
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from floor import recurrent_products
from report import report
from torch import Tensor

from graves_lm.data.alphabet import Alphabet
from graves_lm.data.line_batches import LineBatch, LineLoader
from graves_lm.data.line_store import LineStore
from graves_lm.data.strokes import Normalisation
from graves_lm.learning.optim import GravesRMSprop
from graves_lm.models.stroke import StrokeNetwork
from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.nn.products import product, repeated_product, weight_derivative
from graves_lm.runtime.memory import keep_large_blocks

SYMBOLS, LAYERS, H, K, MIXTURES = 57, 3, 400, 10, 20  # the paper's
NETWORKS = {
    "stroke": lambda: StrokeNetwork(LAYERS, H, MIXTURES),
    "synthesis": lambda: SynthesisNetwork(SYMBOLS, LAYERS, H, MIXTURES, K),
}
Network = StrokeNetwork | SynthesisNetwork
POINTS_PER_CHARACTER, LINES = 620 / 29, 10_741


class Batch(NamedTuple):
    x_TB3: Tensor
    valid_TB: Tensor
    text: Text
    points: int

    @classmethod
    def of(cls, batch: LineBatch, steps: int | None = None) -> "Batch":
        """Of a loader's batch, or of its first `steps` predictions."""
        scored_TB = batch.scored_TB[:steps]
        text = Text(batch.symbol_BU, (batch.symbol_BU >= 0).sum(1))
        return cls(batch.point_TB3[: len(scored_TB) + 1], scored_TB, text, int(scored_TB.sum()))


@functools.cache
def make_store(shrink: int) -> LineStore:
    """Lines of random points, 1 / `shrink` as long as IAM-OnDB's."""
    random, sigma = np.random.default_rng(0), 0.35
    lengths = np.exp(np.log(620) - sigma**2 / 2 + sigma * random.standard_normal(LINES)).clip(80, 1940)
    lengths = np.round(lengths / shrink).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    points = random.standard_normal((offsets[-1], 3), dtype=np.float32)
    points[:, 2] = points[:, 2] > 1.7
    alphabet = Alphabet.paper()
    texts = [
        "".join(random.choice(alphabet.characters, max(1, round(n / POINTS_PER_CHARACTER)))) for n in lengths
    ]
    names = [str(i) for i in range(LINES)]
    about = {"ids": names, "texts": texts, "writers": names, "parts": {"train": (0, LINES)}}
    return LineStore(points, offsets, about)


def make_loader(B: int, shrink: int) -> LineLoader:
    """The loader of training, over those lines."""
    normalisation = Normalisation((0.0, 0.0), (1.0, 1.0))
    lines = np.arange(LINES)
    return LineLoader(make_store(shrink), lines, normalisation, B, alphabet=Alphabet.paper(), seed=0)


def nats(network: Network, batch: Batch) -> Tensor:
    text = (batch.text,) if isinstance(network, SynthesisNetwork) else ()
    d, *_ = network(batch.x_TB3[:-1], *text, network.initial_state(len(batch.text.length_B)))
    return -(d.log_prob(batch.x_TB3[1:]) * batch.valid_TB).sum()


def nats_by_steps(network: Network, batch: Batch) -> Tensor:
    text = (batch.text,) if isinstance(network, SynthesisNetwork) else ()
    state, total = network.initial_state(len(batch.text.length_B)), torch.zeros(())
    for t in range(len(batch.valid_TB)):
        d, state, *_ = network.step(batch.x_TB3[t], *text, state)
        total = total - (d.log_prob(batch.x_TB3[t + 1]) * batch.valid_TB[t]).sum()
    return total


def make_step(network: Network, bf16: bool) -> Callable[[Callable[[], Tensor], int], None]:
    optimizer = GravesRMSprop(network.parameters())

    def step(loss: Callable[[], Tensor], points: int) -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            value = loss()
        optimizer.zero_grad()
        (value / points).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()

    return step


def make_floor(task: str, T: int, B: int, dtype: torch.dtype) -> Callable[[], None]:
    """All matrix products of a forward and a backward pass. The window's own are float32 always.

    What a layer of synthesis sees of the window's characters counts as more units of the layer below.
    """
    windowed = task == "synthesis"
    Y, F, N, P = 6 * MIXTURES + 1, H + SYMBOLS * windowed, T * B, 3 * K
    z_TBG, y_NY = torch.randn(T, B, 4 * H, dtype=dtype), torch.randn(N, Y, dtype=dtype)
    x_N3, p_NP = torch.randn(N, 3, dtype=dtype), torch.randn(N, P)
    hs_NL, hw_NF = torch.randn(N, LAYERS * H, dtype=dtype), torch.randn(N, F + 3, dtype=dtype)
    hw_TBF, h_TBH, h32_TBH = (
        hw_NF.view(T, B, F + 3)[..., :F],
        torch.randn(T, B, H, dtype=dtype),
        torch.randn(T, B, H),
    )
    w_G3, w_GF, w_GH, w_GI = (torch.randn(4 * H, n, dtype=dtype) for n in (3, F, H, F + 3))
    w_YL, w_PH = torch.randn(Y, LAYERS * H, dtype=dtype), torch.randn(P, H)
    z_NG, h_NH, h32_NH, p_TBP = z_TBG.view(N, -1), h_TBH.view(N, H), h32_TBH.view(N, H), p_NP.view(T, B, P)

    def floor() -> None:
        product(x_N3, w_G3)
        times_w = repeated_product(w_GF, B)
        for t in range(T):
            times_w(hw_TBF[t])
            if windowed:
                torch.mm(h32_TBH[t], w_PH.t())
        times_w = repeated_product(w_GF.t(), B)
        for t in range(T):
            times_w(z_TBG[t])
            if windowed:
                torch.mm(p_TBP[t], w_PH)
        weight_derivative(z_NG, hw_NF[:, :F]), weight_derivative(z_NG, x_N3)
        if windowed:
            torch.mm(p_NP.t(), h32_NH)
        for _ in range(LAYERS - 1):
            product(hw_NF, w_GI)
            recurrent_products(w_GH, h_TBH, z_TBG)
            product(z_NG, w_GI.t()), weight_derivative(z_NG, hw_NF), weight_derivative(z_NG, h_NH)
        product(hs_NL, w_YL), product(y_NY, w_YL.t()), weight_derivative(y_NY, hs_NL)

    return floor


def seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(
    task: str, B: int, precision: str, repeats: int, count: int, shrink: int, loop_steps: int
) -> dict[str, float]:
    torch.manual_seed(0)
    network = NETWORKS[task]()
    bf16 = precision == "bf16-mixed"
    step = make_step(network, bf16)
    loader = make_loader(B, shrink)
    plan = sorted(
        (lines for lines in loader.plan(0) if len(lines) == B), key=lambda i: loader.store.lengths[i].max()
    )
    plans = [plan[round((i + 0.5) * len(plan) / count)] for i in range(count)]  # from short to long
    short = Batch.of(loader.batch(plans[0]), loop_steps)
    dtype = torch.bfloat16 if bf16 else torch.float32
    floors = [make_floor(task, int(loader.store.lengths[lines].max()) - 1, B, dtype) for lines in plans]

    points = [int(loader.store.lengths[lines].sum()) - B for lines in plans]  # a line's first is given
    ours, floor, loading = ([[] for _ in plans] for _ in range(3))
    loop, short_ours = [], []
    for repeat in range(repeats + 1):  # the first warms up
        for n, (lines, make_products) in enumerate(zip(plans, floors, strict=True)):
            products = seconds(make_products)
            start = time.perf_counter()
            batch = Batch.of(loader.batch(lines))
            loaded = time.perf_counter() - start
            step(lambda batch=batch: nats(network, batch), batch.points)
            taken = time.perf_counter() - start
            if repeat:
                floor[n].append(products)
                ours[n].append(taken)
                loading[n].append(loaded / taken)
        times = (
            seconds(lambda: step(lambda: nats_by_steps(network, short), short.points)),
            seconds(lambda: step(lambda: nats(network, short), short.points)),
        )
        if repeat:
            loop.append(times[0])
            short_ours.append(times[1])
    least = [min(times) for times in ours]  # whatever else a machine does only adds
    return {
        "task": task,
        "batch": B,
        "precision": precision,
        "points_per_second": round(statistics.median(n / o for n, o in zip(points, least, strict=True))),
        "floor_share": round(statistics.median(min(f) / o for f, o in zip(floor, least, strict=True)), 3),
        "speedup_over_autograd_loop": round(
            statistics.median(s / o for s, o in zip(loop, short_ours, strict=True)), 2
        ),
        "useful_share": round(1 - loader.padding_share(), 3),
        "loader_share": round(statistics.median(itertools.chain(*loading)), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--batch", type=int, nargs="+", default=[16, 64])
    parser.add_argument(
        "--precision", nargs="+", default=["32-true", "bf16-mixed"], choices=["32-true", "bf16-mixed"]
    )
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--batches", type=int, default=2, help="batches of different lengths")
    parser.add_argument("--loop-steps", type=int, default=100, help="points a line for the autograd loop")
    parser.add_argument("--quick", action="store_true", help="lines an eighth as long, one batch")
    args = parser.parse_args()
    if args.quick:
        args.batches, args.loop_steps = 1, 20
    keep_large_blocks()
    print(
        f"{'task':>10} {'batch':>6} {'precision':>10} {'points/s':>9} {'floor share':>12} "
        f"{'× autograd loop':>16} {'useful':>7} {'loader share':>13}"
    )
    rows = []
    shrink = 8 if args.quick else 1
    for task, precision, B in itertools.product(args.task, args.precision, args.batch):
        row = measure(task, B, precision, args.repeats, args.batches, shrink, args.loop_steps)
        rows.append(row)
        print(
            f"{task:>10} {B:6} {precision:>10} {row['points_per_second']:9} {row['floor_share']:12} "
            f"{row['speedup_over_autograd_loop']:16} {row['useful_share']:7} {row['loader_share']:13}",
            flush=True,
        )
    report(
        "train_pen",
        {
            "network": f"{LAYERS}x{H}, K={K}",
            "autograd_loop_steps": args.loop_steps,
            "quick": args.quick,
            "points_per_second": max(row["points_per_second"] for row in rows),
            "floor_share": min(row["floor_share"] for row in rows if row["batch"] == max(args.batch)),
            "speedup_over_autograd_loop": min(row["speedup_over_autograd_loop"] for row in rows),
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
