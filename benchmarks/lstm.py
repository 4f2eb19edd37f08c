"""Forward + backward of one LSTM layer against the matrix products alone, nn.LSTM and an autograd loop.

All four run in turn in the same process, so that a slow moment of the machine falls on each alike; the
figures are ratios of medians. The floor does the same matrix products (input projection, one recurrent
product per step forward and backward, weight and input gradients) and nothing else, by the faster of torch's
libraries. nn.LSTM has neither peepholes nor the derivative clip. With bf16-mixed all run under autocast, the
floor in bfloat16. Prints a table and, as last line, one JSON object.

    python benchmarks/lstm.py [--repeats 5] [--device cpu] [--precision 32-true bf16-mixed]
"""

import argparse
import statistics
import time

import torch
from floor import recurrent_products
from report import report
from torch import nn

from graves_lm.nn.lstm import LSTMState, lstm, lstm_step
from graves_lm.nn.products import linear, product, weight_derivative
from graves_lm.runtime.memory import keep_large_blocks

SHAPES = [(100, 32, 400, 400), (100, 64, 400, 400), (100, 128, 700, 700), (300, 16, 400, 400)]


def contenders(T: int, B: int, inputs: int, H: int, device: str, bf16: bool):
    x = torch.randn(T, B, inputs, device=device, requires_grad=True)
    grad_h = torch.randn(T, B, H, device=device)
    w_x = (torch.randn(4 * H, inputs, device=device) / inputs**0.5).requires_grad_()
    w_h = (torch.randn(4 * H, H, device=device) / H**0.5).requires_grad_()
    bias = torch.zeros(4 * H, device=device, requires_grad=True)
    peephole = (0.1 * torch.randn(3, H, device=device)).requires_grad_()
    zero = torch.zeros(B, H, device=device)
    reference = nn.LSTM(inputs, H, device=device)
    dtype = torch.bfloat16 if bf16 else torch.float32
    x_NI, w_GI, w_GH, h_TBH = (
        v.detach().to(dtype) for v in (x.flatten(0, 1), w_x, w_h, torch.randn(T, B, H, device=device))
    )

    def floor():
        z_NG = product(x_NI, w_GI)
        z_TBG = z_NG.view(T, B, 4 * H)
        recurrent_products(w_GH, h_TBH, z_TBG)
        weight_derivative(z_NG, x_NI), weight_derivative(z_NG, h_TBH.flatten(0, 1)), product(z_NG, w_GI.t())

    def ours():
        h, _ = lstm(linear(x, w_x, bias), LSTMState(zero, zero), w_h, peephole, clip=1.0)
        h.backward(grad_h)

    def torch_lstm():
        reference(x)[0].backward(grad_h)

    def autograd_loop():
        z, state, hs = linear(x, w_x, bias), LSTMState(zero, zero), []
        for t in range(T):
            state = lstm_step(z[t], state, w_h, peephole)
            hs.append(state.h_BH)
        torch.stack(hs).backward(grad_h)

    return {"floor": floor, "ours": ours, "nn.LSTM": torch_lstm, "autograd loop": autograd_loop}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", nargs="+", default=["32-true", "bf16-mixed"])
    args = parser.parse_args()
    keep_large_blocks()
    rows = []
    print(
        f"{'precision':>10} {'T,B,in,H':>16} {'floor ms':>9} {'ours':>6} {'nn.LSTM':>8} {'loop':>6}"
        "   (× floor)"
    )
    for precision in args.precision:
        for shape in SHAPES:
            median = measure(shape, args.device, precision == "bf16-mixed", args.repeats)
            floor = median.pop("floor")
            times = {name: round(seconds / floor, 3) for name, seconds in median.items()}
            rows.append({"precision": precision, "shape": shape, "floor_ms": round(floor * 1e3, 2), **times})
            print(
                f"{precision:>10} {','.join(map(str, shape)):>16} {floor * 1e3:9.1f} {times['ours']:6.2f} "
                f"{times['nn.LSTM']:8.2f} {times['autograd loop']:6.2f}",
                flush=True,
            )

    def figures(precision: str) -> dict[str, float]:
        mine = [row for row in rows if row["precision"] == precision]

        def geometric(over: str, under: str | None = None) -> float:
            return round(
                statistics.geometric_mean(row[over] / (row[under] if under else 1) for row in mine), 3
            )

        return {
            "over_floor": geometric("ours"),
            "over_nn_lstm": geometric("ours", "nn.LSTM"),
            "autograd_loop_over_ours": geometric("autograd loop", "ours"),
        }

    by_precision = {precision: figures(precision) for precision in args.precision}
    report("lstm", {**by_precision[args.precision[0]], "precision": by_precision, "rows": rows}, args.device)


def measure(shape: tuple[int, int, int, int], device: str, bf16: bool, repeats: int) -> dict[str, float]:
    """Median seconds of each contender."""
    synchronize = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    runs = contenders(*shape, device, bf16)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):  # the first warms up
        for name, run in runs.items():
            synchronize()
            start = time.perf_counter()
            with torch.autocast(device.split(":")[0], dtype=torch.bfloat16, enabled=bf16):
                run()
            synchronize()
            if repeat:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


if __name__ == "__main__":
    main()
