"""Whole training steps of the three tasks on a GPU, points or symbols a second, and sampling of handwriting.

Training: `training_steps` (character: 1×1000, stroke and synthesis: 3×400) at 16, 64 and 256 rows, by the
clock of the host over several steps. Only points that are not padding count. Sampling: 64 and 1024 lines of
29 characters at once by `SynthesisSampler.events`, eight points of each at a time. Without a GPU nothing is
measured. Prints a table and, as last line, one JSON object.

    python benchmarks/train_cuda.py [--task synthesis] [--batch 64] [--precision bf16-mixed 32-true]
"""

import argparse
import itertools
import time
from collections.abc import Callable
from typing import Any

import torch
from report import report
from sample_synthesis import CHARACTERS, drawn_points
from training_steps import DTYPES, SYMBOLS_OF_TEXTS, TASKS, training_step

from graves_lm.models.synthesis import SynthesisNetwork


def seconds(run: Callable[[], Any], warm: int, repeats: int) -> float:
    """Seconds a call; the first ones compile."""
    for _ in range(warm):
        run()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / repeats


@torch.inference_mode()
def points_per_second(lines: int, repeats: int) -> int:
    network = SynthesisNetwork(SYMBOLS_OF_TEXTS, 3, 400).cuda().eval()
    texts = torch.randint(SYMBOLS_OF_TEXTS, (lines, CHARACTERS)).tolist()
    return round(lines / seconds(drawn_points(network, texts, "float32").__next__, 10, 10 * repeats))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--batch", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--precision", nargs="+", default=["bf16-mixed", "32-true"], choices=list(DTYPES))
    parser.add_argument("--lines", type=int, nargs="*", default=[64, 1024], help="sampled at once")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("not measured: no GPU")
        report("train_cuda", {"rows": [], "sampling": []})
        return
    rows, sampling = [], []
    for precision, task, B in itertools.product(args.precision, args.task, args.batch):
        step = training_step(task, B, precision, "cuda")
        taken = seconds(step.run, 2, args.repeats)
        row = {"task": task, "batch": B, "precision": precision, "steps": step.steps}
        row |= {"step_ms": round(taken * 1e3, 2), "units_per_second": round(step.units / taken)}
        rows.append(row)
        print(
            f"{task:>9} {B:4} rows {precision:>10} {taken * 1e3:9.2f} ms {step.units / taken:11.0f} a second",
            flush=True,
        )
    for lines in args.lines:
        sampling.append({"lines": lines, "points_per_second": points_per_second(lines, args.repeats)})
        print(f"sampling {lines:4} lines {sampling[-1]['points_per_second']:11} points a second", flush=True)
    report("train_cuda", {"rows": rows, "sampling": sampling}, "cuda")


if __name__ == "__main__":
    main()
