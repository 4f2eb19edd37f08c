"""Which tiles are fastest for the recurrence on this GPU: µs a step of every candidate.

Each size is run forward and backward with all candidates of `tiles`; a candidate that does not fit the GPU
is left out. Kernels are compiled by several processes beforehand. Prints the fastest few of each size and, as
last line, one JSON object.

    python benchmarks/tune_cuda.py [--rows 16 64 256] [--hidden 400 1000] [--kind bfloat16 float32]
"""

import argparse
import itertools
import statistics
import subprocess
import sys
from typing import Any

import torch
from report import report

from graves_lm.nn.cuda import recurrences, tiles
from graves_lm.nn.cuda.tiles import Tiles
from graves_lm.nn.operands import LSTMBackwardInputs

KINDS = {"bfloat16": torch.bfloat16, "none": torch.float32, "ieee": torch.float32, "tf32": torch.float32}
"""Formats of the weights; float32 as torch.backends.cuda.matmul.fp32_precision names its products."""
STEPS = 200


def candidates(kind: str) -> list[Tiles]:
    whole = [Tiles(*of) for of in itertools.product((16, 32, 64), (8, 16, 32), (4, 8, 16))]
    parts = (32, 64) if kind == "bfloat16" else (16, 32)
    in_parts = [Tiles(*of) for of in itertools.product((16, 32, 64), (16, 32), (4, 8), parts, (2, 3, 4))]
    return (whole if kind in ("bfloat16", "tf32") else []) + in_parts


def fits(tile: Tiles, shape: tiles.Shape, kind: str) -> bool:
    """Whether weights and inputs of a program have a chance to fit its registers."""
    size, constants = KINDS[kind].itemsize, tiles.launch(tile, shape, 132).constants
    taken = constants["SLICES"] * constants["PART"] * tile.units * shape.columns * size
    inputs = constants["SLICES"] * constants["PART"] * tile.rows * size
    results = constants["SLICES"] * tile.rows * constants["UNITS"] * shape.columns * 4
    if tile.rows > max(16, shape.rows):
        return False
    return taken <= 131072 and inputs <= 131072 and taken + inputs <= 200000 and results <= 131072


class Case:
    """One layer's recurrence, as `forward` and `backward` without what is computed around the launch."""

    def __init__(self, kind: str, H: int, B: int, T: int = STEPS, device: str = "cuda"):
        torch.backends.cuda.matmul.fp32_precision = "none" if kind == "bfloat16" else kind
        torch.manual_seed(0)
        dtype = KINDS[kind]
        z = torch.randn(T, B, 4 * H, device=device, dtype=dtype)
        w = (torch.randn(4 * H, H, device=device) / H**0.5).to(dtype)
        peephole, zero = 0.3 * torch.randn(3, H, device=device), torch.zeros(B, H, device=device)
        dh = torch.randn(T, B, H, device=device)
        self.forward = lambda: recurrences._forward(
            z, w, peephole, zero, zero, recurrences._FORWARD_ALONE, 0, 0
        )
        h, c, a = self.forward()
        given = LSTMBackwardInputs(dh, None, a, h, c, w, peephole, zero, zero, 1.0)
        self.backward = lambda: recurrences._backward(given, dh, w, recurrences._BACKWARD_ALONE, 0, 0)
        self.shapes = {"forward": tiles.Shape(H, H, 4, B), "backward": tiles.Shape(H, 4 * H, 1, B)}


def microseconds(run: Any, T: int, repeats: int = 3) -> float:
    times = []
    for repeat in range(repeats + 1):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        times += [start.elapsed_time(end)] if repeat else []
    return statistics.median(times) / T * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--hidden", type=int, nargs="+", default=[400])
    parser.add_argument("--kind", nargs="+", default=["bfloat16"], choices=list(KINDS))
    parser.add_argument("--shown", type=int, default=4)
    parser.add_argument("--processes", type=int, default=14)
    parser.add_argument("--compile", type=int, help="only compile, the share of one of the processes")
    args = parser.parse_args()
    if args.compile is None:
        command = [sys.executable, *sys.argv]
        workers = [
            subprocess.Popen([*command, "--compile", str(i)], stderr=subprocess.DEVNULL)
            for i in range(args.processes)
        ]
        for worker in workers:
            worker.wait()
    choose, rows, left_out = tiles.choose, [], []
    for kind, H, B in itertools.product(args.kind, args.hidden, args.rows):
        tiles.choose = choose
        case = Case(kind, H, B, STEPS if args.compile is None else 1)
        for direction in ("forward", "backward"):
            shape, times = case.shapes[direction], []
            for tile in candidates(kind):
                if not fits(tile, shape, kind):
                    continue
                if args.compile is not None and hash(tile) % args.processes != args.compile:
                    continue
                tiles.choose = lambda *of, tile=tile: tile
                try:
                    if args.compile is None:
                        times.append((microseconds(getattr(case, direction), STEPS), tile))
                    else:
                        getattr(case, direction)()
                except Exception as error:  # too much shared memory, or programs than run at once
                    if args.compile is None:
                        reason = f"{type(error).__name__} {str(error).splitlines()[0][:60]}"
                        print("  left out:", tuple(tile), reason)
                        left_out.append([kind, H, B, direction, *tile, reason])
            if args.compile is None:
                times.sort()
                best = "  ".join(f"{tuple(tile)} {spent:.2f}" for spent, tile in times[: args.shown])
                print(f"{kind:>9} H={H:4} B={B:4} {direction:>8}: {best}", flush=True)
                rows.append(
                    {"kind": kind, "H": H, "B": B, "direction": direction, "us": [[s, *t] for s, t in times]}
                )
    if args.compile is None:
        report("tune_cuda", {"rows": rows, "left_out": left_out}, "cuda")


if __name__ == "__main__":
    main()
