"""Drawing handwriting point by point against reading the synthesis network's weights once a point.

A point is a step of the packed 3×400 network (`sampling.packed`), the stop rule, and the drawing of the
point from the distribution; the text has 29 characters. The floor is the step's products of a vector (or of
64) with the weights and nothing around them. For comparison, the same with the network's own plain step.
All run in turn in this process, a few points at a time; figures are medians. Prints a table and, as last
line, one JSON object.

    python benchmarks/sample_synthesis.py [--repeats 40] [--quick]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from graves_lm.models.synthesis import SynthesisNetwork, Text, past_the_end
from graves_lm.sampling.noise import point_noise
from graves_lm.sampling.packed import PackedSynthesis

SYMBOLS, LAYERS, H, K, MIXTURES, CHARACTERS = 57, 3, 400, 10, 20, 29


def make_floor(packed: PackedSynthesis, B: int) -> Callable[[], None]:
    weights = [layer.weight_IG for layer in packed.layers] + [packed.window_HP, packed.output_IY]
    inputs = [torch.randn(B, len(w)) for w in weights]
    outputs = [torch.empty(B, w.shape[1]) for w in weights]

    def floor() -> None:
        for x, w, y in zip(inputs, weights, outputs, strict=True):
            torch.mm(x, w, out=y)

    return floor


def make_point(network: SynthesisNetwork, step: Callable, B: int) -> Callable[[], None]:
    text = Text.of(torch.randint(SYMBOLS, (B, CHARACTERS)).tolist())
    noise = point_noise(MIXTURES, list(range(B)))
    state, x_B3 = network.initial_state(B), torch.zeros(B, 3)

    def point() -> None:
        nonlocal state, x_B3
        d, state, phi_BV = step(x_B3, text, state)
        past_the_end(phi_BV, text).tolist()
        x_B3 = d.point(*next(noise))

    return point


@torch.inference_mode()
def measure(B: int, repeats: int, points: int) -> dict[str, float]:
    """Median milliseconds a step of `B` rows, each over `points` steps at a time."""
    network = SynthesisNetwork(SYMBOLS, LAYERS, H, MIXTURES, K)
    packed = PackedSynthesis(network)
    runs = {
        "floor": make_floor(packed, B),
        "packed": make_point(network, packed.step, B),
        "plain": make_point(network, network.step, B),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 2):  # the first two warm up
        for name, run in runs.items():
            start = time.perf_counter()
            for _ in range(points):
                run()
            if repeat >= 2:
                times[name].append((time.perf_counter() - start) / points * 1e3)
    return {name: statistics.median(milliseconds) for name, milliseconds in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="three repeats")
    args = parser.parse_args()
    torch.manual_seed(0)
    print(f"{'batch':>6} {'floor ms':>9} {'ms a step':>10} {'× floor':>8} {'plain step':>11}")
    rows = {}
    for B, points in ((1, 20), (64, 4)):
        row = rows[B] = measure(B, 3 if args.quick else args.repeats, points)
        print(
            f"{B:6} {row['floor']:9.3f} {row['packed']:10.3f} {row['packed'] / row['floor']:8.2f} "
            f"{row['plain'] / row['floor']:11.2f}"
        )
    print(
        json.dumps(
            {
                "benchmark": "sample_synthesis",
                "network": f"{LAYERS}x{H}, K={K}",
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "ms_per_point": round(rows[1]["packed"], 3),
                "batch1_over_floor": round(rows[1]["packed"] / rows[1]["floor"], 2),
                "batch1_plain_over_floor": round(rows[1]["plain"] / rows[1]["floor"], 2),
                "batch64_points_per_second": round(64e3 / rows[64]["packed"]),
                "batch64_floor_share": round(rows[64]["floor"] / rows[64]["packed"], 3),
            }
        )
    )


if __name__ == "__main__":
    main()
