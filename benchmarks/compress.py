"""`compress` against the bare steps of its network: what range coding, counts and Python take beside it.

Each row is the model and the coder of both directions, a few steps at a time and in turn with its floor in
this process, of the package's network and of one from nothing. The floor of a method that does not learn is
the network's step in the kernel, of as many streams; of one that learns also the gradients of each segment,
without the rule. Of time, that of the processor (one thread) counts, so that other processes disturb little;
figures are medians. Prints a table, writes benchmarks/results/compress.json, and prints the same as last
line.

    python benchmarks/compress.py FILE [--repeats 30] [--quick]

FILE is a text of 100 kB or more.
"""

import argparse
import copy
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import report

from graves_lm.compression.coding import Decoder, Encoder, whole
from graves_lm.compression.file_format import Frame
from graves_lm.compression.method import Fresh, Method, Rule
from graves_lm.compression.model import Model
from graves_lm.compression.network import byte_model, fresh_model, how_read
from graves_lm.data.streams import StreamBatch
from graves_lm.evaluation.dynamic import segment_gradients
from graves_lm.sampling.plain import for_drawing

STEPS = 60  # at a time: three segments
ROWS: dict[str, dict[str, Any]] = {
    "static, network alone": {},
    "static": {"counts": 6},
    "static, streams=8": {"counts": 6, "streams": 8},
    "dynamic=rms": {"counts": 6, "rule": Rule("rms", {"segments": 10})},
    "dynamic=rms, streams=8": {"counts": 6, "streams": 8, "rule": Rule("rms", {"segments": 10})},
    "ckpt=none, streams=8": {"counts": 6, "streams": 8, "rule": Rule("adam"), "fresh": Fresh()},
}


def timed(run: Callable[[], object]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


def measured(text: np.ndarray, how: dict[str, Any], repeats: int) -> dict[str, float]:
    """Microseconds of a byte: compress, decompress, and the floor."""
    task, streams = (
        fresh_model(how["fresh"]) if "fresh" in how else byte_model("character"),
        how.get("streams", 1),
    )
    method = Method(len(text), 0, **how_read(task, "rule" in how), **how)
    encoding, decoding = Model(copy.deepcopy(task), method), Model(copy.deepcopy(task), method)
    packed, x_S = for_drawing(task.network), torch.zeros(streams, dtype=torch.long)
    state_SZ = packed.pack(task.network.initial_state(streams).layers)
    steps, frame, taken = (
        iter(range(10**9)),
        Frame(0, 0, b""),
        {"compress": [], "decompress": [], "floor": []},
    )

    def encode() -> None:
        nonlocal frame
        encoder = Encoder()
        for _ in range(STEPS):
            at = next(steps) * streams
            byte_S = np.take(text, np.arange(at, at + streams), mode="wrap")
            encoder.step(byte_S, whole(encoding.chances()))
            encoding.update(byte_S)
        last = encoder.frame()
        assert last is not None
        frame = last

    def decode() -> None:
        decoder = Decoder(frame)
        for _ in range(STEPS):
            decoding.update(decoder.step(whole(decoding.chances())))

    def bare() -> None:
        nonlocal state_SZ
        for _ in range(STEPS):
            _, state_SZ, _ = packed.step(x_S, state_SZ)
        for _ in range(STEPS // method.rule.segment if method.rule else 0):
            symbol_TS = torch.randint(len(task.symbols), (method.rule.segment, streams))
            mask_TS = torch.ones_like(symbol_TS, dtype=torch.bool)
            segment_gradients(task, StreamBatch(symbol_TS, mask_TS, True, symbol_TS.numel()), None)

    for repeat in range(repeats + 2):  # the first two warm up
        for name, run in (("compress", encode), ("decompress", decode), ("floor", bare)):
            seconds = timed(run)
            if repeat >= 2:
                taken[name].append(seconds / (STEPS * streams) * 1e6)
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="three repeats")
    args = parser.parse_args()
    torch.set_num_threads(1)
    text = np.frombuffer(args.file.read_bytes(), np.uint8).astype(np.int32)
    rows = {}
    print(f"{'µs a byte':28} {'compress':>9} {'back':>9} {'floor':>9} {'× floor':>8} {'bytes/s':>8}")
    for name, how in ROWS.items():
        row = measured(text, how, 3 if args.quick else args.repeats)
        row["over_floor"] = row["compress"] / row["floor"]
        rows[name] = {key: round(value, 2) for key, value in row.items()}
        print(
            f"{name:28} {row['compress']:9.1f} {row['decompress']:9.1f} {row['floor']:9.1f} "
            f"{row['over_floor']:8.2f} {1e6 / row['compress']:8.0f}"
        )
    report("compress", {"microseconds_a_byte": rows, "load": round(os.getloadavg()[0], 1)})


if __name__ == "__main__":
    main()
