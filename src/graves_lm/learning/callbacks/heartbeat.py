"""A host that falls silent ends the run: a dead machine closes no connection, and the others would wait."""

import os
import socket
import sys
import threading
from datetime import timedelta
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class Heartbeat(Callback):
    """While training, every rank gives a sign of life every `every` seconds, and ends when another has
    given none for `misses` times as long.

    Times are counted in signs of its own, so that a machine that is suspended as a whole is not taken for
    dead. The signs go by a store of their own on rank 0, not by the training's connections.
    """

    def __init__(self, every: float = 5.0, misses: int = 6):
        self.every, self.misses = every, misses
        self._over = threading.Event()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        rank, address = trainer.global_rank, os.environ["MASTER_ADDR"]
        store = self._store(address, 0, serve=True) if rank == 0 else None
        port = trainer.strategy.broadcast(store.port if store else 0)
        store = store or self._store(address, port, serve=False)
        trainer.strategy.barrier()  # all have joined
        self._over.clear()
        self._unanswered = 0
        self._who = f"rank {rank} of {trainer.world_size} on {socket.gethostname()}"
        others = [other for other in range(trainer.world_size) if other != rank]
        threading.Thread(target=self._beat, args=(store, rank, others), daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    def _store(self, address: str, port: int, serve: bool) -> Any:
        timeout = timedelta(seconds=self.every * self.misses)
        return torch.distributed.TCPStore(
            address, port, is_master=serve, wait_for_workers=False, timeout=timeout
        )

    def _beat(self, store: Any, rank: int, others: list[int]) -> None:
        """Give signs, and look for those of the others. Blocks when rank 0 does not answer."""
        signs, missed = dict.fromkeys(others, 0), dict.fromkeys(others, 0)
        while not self._over.wait(self.every):
            try:
                store.add(str(rank), 1)
                now = {other: store.add(str(other), 0) for other in others}
            except RuntimeError:
                return  # rank 0 has gone
            self._unanswered = 0
            missed = {other: 0 if now[other] != signs[other] else missed[other] + 1 for other in others}
            signs = now
            for other in others:
                if missed[other] >= self.misses:
                    self._end(other)

    def _watch(self) -> None:
        """See to it that rank 0 answers."""
        while not self._over.wait(self.every):
            self._unanswered += 1
            if self._unanswered > self.misses:
                self._end(0)

    def _end(self, silent: int) -> None:
        if self._over.is_set():
            return
        print(
            f"graves_lm train: {self._who}: no sign of life from rank {silent} for "
            f"{self.every * self.misses:.0f} s: its host is down or cut off, and the run ends; go on with "
            "resume=last when it is back",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)  # the main thread may be waiting for the silent one

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._over.set()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._over.set()
