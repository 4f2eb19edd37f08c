"""What tests have the ranks of a run do; see `tests.commands.test_ddp`."""

import os
import signal
import time
from pathlib import Path

import torch
from omegaconf import DictConfig

from graves_lm import evaluation
from graves_lm.commands.ddp import place
from graves_lm.learning.callbacks.samples import LogSamples
from graves_lm.learning.training import run
from graves_lm.runtime.errors import UserError


def evaluate_each(cfg: DictConfig) -> dict[str, dict[str, float]]:
    """The figures of each of several evaluations, by the checkpoint's name."""
    return {name: evaluation.run(one) for name, one in cfg.evaluations.items()}


def misbehave(cfg: DictConfig) -> None:
    """Rank 1 does what `cfg.how` says while the others wait for it."""
    rank, world = place()
    torch.distributed.init_process_group("gloo", rank=rank, world_size=world)
    print(f"rank {rank} speaking", flush=True)
    if rank == 1 and cfg.how == "raise":
        raise ValueError("something broke")
    if rank == 1 and cfg.how == "refuse":
        raise UserError("nothing to learn; give more")
    if rank == 1 and cfg.how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if cfg.how == "leave":
        Path(cfg.run_dir, f"pid-{rank}").write_text(str(os.getpid()))
        time.sleep(60)
    torch.distributed.barrier()


def train_with_slow_samples(cfg: DictConfig) -> float | None:
    """Rank 0 draws for so long that the other has to wait; and a rank has fewer batches to validate on."""
    draw = LogSamples.on_validation_end

    def slowly(self, trainer, pl_module):
        time.sleep(3 if trainer.is_global_zero else 0)
        draw(self, trainer, pl_module)

    LogSamples.on_validation_end = slowly
    return run(cfg)
