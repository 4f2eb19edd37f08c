"""Whole training steps of `experiment=ptb_char` against its matrix products alone.

A step is what the trainer does for one batch: forward, loss, backward with clips, scaling, optimiser. The
floor is the step's matrix products with nothing around them: the recurrent product of each step, forward
and backward, the recurrent weights' gradient, and the output layer's three. The one-hot input needs no
product. Both run in turn in this process, and times are the least of some repeats. `loader_share` is the
loader's part of the step's time. Prints a table and, as last line, one JSON object.

    python benchmarks/train_character.py [--repeats 5] [--batch 16 64] [--precision 32-true bf16-mixed]
"""

import argparse
import time
from typing import Any

import numpy as np
import torch
from floor import recurrent_products
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from lightning.pytorch import Trainer
from omegaconf import DictConfig
from report import report

from graves_lm.commands.launch import CONF
from graves_lm.data.streams import StreamLoader
from graves_lm.data.symbols import Symbols
from graves_lm.learning.tasks.character import score
from graves_lm.nn.products import product, weight_derivative
from graves_lm.runtime.memory import keep_large_blocks

SYMBOLS = Symbols("character", [chr(48 + i) for i in range(50)])  # as many as the Penn Treebank's


def measure(cfg: DictConfig, B: int, precision: str, repeats: int) -> dict[str, Any]:
    T, H, K = cfg.data.length, cfg.model.network.hidden_size, len(SYMBOLS)
    task = instantiate(cfg.model, _partial_=True)(symbols=SYMBOLS, optimization=instantiate(cfg.optimizer))
    task.trainer = trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    network, optimizer = task.network, task.optimization.optimizer(task.parameters())
    sequence = np.random.default_rng(0).integers(0, K, 50 * T * B).astype(np.uint8)
    batches = iter(StreamLoader(sequence, B, T))
    state = network.initial_state(B)
    dtype = torch.bfloat16 if precision == "bf16-mixed" else torch.float32

    def step() -> float:
        nonlocal state
        start = time.perf_counter()
        batch = next(batches)
        loaded = time.perf_counter() - start
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            logits, after = task.noise.draw(network)(batch.symbol_TB, state)
            nats, _ = score(logits, batch)
            loss = task.training_loss(nats, sequences=B, points=T * B)
        state = after.detach()
        optimizer.zero_grad()
        loss.backward()
        task.on_before_optimizer_step(optimizer)
        task.configure_gradient_clipping(optimizer)
        optimizer.step()
        return loaded

    w_GH, w_KH = torch.randn(4 * H, H).to(dtype), torch.randn(K, H).to(dtype)
    h_TBH, z_TBG = torch.randn(T, B, H).to(dtype), torch.randn(T, B, 4 * H).to(dtype)
    y_NK = torch.randn(T * B, K).to(dtype)

    def floor() -> float:
        recurrent_products(w_GH, h_TBH, z_TBG)
        h_NH = h_TBH.view(-1, H)
        weight_derivative(z_TBG.view(-1, 4 * H), h_NH)
        product(h_NH, w_KH), product(y_NK, w_KH.t()), weight_derivative(y_NK, h_NH)
        return 0.0

    times: dict[str, list[float]] = {"step": [], "floor": [], "loader": []}
    for repeat in range(repeats + 1):  # the first warms up
        for name, run in (("floor", floor), ("step", step)):
            start = time.perf_counter()
            loaded = run()
            if repeat:
                times[name].append(time.perf_counter() - start)
                times["loader"] += [loaded] if name == "step" else []
    least = {name: min(seconds) for name, seconds in times.items()}  # whatever else a machine does only adds
    del trainer  # the task knows it by a weak reference
    return {
        "precision": precision,
        "batch": B,
        "length": T,
        "hidden": H,
        "step_ms": round(least["step"] * 1e3, 1),
        "symbols_per_second": round(T * B / least["step"]),
        "floor_share": round(least["floor"] / least["step"], 3),
        "loader_share": round(least["loader"] / least["step"], 5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--batch", type=int, nargs="+", help="streams; the experiment's own, and 64, by default"
    )
    parser.add_argument("--precision", nargs="+", default=["32-true", "bf16-mixed"])
    args = parser.parse_args()
    keep_large_blocks()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", ["experiment=ptb_char", "name=benchmark", "run_dir=."])
    rows = []
    print(
        f"{'precision':>10} {'batch':>6} {'step ms':>8} {'symbols/s':>10} "
        f"{'floor share':>12} {'loader share':>13}"
    )
    for precision in args.precision:
        for B in args.batch or [cfg.data.batch_size, 64]:
            row = measure(cfg, B, precision, args.repeats)
            rows.append(row)
            print(
                f"{precision:>10} {B:6} {row['step_ms']:8} {row['symbols_per_second']:10} "
                f"{row['floor_share']:12} {row['loader_share']:13}",
                flush=True,
            )
    least = min(row["floor_share"] for row in rows)
    most = max(row["symbols_per_second"] for row in rows)
    report("train_character", {"floor_share": least, "symbols_per_second": most, "rows": rows})


if __name__ == "__main__":
    main()
