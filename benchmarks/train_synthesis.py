"""Whole training steps of the synthesis network (3×400, K = 10) against its matrix products alone.

A step is what a trainer does for one batch: forward, loss, backward with clips, clip of the norm, rmsprop.
The batches are like IAM-OnDB's in their lengths alone: points lognormal with a mean of 620, 1940 at most,
21.4 points to a character; lines of a batch are neighbours in length, so that little is padding, and only
points that are not padding count. The floor is the step's matrix products with nothing around them, in the
same dtypes. The autograd loop is the same network by its single steps, on `--loop-steps` points of each line.
All run in turn in this process; figures are medians. Prints a table and, as last line, one JSON object.

    python benchmarks/train_synthesis.py [--batch 32 64] [--precision 32-true bf16-mixed] [--quick]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from graves_lm.memory import keep_large_blocks
from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.optim import GravesRMSprop

SYMBOLS, LAYERS, H, K, MIXTURES = 57, 3, 400, 10, 20  # the paper's
POINTS_PER_CHARACTER = 620 / 29


class Batch(NamedTuple):
    x_TB3: Tensor
    valid_TB: Tensor
    text: Text

    @property
    def points(self) -> int:
        """Predicted points: row 0 of a line is not predicted."""
        return int(self.valid_TB[1:].sum())


def draw_batches(B: int, count: int, shrink: int) -> list[Batch]:
    """`count` batches at equal steps of the distribution of lengths."""
    generator = torch.Generator().manual_seed(0)
    sigma = 0.35
    log_mean = torch.tensor(620.0).log() - sigma**2 / 2
    lengths = (log_mean + sigma * torch.randn(40 * B, generator=generator)).exp().clamp(80, 1940)
    lengths = (lengths / shrink).round().long().sort().values
    batches = []
    for i in range(count):
        length_B = lengths.view(40, B)[round((i + 0.5) * 40 / count)]
        T = int(length_B.max())
        x = torch.randn(T, B, 3, generator=generator)
        x[..., 2] = (x[..., 2] > 1.7).float()
        characters = (length_B / POINTS_PER_CHARACTER).round().long().clamp_min(1)
        rows = [torch.randint(SYMBOLS, (int(n),), generator=generator).tolist() for n in characters]
        batches.append(Batch(x, torch.arange(T).unsqueeze(1) < length_B, Text.of(rows)))
    return batches


def nats(network: SynthesisNetwork, batch: Batch) -> Tensor:
    d, _, _ = network(batch.x_TB3[:-1], batch.text, network.initial_state(len(batch.text.length_B)))
    return -(d.log_prob(batch.x_TB3[1:]) * batch.valid_TB[1:]).sum()


def nats_by_steps(network: SynthesisNetwork, batch: Batch, T: int) -> Tensor:
    state, total = network.initial_state(len(batch.text.length_B)), torch.zeros(())
    for t in range(T):
        d, state, _ = network.step(batch.x_TB3[t], batch.text, state)
        total = total - (d.log_prob(batch.x_TB3[t + 1]) * batch.valid_TB[t + 1]).sum()
    return total


def make_step(network: SynthesisNetwork, bf16: bool) -> Callable[[Callable[[], Tensor], int], None]:
    optimizer = GravesRMSprop(network.parameters())

    def step(loss: Callable[[], Tensor], points: int) -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            value = loss()
        optimizer.zero_grad()
        (value / points).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()

    return step


def make_floor(T: int, B: int, dtype: torch.dtype) -> Callable[[], None]:
    """All matrix products of a forward and a backward pass. The window's own are float32 always."""
    Y, F, N, P = 6 * MIXTURES + 1, H + SYMBOLS, T * B, 3 * K
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
    sum_BG, dhw_BF, dh_BH = (torch.empty(B, n, dtype=dtype) for n in (4 * H, F, H))
    p_BP, dh32_BH = torch.empty(B, P), torch.empty(B, H)
    z_NG, h_NH, h32_NH, p_TBP = z_TBG.view(N, -1), h_TBH.view(N, H), h32_TBH.view(N, H), p_NP.view(T, B, P)

    def floor() -> None:
        torch.mm(x_N3, w_G3.t())
        for t in range(T):
            torch.mm(hw_TBF[t], w_GF.t(), out=sum_BG)
            torch.mm(h32_TBH[t], w_PH.t(), out=p_BP)
        for t in range(T):
            torch.mm(z_TBG[t], w_GF, out=dhw_BF)
            torch.mm(p_TBP[t], w_PH, out=dh32_BH)
        torch.mm(z_NG.t(), hw_NF[:, :F]), torch.mm(z_NG.t(), x_N3), torch.mm(p_NP.t(), h32_NH)
        for _ in range(LAYERS - 1):
            torch.mm(hw_NF, w_GI.t())
            for t in range(T):
                torch.mm(h_TBH[t], w_GH.t(), out=sum_BG)
            for t in range(T):
                torch.mm(z_TBG[t], w_GH, out=dh_BH)
            torch.mm(z_NG, w_GI), torch.mm(z_NG.t(), hw_NF), torch.mm(z_NG.t(), h_NH)
        torch.mm(hs_NL, w_YL.t()), torch.mm(y_NY, w_YL), torch.mm(y_NY.t(), hs_NL)

    return floor


def seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(
    B: int, precision: str, repeats: int, count: int, shrink: int, loop_steps: int
) -> dict[str, float]:
    torch.manual_seed(0)
    network = SynthesisNetwork(SYMBOLS, LAYERS, H, MIXTURES, K)
    bf16 = precision == "bf16-mixed"
    step = make_step(network, bf16)
    batches = draw_batches(B, count, shrink)
    short = batches[0]
    short = Batch(short.x_TB3[: loop_steps + 1], short.valid_TB[: loop_steps + 1], short.text)
    floors = [make_floor(len(b.x_TB3) - 1, B, torch.bfloat16 if bf16 else torch.float32) for b in batches]

    ours, floor, loop, short_ours = ([] for _ in range(4))
    for repeat in range(repeats + 1):  # the first warms up
        for b, batch in enumerate(batches):
            times = (
                seconds(floors[b]),
                seconds(lambda batch=batch: step(lambda: nats(network, batch), batch.points)),
            )
            if repeat:
                floor.append(times[0] / batch.points)
                ours.append(times[1] / batch.points)
        times = (
            seconds(lambda: step(lambda: nats_by_steps(network, short, loop_steps), short.points)),
            seconds(lambda: step(lambda: nats(network, short), short.points)),
        )
        if repeat:
            loop.append(times[0])
            short_ours.append(times[1])
    padded = sum(b.valid_TB[1:].numel() for b in batches)
    return {
        "batch": B,
        "precision": precision,
        "points_per_second": round(1 / statistics.median(ours)),
        "floor_share": round(statistics.median(f / o for f, o in zip(floor, ours, strict=True)), 3),
        "speedup_over_autograd_loop": round(
            statistics.median(s / o for s, o in zip(loop, short_ours, strict=True)), 2
        ),
        "useful_share": round(sum(b.points for b in batches) / padded, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 64])
    parser.add_argument(
        "--precision", nargs="+", default=["32-true", "bf16-mixed"], choices=["32-true", "bf16-mixed"]
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batches", type=int, default=3, help="batches of different lengths")
    parser.add_argument("--loop-steps", type=int, default=100, help="points a line for the autograd loop")
    parser.add_argument("--quick", action="store_true", help="lines an eighth as long, one batch, one repeat")
    args = parser.parse_args()
    if args.quick:
        args.repeats, args.batches, args.loop_steps = 1, 1, 20
    keep_large_blocks()
    print(
        f"{'batch':>6} {'precision':>10} {'points/s':>9} {'floor share':>12} "
        f"{'× autograd loop':>16} {'useful':>7}"
    )
    rows = []
    for precision in args.precision:
        for B in args.batch:
            row = measure(B, precision, args.repeats, args.batches, 8 if args.quick else 1, args.loop_steps)
            rows.append(row)
            print(
                f"{B:6} {precision:>10} {row['points_per_second']:9} {row['floor_share']:12} "
                f"{row['speedup_over_autograd_loop']:16} {row['useful_share']:7}",
                flush=True,
            )
    print(
        json.dumps(
            {
                "benchmark": "train_synthesis",
                "network": f"{LAYERS}x{H}, K={K}",
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "autograd_loop_steps": args.loop_steps,
                "quick": args.quick,
                "points_per_second": max(row["points_per_second"] for row in rows),
                "floor_share": min(row["floor_share"] for row in rows),
                "speedup_over_autograd_loop": min(row["speedup_over_autograd_loop"] for row in rows),
                "rows": rows,
            }
        )
    )


if __name__ == "__main__":
    main()
