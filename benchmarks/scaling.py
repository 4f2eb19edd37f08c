"""Training steps of the synthesis network (3×400): one process of two threads, two processes of one thread.

The two share a batch and average their derivatives (DistributedDataParallel over gloo).

Both do the same step on the same 32 lines: forward, loss, backward, norm clip, rmsprop. The share of
communication is what a step of the two takes longer than the same step without exchanging derivatives
(`no_sync`). Figures are medians. Prints a table and, as last line,
one JSON object.

    python benchmarks/scaling.py [--batch 32] [--steps 5]
"""

import argparse
import os
import statistics
import time
from contextlib import nullcontext
from typing import Any

import torch
from report import report
from torch import multiprocessing
from torch.nn.parallel import DistributedDataParallel

from graves_lm.learning.optim import GravesRMSprop
from graves_lm.models.synthesis import SynthesisNetwork, Text
from graves_lm.runtime.memory import keep_large_blocks

SYMBOLS, LAYERS, H, K, MIXTURES = 57, 3, 400, 10, 20  # the paper's
POINTS, CHARACTERS = 100, 5  # of a line: short ones, so that the share of communication is an upper bound


class Loss(torch.nn.Module):
    """Nats of some lines: what is wrapped, since the exchange hangs on `forward`."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = SynthesisNetwork(SYMBOLS, LAYERS, H, MIXTURES, K)

    def forward(self, x_TB3: torch.Tensor) -> torch.Tensor:
        B = x_TB3.shape[1]
        text = Text.of([[(line + u) % SYMBOLS for u in range(CHARACTERS)] for line in range(B)])
        density, _, _ = self.network(x_TB3[:-1], text, self.network.initial_state(B))
        return -density.log_prob(x_TB3[1:]).sum()


def lines(count: int) -> torch.Tensor:
    """(POINTS + 1, count, 3), of random points."""
    x = torch.randn(POINTS + 1, count, 3, generator=torch.Generator().manual_seed(0))
    x[..., 2] = (x[..., 2] > 1.7).float()
    return x


def median_step(model: torch.nn.Module, x_TB3: torch.Tensor, steps: int, exchange: bool) -> float:
    """Seconds of a step; two of warming up are left out."""
    optimizer, seconds = GravesRMSprop(model.parameters()), []
    for _ in range(steps + 2):
        begin = time.perf_counter()
        alone = nullcontext() if exchange else model.no_sync()
        with alone:
            (model(x_TB3) / (POINTS * x_TB3.shape[1])).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[2:])


def one_of_two(rank: int, port: int, batch: int, steps: int, found: Any) -> None:
    keep_large_blocks()
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    mine = lines(batch)[:, rank::2]
    model = DistributedDataParallel(Loss())
    apart = median_step(model, mine, steps, exchange=False)
    torch.distributed.barrier()
    together = median_step(model, mine, steps, exchange=True)
    if rank == 0:
        found.put((apart, together))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def main(batch: int, steps: int) -> None:
    keep_large_blocks()
    torch.set_num_threads(2)
    points = POINTS * batch
    weights = sum(w.numel() for w in Loss().parameters())
    single = median_step(Loss(), lines(batch), steps, exchange=True)
    context = multiprocessing.get_context("spawn")
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    port = store.port
    del store  # free again
    found = context.Queue()
    multiprocessing.spawn(one_of_two, (port, batch, steps, found), nprocs=2)
    apart, together = found.get()
    share = max(0.0, 1 - apart / together)
    print(f"synthesis 3×400, {weights:,} weights, {batch} lines, {points} points a step, float32")
    print(f"{'':32}{'s/step':>8}{'points/s':>10}{'lines/s':>9}{'communication':>15}")
    print(f"{'1 process × 2 threads':32}{single:8.3f}{points / single:10.0f}{batch / single:9.1f}{'':>15}")
    row = f"{'2 processes × 1 thread':32}{together:8.3f}{points / together:10.0f}{batch / together:9.1f}"
    print(f"{row}{share:15.1%}")
    print(f"{'  the same without exchange':32}{apart:8.3f}{points / apart:10.0f}{batch / apart:9.1f}")
    record = {
        "weights": weights,
        "batch": batch,
        "points": points,
        "one_process_s": single,
        "two_processes_s": together,
        "without_exchange_s": apart,
        "communication_share": share,
        "speedup": single / together,
    }
    report("scaling", record)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=5)
    given = parser.parse_args()
    main(given.batch, given.steps)
