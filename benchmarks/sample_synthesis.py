"""Drawing handwriting point by point against reading the synthesis network's weights once a point.

A point is one of `SynthesisSampler.events`: a step of the 3×400 network, the stop rule, the drawing of
the point, and what the sampler keeps of it; the text has 29 characters. The floor is torch's products of a
vector (or of 64) with the float32 weights, and nothing around them. At batch 1 a kernel beats it, so there
is a stricter one, `read`: how long torch takes to add the weights up. For comparison, `point`, a step with
stop rule and drawing alone, and the network's own plain step. All run in turn in
this process, a few points at a time; figures are medians. Prints a table, writes
benchmarks/results/sample_synthesis.json, and prints the same as last line.

    python benchmarks/sample_synthesis.py [--repeats 40] [--quick]
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from report import report

from graves_lm.models.synthesis import SynthesisNetwork, Text, past_the_end
from graves_lm.sampling.events import LineDone
from graves_lm.sampling.noise import point_noise
from graves_lm.sampling.packed import PackedNetwork
from graves_lm.sampling.passage import Passage
from graves_lm.sampling.synthesis import SynthesisSampler
from graves_lm.sampling.weights import KINDS

SYMBOLS, LAYERS, H, K, MIXTURES, CHARACTERS = 57, 3, 400, 10, 20, 29


def floors(network: SynthesisNetwork, B: int) -> dict[str, Callable[[], object]]:
    packed = PackedNetwork(network)
    matrices = [layer.matrix for layer in packed.weights.layers] + [
        packed.weights.window,
        packed.weights.output,
    ]
    weights = [m.value_GI.t().contiguous() for m in matrices if m is not None]
    inputs = [torch.randn(B, len(w)) for w in weights]
    outputs = [torch.empty(B, w.shape[1]) for w in weights]
    everything = torch.cat([w.flatten() for w in weights])

    def products() -> None:
        for x, w, y in zip(inputs, weights, outputs, strict=True):
            torch.mm(x, w, out=y)

    return {"products": products} if B > 1 else {"products": products, "read": everything.sum}


def drawn_points(network: SynthesisNetwork, texts: list[list[int]], weights: str) -> Iterator[None]:
    """A point of every line at a time, for ever; eight are drawn together."""
    while True:
        sampler, count = SynthesisSampler(weights=weights, longest_dwell=10**5, batch_size=len(texts)), 0
        for event in sampler.events(network, Passage(texts)):
            if isinstance(event, LineDone):
                break  # from here on fewer lines would be drawn
            count += len(event.point_N3)
            for _ in range(count // len(texts)):
                yield
            count %= len(texts)


def packed_points(network: SynthesisNetwork, texts: list[list[int]]) -> Iterator[None]:
    text, packed = Text.of(texts), PackedNetwork(network)
    state_BS, x_B3 = packed.pack(*network.initial_state(len(texts))), torch.zeros(len(texts), 3)
    for noise in point_noise(MIXTURES, [(0, n) for n in range(len(texts))]):
        x_B3, state_BS, *_ = packed.point(x_B3, state_BS, noise, text=text)
        yield


def plain_points(network: SynthesisNetwork, texts: list[list[int]]) -> Iterator[None]:
    B, text = len(texts), Text.of(texts)
    state, x_B3 = network.initial_state(B), torch.zeros(B, 3)
    for noise in point_noise(MIXTURES, [(0, n) for n in range(B)]):
        distribution, state, phi_BV = network.step(x_B3, text, state)
        past_the_end(phi_BV, text).tolist()
        x_B3 = distribution.point(*noise)
        yield


@torch.inference_mode()
def measure(B: int, repeats: int, points: int) -> dict[str, float]:
    """Median milliseconds a point of `B` lines, each over some points at a time."""
    network = SynthesisNetwork(SYMBOLS, LAYERS, H, MIXTURES, K)
    texts = [torch.randint(SYMBOLS, (CHARACTERS,)).tolist()] * B
    runs: dict[str, Callable[[], object]] = floors(network, B)
    for kind in KINDS if B == 1 else KINDS[:1]:
        runs[kind] = drawn_points(network, texts, kind).__next__
    runs["point"] = packed_points(network, texts).__next__
    runs["plain"] = plain_points(network, texts).__next__
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
    rows = {}
    print(f"{'batch':>5} {'':>9} {'ms a point':>10} {'× floor':>8}")
    for B, points in ((1, 16), (64, 8)):
        row = rows[B] = measure(B, 3 if args.quick else args.repeats, points)
        for name, milliseconds in row.items():
            print(f"{B:5} {name:>9} {milliseconds:10.3f} {milliseconds / row['products']:8.2f}")
    one, many = rows[1], rows[64]
    quickest = min(KINDS[1:], key=one.__getitem__)
    report(
        "sample_synthesis",
        {
            "network": f"{LAYERS}x{H}, K={K}",
            "ms_per_point": round(one["float32"], 3),
            "batch1_over_floor": round(one["float32"] / one["products"], 2),
            "batch1_over_read": round(one["float32"] / one["read"], 2),
            "quantized": quickest,
            "quantized_over_floor": round(one[quickest] / one["products"], 2),
            "quantized_over_read": round(one[quickest] / one["read"], 2),
            "ms_per_point_of": {kind: round(one[kind], 3) for kind in KINDS},
            "floor_ms": {name: round(one[name], 3) for name in ("products", "read")},
            "batch1_plain_over_floor": round(one["plain"] / one["products"], 2),
            "batch64_points_per_second": round(64e3 / many["float32"]),
            "batch64_floor_share": round(many["products"] / many["point"], 3),
            "batch64_floor_share_with_bookkeeping": round(many["products"] / many["float32"], 3),
        },
    )


if __name__ == "__main__":
    main()
