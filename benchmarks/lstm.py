"""Forward + backward of one LSTM layer against the matrix products alone, nn.LSTM and an autograd loop.

All four run in turn in the same process, so that a slow moment of the machine falls on each alike; the
figures are ratios of medians. The floor does the same matrix products (input projection, one recurrent
product per step forward and backward, weight and input gradients) and nothing else. nn.LSTM has neither
peepholes nor the derivative clip. Prints a table and, as last line, one JSON object.

    python benchmarks/lstm.py [--repeats 7] [--device cpu]
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn.functional import linear

from graves_lm.memory import keep_large_blocks
from graves_lm.nn.lstm import LSTMState, lstm, lstm_step

SHAPES = [(100, 32, 400, 400), (100, 64, 400, 400), (100, 128, 700, 700), (300, 16, 400, 400)]


def contenders(T: int, B: int, inputs: int, H: int, device: str):
    x = torch.randn(T, B, inputs, device=device, requires_grad=True)
    grad_h = torch.randn(T, B, H, device=device)
    w_x = (torch.randn(4 * H, inputs, device=device) / inputs**0.5).requires_grad_()
    w_h = (torch.randn(4 * H, H, device=device) / H**0.5).requires_grad_()
    bias = torch.zeros(4 * H, device=device, requires_grad=True)
    peephole = (0.1 * torch.randn(3, H, device=device)).requires_grad_()
    zero = torch.zeros(B, H, device=device)
    reference = nn.LSTM(inputs, H, device=device)

    def floor():
        x_ = x.detach().view(-1, inputs)
        z = torch.mm(x_, w_x.detach().t()).view(T, B, 4 * H)
        h = torch.empty(T, B, H, device=device)
        for t in range(T):
            torch.addmm(z[t], zero, w_h.detach().t(), out=z[t])
        for t in range(T):
            torch.mm(z[t], w_h.detach(), out=h[t])
        z_ = z.view(-1, 4 * H)
        return torch.mm(z_.t(), x_), torch.mm(z_.t(), h.view(-1, H)), torch.mm(z_, w_x.detach())

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
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    keep_large_blocks()
    synchronize = torch.cuda.synchronize if args.device.startswith("cuda") else lambda: None
    rows = []
    print(f"{'T,B,in,H':>18} {'floor ms':>9} {'ours':>6} {'nn.LSTM':>8} {'loop':>6}   (× floor)")
    for shape in SHAPES:
        runs = contenders(*shape, args.device)
        times: dict[str, list[float]] = {name: [] for name in runs}
        for repeat in range(args.repeats + 2):  # the first two warm up
            for name, run in runs.items():
                synchronize()
                start = time.perf_counter()
                run()
                synchronize()
                if repeat >= 2:
                    times[name].append(time.perf_counter() - start)
        median = {name: statistics.median(seconds) for name, seconds in times.items()}
        rows.append(median)
        floor = median["floor"]
        print(
            f"{','.join(map(str, shape)):>18} {floor * 1e3:9.1f} {median['ours'] / floor:6.2f} "
            f"{median['nn.LSTM'] / floor:8.2f} {median['autograd loop'] / floor:6.2f}"
        )

    def geometric(over: str, under: str) -> float:
        return round(statistics.geometric_mean(row[over] / row[under] for row in rows), 3)

    print(
        json.dumps(
            {
                "benchmark": "lstm",
                "device": args.device,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "over_floor": geometric("ours", "floor"),
                "over_nn_lstm": geometric("ours", "nn.LSTM"),
                "autograd_loop_over_ours": geometric("autograd loop", "ours"),
            }
        )
    )


if __name__ == "__main__":
    main()
