"""How time and memory of training grow with T, B, H and layers, each doubled four times.

The network is that of stroke prediction; a step is forward, loss and backward in float32. Time is the
shortest of some steps; memory the process's peak during a first step, less what it held before, weights and
derivatives in that. A slope is the exponent of a power law, fitted over all five sizes: 1 is "twice as much
for twice as much". `predicted` is the formula of docs/performance.md. The rows `segments` double T again, in
segments of 100 steps that are run twice. Linux alone tells peaks. Prints a table and, as last line, one JSON
object.

    python benchmarks/growth.py [--repeats 3] [--axes T B H layers segments]
"""

import argparse
import math
import re
import time
from pathlib import Path

import numpy as np
import torch
from report import report

from graves_lm.models.stroke import StrokeNetwork
from graves_lm.nn.segments import over_segments
from graves_lm.nn.stack import StackState
from graves_lm.runtime.memory import give_back_free_memory, keep_large_blocks

BASE = {"T": 100, "B": 16, "H": 64, "layers": 1}
AXES = {axis: axis for axis in BASE} | {"segments": "T"}  # what is doubled
SEGMENT = 100
OUTPUTS, MIXTURE_NUMBERS = 121, 1800  # ŷ of a point, and what the density of one keeps for its derivative


def predicted_bytes(T: int, B: int, H: int, layers: int, segment: int | None = None) -> int:
    """Of a training step in float32: what each point keeps for the way back, the larger of what the loss and
    the way back through a layer need beside it, weights and their derivatives. In segments, that for one
    of them, and the states between them."""
    kept = layers * 6 * H + layers * H  # c, h and four gates a layer; the layers side by side
    in_layer = 2 * layers * H + 9 * H  # derivatives by all h; those of a layer's sums, and both laid out anew
    matrix, others = 4 * H * H, layers * (4 * H * 3 + 7 * H + OUTPUTS * H)
    weights = (2 * layers - 1) * matrix + others
    together = min(T, segment or T)
    states = T // together * B * 2 * layers * H
    return 4 * (together * B * (kept + max(MIXTURE_NUMBERS, in_layer)) + states + 2 * weights + 4 * matrix)


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def peak_bytes(run) -> int:
    """The process's peak while `run` runs, less what it held before."""
    give_back_free_memory()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def measure(
    T: int, B: int, H: int, layers: int, segment: int | None = None, *, repeats: int
) -> dict[str, float]:
    """Seconds and peak bytes of a training step."""
    x_TB3 = torch.randn(T + 1, B, 3)
    x_TB3[..., 2] = (x_TB3[..., 2] > 1).float()
    network: list[StrokeNetwork] = []

    def nats_of(steps: slice, state: StackState) -> tuple[torch.Tensor, StackState]:
        d, after = network[0](x_TB3[:-1][steps], state)
        return -d.log_prob(x_TB3[1:][steps]).sum(), after

    def step() -> None:
        if not network:
            network.append(StrokeNetwork(layers, H, recurrent_init="uniform"))
        over_segments(nats_of, T, segment, network[0].initial_state(B))[0].backward()

    peak, seconds = peak_bytes(step), []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return {"seconds": min(seconds), "bytes": peak}


def slope(sizes: list[int], figures: list[float]) -> float:
    """The exponent of a power law through the figures."""
    return round(float(np.polyfit(np.log(sizes), np.log(figures), 1)[0]), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--axes", nargs="+", default=list(AXES), choices=list(AXES))
    args = parser.parse_args()
    keep_large_blocks()
    measure(**BASE, repeats=1)  # what is loaded and compiled once
    rows, slopes = [], {}
    print(f"{'':>8} {'size':>6} {'ms':>9} {'MB':>8} {'predicted':>10} {'time ×':>7} {'memory ×':>9}")
    for axis in args.axes:
        doubled = AXES[axis]
        sizes = [BASE[doubled] * 2**i for i in range(5)]
        found = []
        for size in sizes:
            shape = BASE | {doubled: size, "segment": SEGMENT if axis == "segments" else None}
            found.append(measure(**shape, repeats=args.repeats))
            row = found[-1]
            predicted = predicted_bytes(**shape)
            growth = [row[k] / found[-2][k] if len(found) > 1 else math.nan for k in ("seconds", "bytes")]
            rows.append({**shape, "axis": axis, **row, "predicted_bytes": predicted})
            print(
                f"{axis:>8} {size:6} {row['seconds'] * 1e3:9.1f} {row['bytes'] / 1e6:8.1f} "
                f"{predicted / 1e6:10.1f} {growth[0]:7.2f} {growth[1]:9.2f}",
                flush=True,
            )
        slopes[axis] = {k: slope(sizes, [row[k] for row in found]) for k in ("seconds", "bytes")}
        print(f"{axis:>8} slope of time {slopes[axis]['seconds']}, of memory {slopes[axis]['bytes']}")
    ratio = [row["bytes"] / row["predicted_bytes"] for row in rows]
    report(
        "growth",
        {
            "slopes": slopes,
            "memory_over_predicted": [round(min(ratio), 2), round(max(ratio), 2)],
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
