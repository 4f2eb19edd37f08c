"""Where the time of a training step goes: its parts by name, the longest first, on a CPU or a GPU.

On a GPU a part is a kernel, and its time is what the GPU is busy with it; on a CPU it is an operator of torch
and its own time. Parts of the recurrence are summed up apart: what is left is density, head, projections,
optimiser and transfers. `idle` is the share of the step during which a GPU waits for its next kernel. Prints
tables and, as last line, one JSON object.

    python benchmarks/profile_step.py [--task synthesis] [--batch 64] [--precision bf16-mixed] [--device cuda]
"""

import argparse
import re
import time
from collections import defaultdict
from typing import Any

import torch
from report import report
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from training_steps import DTYPES, TASKS, training_step

from graves_lm.runtime.memory import keep_large_blocks

RECURRENCE = re.compile(r"^graves_lm::|^(window_)?(forward|backward)$")
"""Operators and kernels of `nn`'s recurrences, by name."""


def measure(task: str, B: int, precision: str, device: str, repeats: int) -> dict[str, Any]:
    step = training_step(task, B, precision, device)
    on_gpu = device == "cuda"

    def wait() -> None:
        if on_gpu:
            torch.cuda.synchronize()

    for _ in range(3 if on_gpu else 1):
        step.run()
    wait()
    start = time.perf_counter()
    for _ in range(repeats):
        step.run()
    wait()
    milliseconds = (time.perf_counter() - start) / repeats * 1e3
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on_gpu else [])
    with profile(activities=activities) as profiled:
        for _ in range(repeats):
            step.run()
        wait()
    parts: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    for event in profiled.key_averages():
        is_kernel = event.device_type == DeviceType.CUDA
        if is_kernel == on_gpu:
            spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
            parts[event.key][0] += spent / repeats / 1e3
            parts[event.key][1] += event.count / repeats
    busy = sum(spent for spent, _ in parts.values())
    recurrence = sum(spent for name, (spent, _) in parts.items() if RECURRENCE.search(name))
    if not on_gpu:  # with what an operator calls: products and copies of single steps are its own
        whole = [e for e in profiled.key_averages() if re.match(r"graves_lm::", e.key)]
        recurrence = sum(e.cpu_time_total for e in whole) / repeats / 1e3
    longest = sorted(parts.items(), key=lambda part: -part[1][0])
    return {
        "task": task,
        "batch": B,
        "precision": precision,
        "steps": step.steps,
        "step_ms": round(milliseconds, 3),
        "units_per_second": round(step.units / milliseconds * 1e3),
        "recurrence_ms": round(recurrence, 3),
        "rest_ms": round(busy - recurrence, 3),
        "idle": round(max(0.0, 1 - busy / milliseconds), 3) if on_gpu else None,
        "parts": [
            {"name": name, "ms": round(spent, 3), "count": round(count)} for name, (spent, count) in longest
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    there = torch.cuda.is_available()
    parser.add_argument("--task", nargs="+", default=["synthesis"], choices=list(TASKS))
    parser.add_argument("--batch", type=int, nargs="+", default=[64])
    parser.add_argument("--precision", nargs="+", default=["bf16-mixed", "32-true"], choices=list(DTYPES))
    parser.add_argument("--device", default="cuda" if there else "cpu", choices=["cuda", "cpu"])
    parser.add_argument("--repeats", type=int, default=5 if there else 1)
    parser.add_argument("--longest", type=int, default=25, help="rows of each table")
    args = parser.parse_args()
    keep_large_blocks()
    rows = []
    for task in args.task:
        for precision in args.precision:
            for B in args.batch:
                row = measure(task, B, precision, args.device, args.repeats)
                rows.append(row)
                print(
                    f"{task}, {B} rows, {row['steps']} steps, {precision}: {row['step_ms']} ms, "
                    f"{row['units_per_second']} a second, recurrence {row['recurrence_ms']} ms, "
                    f"rest {row['rest_ms']} ms, idle {row['idle']}"
                )
                for part in row["parts"][: args.longest]:
                    print(f"  {part['ms']:9.3f} ms {part['count']:6} × {part['name'][:90]}", flush=True)
    report("profile_step", {"rows": rows}, args.device)


if __name__ == "__main__":
    main()
