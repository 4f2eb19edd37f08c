"""Whole training steps of `experiment=ptb_char` against its matrix products alone.

A step is what the trainer does for one batch: forward, loss, backward with clips, scaling, optimiser.
The floor is the step's matrix products with nothing around them: the recurrent product of each step,
forward and backward, the recurrent weights' gradient, and the output layer's three. The one-hot input needs
no product. Both run in turn in this process. Prints a table and, as last line, one JSON object.

    python benchmarks/train_character.py [--repeats 7] [--batch 16] [--precision 32-true]
"""

import argparse
import json
import statistics
import time

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from graves_lm.data.streams import StreamLoader
from graves_lm.data.symbols import Symbols
from graves_lm.launch import CONF
from graves_lm.memory import keep_large_blocks
from graves_lm.tasks.character import score

SYMBOLS = Symbols("character", [chr(48 + i) for i in range(50)])  # as many as the Penn Treebank's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batch", type=int, help="streams; the experiment's own by default")
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
    args = parser.parse_args()
    keep_large_blocks()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", ["experiment=ptb_char", "name=benchmark", "run_dir=."])
    T, B = cfg.data.length, args.batch or cfg.data.batch_size
    make_task = instantiate(cfg.model, _partial_=True)
    task = make_task(symbols=SYMBOLS, optimization=instantiate(cfg.optimizer))
    network, optimizer = task.network, task.optimization.optimizer(task.parameters())
    sequence = np.random.default_rng(0).integers(0, len(SYMBOLS), 50 * T * B).astype(np.uint8)
    batches = iter(StreamLoader(sequence, B, T))
    state = network.initial_state(B)
    dtype = torch.bfloat16 if args.precision == "bf16-mixed" else torch.float32

    def step() -> None:
        nonlocal state
        batch = next(batches)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            logits, after = task.noise(network, batch.symbol_TB, state)
            nats, _ = score(logits, batch)
            loss = task.training_loss(nats, sequences=B, points=T * B)
        state = after.detach()
        optimizer.zero_grad()
        loss.backward()
        task.on_before_optimizer_step(optimizer)
        task.configure_gradient_clipping(optimizer)
        optimizer.step()

    H, K = cfg.model.network.hidden_size, len(SYMBOLS)
    w_GH, w_KH = torch.randn(4 * H, H).to(dtype), torch.randn(K, H).to(dtype)
    h_TBH, z_TBG = torch.randn(T, B, H).to(dtype), torch.randn(T, B, 4 * H).to(dtype)
    y_NK, z_BG, h_BH = torch.randn(T * B, K).to(dtype), z_TBG[0].clone(), h_TBH[0].clone()

    def floor() -> None:
        for t in range(T):
            torch.mm(h_TBH[t], w_GH.t(), out=z_BG)
        for t in range(T):
            torch.mm(z_TBG[t], w_GH, out=h_BH)
        h_NH = h_TBH.view(-1, H)
        torch.mm(z_TBG.view(-1, 4 * H).t(), h_NH)
        torch.mm(h_NH, w_KH.t()), torch.mm(y_NK, w_KH), torch.mm(y_NK.t(), h_NH)

    times: dict[str, list[float]] = {"step": [], "floor": []}
    for repeat in range(args.repeats + 2):  # the first two warm up
        for name, run in (("floor", floor), ("step", step)):
            start = time.perf_counter()
            run()
            if repeat >= 2:
                times[name].append(time.perf_counter() - start)
    median = {name: statistics.median(seconds) for name, seconds in times.items()}
    shape = f"{cfg.model.network.layers}×{H}, T={T}, B={B}, {args.precision}"
    print(f"{'':>6} {'ms':>8} {'symbols/s':>10}   {shape}")
    for name, seconds in median.items():
        print(f"{name:>6} {seconds * 1e3:8.1f} {T * B / seconds:10.0f}")
    print(
        json.dumps(
            {
                "benchmark": "train_character",
                "precision": args.precision,
                "batch": B,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "symbols_per_second": round(T * B / median["step"]),
                "floor_share": round(median["floor"] / median["step"], 3),
            }
        )
    )


if __name__ == "__main__":
    main()
