"""Forward + backward of one LSTM layer on a GPU: ours with peepholes and clip, cuDNN's nn.LSTM without.

Both project inputs of the size of the layer, and autograd drives both. They run in turn in one process, timed
by CUDA events, in four precisions of the products: float32 as torch has it by default (ours makes a product
of three of TF32, cuDNN is exact), exact float32, TF32 and bfloat16 (under autocast). `over_cudnn` is the
ratio of medians. Without a GPU nothing is measured, and figures are null. Prints a table and, as last line,
one JSON object.

    python benchmarks/lstm_cuda.py [--repeats 20]
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
from report import report
from torch import nn

from graves_lm.nn.lstm import LSTMState, lstm
from graves_lm.nn.products import linear

SHAPES = [(300, 64, 400), (700, 64, 400), (100, 128, 700)]
PRECISIONS = {"float32": "none", "exact": "ieee", "TF32": "tf32", "bfloat16": "tf32"}


def contenders(T: int, B: int, H: int) -> dict[str, Callable[[], Any]]:
    def draw(*shape: int) -> torch.Tensor:
        return (torch.randn(shape, device="cuda") / shape[-1] ** 0.5).requires_grad_()

    x, w_x, w_h, bias, peephole = draw(T, B, H), draw(4 * H, H), draw(4 * H, H), draw(4 * H), draw(3, H)
    grad_h, zero = torch.randn(T, B, H, device="cuda"), torch.zeros(B, H, device="cuda")
    reference = nn.LSTM(H, H, device="cuda")

    def ours() -> None:
        h, _ = lstm(linear(x, w_x, bias), LSTMState(zero, zero), w_h, peephole, clip=1.0)
        h.backward(grad_h.to(h.dtype))

    def cudnn() -> None:
        h, _ = reference(x)
        h.backward(grad_h.to(h.dtype))

    return {"ours": ours, "cudnn": cudnn}


def measure(shape: tuple[int, int, int], precision: str, repeats: int) -> dict[str, float]:
    """Median milliseconds of each."""
    torch.backends.cuda.matmul.fp32_precision = PRECISIONS[precision]
    torch.backends.cudnn.rnn.fp32_precision = {"none": "ieee"}.get(  # type: ignore[attr-defined]
        PRECISIONS[precision], PRECISIONS[precision]
    )
    runs = contenders(*shape)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 3):  # the first ones warm up: kernels are compiled
        for name, run in runs.items():
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            start.record()
            with torch.autocast("cuda", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
                run()
            end.record()
            end.synchronize()
            if repeat >= 3:
                times[name].append(start.elapsed_time(end))
    return {name: statistics.median(each) for name, each in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    there = torch.cuda.is_available()
    rows: list[dict[str, Any]] = []
    print(f"{'products':>10} {'T,B,H':>14} {'ours ms':>9} {'cuDNN ms':>9} {'ours/cuDNN':>11}")
    for precision in PRECISIONS:
        for shape in SHAPES:
            row: dict[str, Any] = {"precision": precision, "shape": shape}
            row |= dict.fromkeys(("ours_ms", "cudnn_ms", "over_cudnn"))
            shown = "not measured: no GPU"
            if there:
                median = measure(shape, precision, repeats)
                ratio = median["ours"] / median["cudnn"]
                row |= {f"{name}_ms": round(ms, 3) for name, ms in median.items()}
                row["over_cudnn"] = round(ratio, 3)
                shown = f"{median['ours']:9.2f} {median['cudnn']:9.2f} {ratio:11.2f}"
            rows.append(row)
            print(f"{precision:>10} {','.join(map(str, shape)):>14} {shown}", flush=True)
    worst = max(row["over_cudnn"] for row in rows) if there else None
    report("lstm_cuda", {"over_cudnn": worst, "rows": rows}, "cuda" if there else "cpu")


if __name__ == "__main__":
    main()
